"""Alternatives to a Bayesian network, on the same splits as `fiberwalk compare`.

One table holds CatBoost (with uncertainty), NGBoost, a random forest, a Gaussian process with ARD,
a linear model, and ours.

Needs: pip install numpy pandas scipy scikit-learn catboost ngboost
Run:   python docs/peers/tabular.py target/release/fiberwalk examples/data/glass.csv [--seeds 3]
           [--methods walk] [--peers catboost,forest] [-- further options of compare]

Features are standardised by the training rows. Scores are means over seeds:

- NLL in nats, for a regression in the target's units;
- accuracy and expected calibration error (10 bins of equal width), or RMSE and the share of
  targets in the 90 % interval;
- seconds to fit and predict.
"""

import argparse
import json
import subprocess
import tempfile
import time
import warnings

import numpy as np
import pandas as pd
from scipy.stats import norm

warnings.filterwarnings("ignore")


def score_classes(p, y, bins=10):
    p = np.clip(p, 1e-12, 1)
    top, right = p.max(1), p.argmax(1) == y
    bin_of = np.minimum((top * bins).astype(int), bins - 1)
    inside = [bin_of == b for b in range(bins)]
    ece = sum(m.mean() * abs(top[m].mean() - right[m].mean()) for m in inside if m.any())
    return dict(nll=-np.log(p[np.arange(len(y)), y]).mean(), accuracy=right.mean(), ece=ece)


def score_reals(mean, std, y):
    return dict(
        nll=-norm.logpdf(y, mean, std).mean(),
        rmse=np.sqrt(((mean - y) ** 2).mean()),
        coverage_90=(np.abs(y - mean) < 1.6449 * std).mean(),
    )


def classifiers(classes, seed):
    from catboost import CatBoostClassifier
    from ngboost import NGBClassifier
    from ngboost.distns import k_categorical
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    return dict(
        catboost=lambda: CatBoostClassifier(verbose=0, allow_writing_files=False, random_seed=seed),
        ngboost=lambda: NGBClassifier(Dist=k_categorical(classes), verbose=False, random_state=seed),
        forest=lambda: RandomForestClassifier(500, random_state=seed),
        linear=lambda: LogisticRegression(max_iter=2000),
    )


def regressors(x, y, xt, seed):
    from catboost import CatBoostRegressor
    from ngboost import NGBRegressor
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
    from sklearn.linear_model import BayesianRidge

    def catboost():
        model = CatBoostRegressor(
            loss_function="RMSEWithUncertainty", verbose=0, allow_writing_files=False, random_seed=seed)
        p = model.fit(x, y).predict(xt)
        return p[:, 0], np.sqrt(p[:, 1])

    def ngboost():
        d = NGBRegressor(verbose=False, random_state=seed).fit(x, y).pred_dist(xt)
        return d.loc, d.scale

    def process():
        m, s = y.mean(), y.std()
        kernel = ConstantKernel() * RBF(np.ones(x.shape[1])) + WhiteKernel(0.1)
        model = GaussianProcessRegressor(kernel, n_restarts_optimizer=1, random_state=seed)
        mean, std = model.fit(x, (y - m) / s).predict(xt, return_std=True)
        return mean * s + m, std * s

    def linear():
        return BayesianRidge().fit(x, y).predict(xt, return_std=True)

    return dict(catboost=catboost, ngboost=ngboost, gp_ard=process, linear=linear)


def peers(directory, seed, classification, chosen):
    """Yields the scores of every peer on the split of one seed."""
    tables = [pd.read_csv(f"{directory}/seed{seed}_{part}.csv").values.astype(float) for part in ("train", "test")]
    (x, y), (xt, yt) = [(t[:, :-1], t[:, -1]) for t in tables]
    mean, std = x.mean(0), x.std(0)
    std[std == 0] = 1
    x, xt = (x - mean) / std, (xt - mean) / std
    if classification:
        y, yt = y.astype(int), yt.astype(int)
        # a class in the test rows but not in the training rows gets no probability
        classes = max(y.max(), yt.max()) + 1
        methods = classifiers(y.max() + 1, seed)
    else:
        methods = regressors(x, y, xt, seed)
    for name, method in methods.items():
        if chosen and name not in chosen:
            continue
        start = time.time()
        if classification:
            model = method().fit(x, y)
            p = np.zeros((len(yt), classes))
            p[:, np.asarray(model.classes_ if hasattr(model, "classes_") else np.unique(y), int)] = model.predict_proba(xt)
            scores = score_classes(p, yt)
        else:
            scores = score_reals(*method(), yt)
        yield dict(method=name, seed=seed, seconds=time.time() - start, **scores)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fiberwalk")
    parser.add_argument("table")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", default="walk")
    parser.add_argument("--peers", default="")
    # unknown options go to compare
    args, options = parser.parse_known_args()
    options = [option for option in options if option != "--"]
    with tempfile.TemporaryDirectory() as directory:
        command = [args.fiberwalk, "compare", args.table, "--methods", args.methods, "--seeds", str(args.seeds)]
        command += ["--json", "--quiet", "--write-splits", directory, *options]
        ours = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        classification = "accuracy" in ours[0]
        rows = [dict(o, seconds=o["fit_seconds"] + o["predict_seconds"]) for o in ours]
        for seed in range(args.seeds):
            rows += peers(directory, seed, classification, args.peers.split(",") if args.peers else [])
    columns = ["nll", "accuracy", "ece"] if classification else ["nll", "rmse", "coverage_90"]
    table = pd.DataFrame(rows).groupby("method")[columns + ["seconds"]].mean().sort_values("nll")
    print(args.table.split("/")[-1])
    print(table.to_string(float_format=lambda v: f"{v:.3f}"))


if __name__ == "__main__":
    main()
