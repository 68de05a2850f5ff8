"""Scores by scikit-learn, netcal, relplot, properscoring and SciPy.

It makes tests/data/scores.json, which src/metrics/tests/peers.rs reads.

usage: scores.py > tests/data/scores.json
(pip install scikit-learn netcal relplot properscoring; the numbers are from scikit-learn 1.9.1,
netcal 1.4.0, relplot 1.0.3, properscoring 0.1, SciPy 1.17.1, NumPy 2.4.6)
"""
import json
import sys
import warnings

import numpy as np
import properscoring
import relplot
from netcal.metrics import ECE, MCE
from scipy import stats
from sklearn import metrics
from sklearn.calibration import calibration_curve

warnings.filterwarnings("ignore")
relplot.config.use_logit_scaling = False


def uniforms(n, s):
    out = []
    for _ in range(n):
        s = (6364136223846793005 * s + 1442695040888963407) & (2**64 - 1)
        out.append(((s >> 11) + 0.5) / 2.0**53)
    return np.array(out)


def millionths(raw):
    """Rows of probabilities in millionths, none on the edge of a bin, that sum to 1."""
    p = np.floor(10**6 * raw / raw.sum(1, keepdims=True)).astype(int)
    p[:, -1] += 10**6 - p.sum(1)
    return p / 10**6


def equal_width(conf, right, bins=10):
    """Mean gap over (b/B, (b+1)/B]."""
    at = np.clip(np.ceil(conf * bins).astype(int) - 1, 0, bins - 1)
    inside = [at == b for b in range(bins)]
    return sum(m.mean() * abs(conf[m].mean() - right[m].mean()) for m in inside if m.any())


def classes(n, k, seed):
    p = millionths(uniforms(n * k, seed).reshape(n, k) ** 2 + 0.02)
    labels = (uniforms(n, seed + 1)[:, None] > p.cumsum(1)).sum(1)
    w = np.round(2 * uniforms(n, seed + 2), 3)
    top, right = p.max(1), (p.argmax(1) == labels).astype(float)
    hot = np.eye(k)[labels]
    return dict(
        probabilities=p.ravel().tolist(), classes=k, labels=labels.tolist(), weights=w.tolist(),
        plain=class_scores(p, labels, np.ones(n)), weighted=class_scores(p, labels, w),
        # netcal and relplot know no weights
        ece=float(ECE(10).measure(top, right)), mce=float(MCE(10).measure(top, right)),
        ece_class_wise=float(np.mean([equal_width(p[:, c], hot[:, c]) for c in range(k)])),
        smooth=float(relplot.smECE(top, right)),
        accuracy_difference=float(stats.sem(right - hot[:, 0], ddof=1)),
    )


def class_scores(p, y, w):
    k = p.shape[1]
    ovr = p[:, 1] if k == 2 else p
    return dict(
        accuracy=metrics.accuracy_score(y, p.argmax(1), sample_weight=w),
        balanced_accuracy=metrics.balanced_accuracy_score(y, p.argmax(1), sample_weight=w),
        nll=metrics.log_loss(y, p, sample_weight=w, labels=range(k)),
        brier=float(np.average(((p - np.eye(k)[y]) ** 2).sum(1), weights=w)),
        roc_auc=metrics.roc_auc_score(y, ovr, sample_weight=w, multi_class="ovr", average="macro"),
    )


def binary(n, seed):
    """Probabilities without ties, for curves of both kinds of bins."""
    p = np.round(((np.argsort(uniforms(n, seed)) + 0.5) / n) ** 1.5, 6)
    y = (uniforms(n, seed + 1) < p**1.3).astype(int)
    curves = {s: calibration_curve(y, p, n_bins=5, strategy=s) for s in ("uniform", "quantile")}
    return dict(
        p=p.tolist(), y=y.tolist(), smooth=float(relplot.smECE(p, y)),
        brier=2 * metrics.brier_score_loss(y, p),
        **{s: dict(frequency=f.tolist(), confidence=c.tolist()) for s, (f, c) in curves.items()},
    )


def detection(n, m, seed):
    """Uncertainties with many ties, in tenths."""
    inside, outside = np.round(uniforms(n, seed) ** 2, 1), np.round(uniforms(m, seed + 1), 1)
    u, out = np.r_[inside, outside], np.r_[np.zeros(n), np.ones(m)]
    w = np.round(uniforms(n + m, seed + 2) + 0.1, 3)

    def scores(w):
        # the known rows as positive ones, with the uncertainty turned round
        fpr, tpr, _ = metrics.roc_curve(1 - out, -u, sample_weight=w, drop_intermediate=False)
        return dict(
            auroc=metrics.roc_auc_score(out, u, sample_weight=w),
            aupr=metrics.average_precision_score(out, u, sample_weight=w),
            fpr95=fpr[np.argmax(tpr >= 0.95 - 1e-12)],
        )

    return dict(inside=inside.tolist(), outside=outside.tolist(), weights=w.tolist(),
                plain=scores(None), weighted=scores(w))


def reals(n, s, seed):
    y = np.round(4 * uniforms(n, seed) - 2, 3)
    means = np.round(4 * uniforms(n * s, seed + 1).reshape(n, s) - 2, 3)
    stds = np.round(uniforms(n * s, seed + 2).reshape(n, s) + 0.2, 3)
    lower, upper = means.min(1), means.max(1)
    pinball = [metrics.mean_pinball_loss(y, q, alpha=a) for q, a in ((lower, 0.1), (upper, 0.9))]

    class Mixture:
        def __init__(self, i):
            self.i = i

        def cdf(self, x):
            return stats.norm.cdf(x, means[self.i], stds[self.i]).mean()

    crps = [properscoring.crps_quadrature(y[i], Mixture(i).cdf, -30, 30, tol=1e-6) for i in range(n)]
    pit = stats.norm.cdf(y, means[:, 0], stds[:, 0])
    return dict(
        y=y.tolist(), means=means.ravel().tolist(), stds=stds.ravel().tolist(), samples=s,
        crps_normals=properscoring.crps_gaussian(y, means[:, 0], stds[:, 0]).tolist(),
        crps_draws=properscoring.crps_ensemble(y, means).tolist(),
        crps_mixtures=np.ravel(crps).tolist(),
        nll_normals=(-stats.norm.logpdf(y, means[:, 0], stds[:, 0])).tolist(),
        rmse=metrics.root_mean_squared_error(y, means[:, 0]),
        interval_score_80=2 / 0.2 * sum(pinball), lower=lower.tolist(), upper=upper.tolist(),
        pit_distance=stats.kstest(pit, "uniform").statistic,
    )


def bootstraps(n, seed):
    x = -np.log(uniforms(n, seed))
    other = x + 0.3 * uniforms(n, seed + 1) - 0.1
    found = stats.bootstrap((x,), np.mean, n_resamples=100_000, confidence_level=0.9, method="BCa",
                            rng=np.random.default_rng(1), batch=1000)
    paired = stats.ttest_rel(other, x)
    return dict(
        x=x.tolist(), other=other.tolist(), error=found.standard_error,
        lower=found.confidence_interval.low, upper=found.confidence_interval.high,
        difference=float((other - x).mean()), difference_error=float((other - x).mean() / paired.statistic),
    )


json.dump(
    dict(two=classes(30, 2, 11), four=classes(40, 4, 21), binary=binary(40, 31), ood=detection(40, 25, 41),
         reals=reals(12, 3, 51), bootstrap=bootstraps(40, 61)),
    sys.stdout, indent=None, separators=(",", ":"))
print()
