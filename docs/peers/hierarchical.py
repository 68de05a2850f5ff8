"""Sampled scales against an independent sampler: NUTS of NumPyro on the same model and split.

The model is that of `--prior hierarchical` (docs/scales.md), one hidden layer of H tanh units:

  W1 ~ N(0, s_1^2), s_1 ~ C+(0, D^{-1/2});  b1 ~ N(0, s_b^2), s_b ~ C+(0, 1)
  W2 ~ N(0, s_2^2), s_2 ~ C+(0, H^{-1/2});  b2 ~ N(0, 1)
  classes: softmax;  a real target: noise s_n ~ C+(0, 1/2), in standardised units

It prints the distance between our predictions and those of NUTS (total variation, or RMS over
NUTS's mean spread), beside the distance between NUTS's own chains. Then come the ratio of the mean
spread, and a second table: of each scale the posterior mean of both, their ratio and its Monte Carlo
error (one standard deviation, from the means of chains and of walkers), and the same for the
geometric mean, exp(mean of log scale). With few parameters in a group the posterior of its scale has
a heavy tail: its mean then rests on few draws, and its geometric mean does not. Chains of NUTS whose
R-hat is above 1.1 are no reference.

Needs: pip install numpy pandas jax numpyro
Run:   python docs/peers/hierarchical.py target/release/fiberwalk examples/data/glass.csv
           [--hidden 10] [--warm-up 800] [--draws 800] [-- further options of fit]
"""

import argparse
import json
import os
import subprocess
import tempfile
import time

CHAINS = 4
os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count={CHAINS}")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import numpyro  # noqa: E402
import numpyro.distributions as dist  # noqa: E402
import pandas as pd  # noqa: E402
from numpyro.diagnostics import summary  # noqa: E402
from numpyro.infer import MCMC, NUTS  # noqa: E402

# our names of the scales
NAMES = dict(s_1="layer0.weight", s_b="layer0.bias", s_2="layer2.weight", s_n="noise_std")


def read(path):
    table = pd.read_csv(path).values.astype(float)
    return table[:, :-1], table[:, -1]


def nuts(x, y, xt, classes, hidden, warm_up, draws):
    """Predictions `[chains, draws, rows, outputs]`, draws of the scales, and their summary."""
    inputs, outputs = x.shape[1], max(classes, 1)

    def model():
        s_1 = numpyro.sample("s_1", dist.HalfCauchy(inputs**-0.5))
        s_b = numpyro.sample("s_b", dist.HalfCauchy(1.0))
        s_2 = numpyro.sample("s_2", dist.HalfCauchy(hidden**-0.5))
        normal = dist.Normal()
        w1 = numpyro.sample("w1", normal.expand([inputs, hidden]).to_event(2))
        b1 = numpyro.sample("b1", normal.expand([hidden]).to_event(1))
        w2 = numpyro.sample("w2", normal.expand([hidden, outputs]).to_event(2))
        b2 = numpyro.sample("b2", normal.expand([outputs]).to_event(1))
        f = jnp.tanh(x @ w1 * s_1 + b1 * s_b) @ w2 * s_2 + b2
        if classes:
            numpyro.sample("y", dist.Categorical(logits=f).to_event(1), obs=y)
        else:
            s_n = numpyro.sample("s_n", dist.HalfCauchy(0.5))
            numpyro.sample("y", dist.Normal(f[:, 0], s_n).to_event(1), obs=y)

    kernel = NUTS(model, target_accept_prob=0.85, max_tree_depth=9)
    chains = MCMC(kernel, num_warmup=warm_up, num_samples=draws, num_chains=CHAINS, progress_bar=False)
    chains.run(jax.random.PRNGKey(0))
    s = chains.get_samples(group_by_chain=True)
    scales = {k: s[k] for k in NAMES if k in s}

    def outputs_of(q):
        return jnp.tanh(xt @ q["w1"] * q["s_1"] + q["b1"] * q["s_b"]) @ q["w2"] * q["s_2"] + q["b2"]

    each = [jax.lax.map(jax.jit(outputs_of), {k: v[c] for k, v in s.items()}) for c in range(CHAINS)]
    return np.stack([np.asarray(f) for f in each]), scales, summary(scales)


def between(means, distance):
    pairs = [distance(means[i], means[j]) for i in range(CHAINS) for j in range(i)]
    return float(np.mean(pairs))


def compared(name, ours, theirs):
    """One scale: both means, their ratio with its error, and the ratio of the geometric means."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)

    # the mean and its error, from the means of walkers or chains
    def mean(draws):
        each = draws.mean(1)
        return each.mean(), each.std(ddof=1) / len(each) ** 0.5

    (a, da), (b, db) = mean(ours), mean(theirs)
    (la, dla), (lb, dlb) = mean(np.log(ours)), mean(np.log(theirs))
    ratio, geometric = a / b, np.exp(la - lb)
    return dict(scale=name, ours=a, nuts=b, ratio=ratio, error=ratio * np.hypot(da / a, db / b),
                geometric=geometric, its_error=geometric * np.hypot(dla, dlb))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fiberwalk")
    parser.add_argument("table")
    parser.add_argument("--hidden", type=int, default=10)
    parser.add_argument("--warm-up", type=int, default=800)
    parser.add_argument("--draws", type=int, default=800)
    # unknown options go to fit
    args, options = parser.parse_known_args()
    options = [option for option in options if option != "--"]
    with tempfile.TemporaryDirectory() as directory:
        split = [args.fiberwalk, "compare", args.table, "--methods", "map", "--hidden", "none"]
        split += ["--quiet", "--write-splits", directory]
        subprocess.run(split, check=True, capture_output=True)
        train, test = f"{directory}/seed0_train.csv", f"{directory}/seed0_test.csv"
        model, predictions = f"{directory}/model.fw", f"{directory}/predictions.csv"
        fit = [args.fiberwalk, "fit", train, "--prior", "hierarchical", "--hidden", str(args.hidden)]
        fit += ["--out", model, "--json", "--quiet", *options]
        fitted = json.loads(subprocess.run(fit, check=True, capture_output=True, text=True).stdout)
        predict = [args.fiberwalk, "predict", model, test, "--out", predictions, "--quiet"]
        subprocess.run(predict, check=True)
        ours = pd.read_csv(predictions)
        exported = f"{directory}/posterior.json"
        subprocess.run([args.fiberwalk, "export", "--arviz", exported, model], check=True)
        with open(exported) as file:
            posterior = json.load(file)["posterior"]
        (x, y), (xt, _) = read(train), read(test)
    mean, std = x.mean(0), x.std(0)
    std[std == 0] = 1
    x, xt = (x - mean) / std, (xt - mean) / std
    classes = fitted["report"]["data"]["classes"] or 0
    shift, unit = (0, 1) if classes else (y.mean(), y.std())
    y = y.astype(int) if classes else (y - shift) / unit
    start = time.time()
    f, draws, scales = nuts(x, y, xt, classes, args.hidden, args.warm_up, args.draws)
    seconds = time.time() - start
    row = dict(set=os.path.basename(args.table), hidden=args.hidden, nuts_seconds=seconds,
               fit_seconds=fitted["seconds"], nuts_r_hat=max(float(s["r_hat"]) for s in scales.values()))
    if classes:
        p = np.asarray(jax.nn.softmax(f, -1)).mean(1)
        q = ours[[f"p_{k}" for k in range(classes)]].values
        tv = lambda a, b: 0.5 * np.abs(a - b).sum(1).mean()  # noqa: E731
        row.update(distance=tv(p.mean(0), q), between_chains=between(p, tv))
    else:
        f = f[..., 0]
        spread = f.reshape(-1, f.shape[-1]).std(0).mean()
        rms = lambda a, b: np.sqrt(((a - b) ** 2).mean()) / spread  # noqa: E731
        row.update(
            distance=rms(f.mean((0, 1)), (ours["mean"].values - shift) / unit),
            between_chains=between(f.mean(1), rms),
            spread=(ours["epistemic_std"].values / unit).mean() / spread,
        )
    row.update(our_r_hat=max(s["rhat"] or np.nan for s in fitted["report"]["sampled_scales"]["scales"]))
    show = lambda table: print(table.to_string(index=False, float_format=lambda v: f"{v:.3f}"))  # noqa: E731
    show(pd.DataFrame([row]))
    show(pd.DataFrame([compared(NAMES[k], posterior[NAMES[k]], v) for k, v in draws.items()]))


if __name__ == "__main__":
    main()
