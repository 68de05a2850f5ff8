"""Calibration and conformal prediction by netcal, scikit-learn, SciPy and MAPIE.

It makes tests/data/calibration.json, which src/calibrate/tests/peers.rs reads.

usage: calibration.py > tests/data/calibration.json
(pip install netcal scikit-learn mapie; the numbers are from netcal 1.4.0, scikit-learn 1.9.1,
MAPIE 1.6.0, SciPy 1.17.1, NumPy 2.4.6)
"""
import json
import sys
import warnings

import numpy as np
from mapie.conformity_scores.sets.aps import APSConformityScore
from mapie.regression import (
    ConformalizedQuantileRegressor,
    CrossConformalRegressor,
    SplitConformalRegressor,
)
from netcal.scaling import TemperatureScaling
from scipy import optimize, special
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

warnings.filterwarnings("ignore")


def uniforms(n, s):
    out = []
    for _ in range(n):
        s = (6364136223846793005 * s + 1442695040888963407) & (2**64 - 1)
        out.append(((s >> 11) + 0.5) / 2.0**53)
    return np.array(out)


def classes(n, k, seed, sharpness):
    """Stated probabilities in millionths, and labels from flatter ones."""
    raw = uniforms(n * k, seed).reshape(n, k) ** 2 + 0.02
    true = raw / raw.sum(1, keepdims=True)
    labels = (uniforms(n, seed + 1)[:, None] > true.cumsum(1)).sum(1)
    stated = raw**sharpness
    p = np.floor(10**6 * stated / stated.sum(1, keepdims=True)).astype(int)
    p[:, -1] += 10**6 - p.sum(1)
    return p / 10**6, labels


class Column(RegressorMixin, BaseEstimator):
    """A model whose predictions stand in a column."""

    def __init__(self, column=0):
        self.column = column

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.asarray(X)[:, self.column]

    def __sklearn_is_fitted__(self):
        return True


def of_classes():
    p, y = classes(400, 4, 1, 2.0)
    logs = np.log(np.maximum(p, np.finfo(float).tiny))
    nll = lambda b: -special.log_softmax(b * logs, axis=1)[np.arange(len(y)), y].sum()
    scipy = 1 / optimize.minimize_scalar(nll, bounds=(0.05, 20), method="bounded",
                                         options=dict(xatol=1e-12)).x

    def vector(at):
        a, b = at[:4], at[4:]
        fit = -special.log_softmax(a * logs + b, axis=1)[np.arange(len(y)), y].sum()
        return fit + 0.5e-6 * (((a - 1) ** 2).sum() + (b**2).sum())

    start = np.r_[np.ones(4), np.zeros(4)]
    found = optimize.minimize(vector, start, method="BFGS", options=dict(gtol=1e-9, maxiter=10000))
    aps, _ = APSConformityScore.get_true_label_cumsum_proba(y, p, np.arange(4))
    scaled = TemperatureScaling().fit_transform(p, y)
    return dict(probabilities=p.ravel().tolist(), labels=y.tolist(), temperature=float(scipy),
                netcal=np.asarray(scaled)[:20].ravel().tolist(), vector=found.x.tolist(),
                vector_nll=float(vector(found.x)), aps=aps.ravel().tolist())


def of_two():
    p, y = classes(300, 2, 5, 1.7)
    # ties
    p[:, 1] = np.round(p[:, 1], 2)
    p[:, 0] = 1 - p[:, 1]
    at = np.linspace(0, 1, 41)
    map = IsotonicRegression(out_of_bounds="clip").fit(p[:, 1], y).predict(at)
    return dict(p1=p[:, 1].tolist(), labels=y.tolist(), at=at.tolist(), map=map.tolist())


def of_reals():
    n, m = 57, 25
    x = 4 * uniforms(n + m, 9) - 2
    y = np.sin(2 * x) + 0.5 * (uniforms(n + m, 10) - 0.5) * (1 + x**2)
    mean, half = 0.9 * np.sin(2 * x), 0.2 * (1 + 0.5 * x**2)
    X = np.c_[mean, mean - half, mean + half, x]
    out = dict(mean=mean.tolist(), half=half.tolist(), y=y.tolist(), held_out=n)
    for level in (0.8, 0.9):
        split = SplitConformalRegressor(Column(0), confidence_level=level, prefit=True)
        split.conformalize(X[:n], y[:n])
        cqr = ConformalizedQuantileRegressor([Column(1), Column(2), Column(0)],
                                             confidence_level=level, prefit=True)
        cqr.conformalize(X[:n], y[:n])
        plus = CrossConformalRegressor(LinearRegression(), confidence_level=level, method="plus",
                                       cv=KFold(5))
        plus.fit_conformalize(X[:n, 3:], y[:n])
        key = str(level)
        out[key] = dict(
            absolute=split.predict_interval(X[n:])[1][:, :, 0].tolist(),
            cqr=cqr.predict_interval(X[n:], symmetric_correction=True)[1][:, :, 0].tolist(),
            plus=plus.predict_interval(X[n:, 3:])[1][:, :, 0].tolist(),
        )
    folds, scores, means = np.zeros(n, int), np.zeros(n), []
    for k, (train, test) in enumerate(KFold(5).split(X[:n])):
        line = LinearRegression().fit(X[train, 3:], y[train])
        folds[test] = k
        scores[test] = abs(y[test] - line.predict(X[test, 3:]))
        means.append(line.predict(X[n:, 3:]).tolist())
    out.update(folds=folds.tolist(), residuals=scores.tolist(), fold_means=means)
    return out


json.dump(dict(classes=of_classes(), two=of_two(), reals=of_reals()), sys.stdout, separators=(",", ":"))
print()
