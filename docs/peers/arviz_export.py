"""Reads an export with ArviZ and compares a few numbers. Needs arviz 0.x.

    fiberwalk export MODEL TEST.csv --arviz out.json
    fiberwalk evaluate MODEL TEST.csv --json > scores.json
    python docs/peers/arviz_export.py out.json scores.json
"""

import json
import sys

import arviz
import numpy as np

with open(sys.argv[1]) as file:
    data = arviz.from_dict(**json.load(file))
with open(sys.argv[2]) as file:
    scores = json.load(file)

print(data)
target = list(data.observed_data.data_vars)[0]
log_lik = data.log_likelihood[target]
assert log_lik.dims == ("chain", "draw", "row"), log_lik.dims
assert data.posterior_predictive[target].dims == ("chain", "draw", "row")
assert data.observed_data[target].dims == ("row",)

# the mean likelihood over draws is what evaluate scores
nll = -np.log(np.exp(log_lik).mean(("chain", "draw"))).mean().item()
print("nll", nll, "evaluate", scores["nll"])
assert abs(nll - scores["nll"]) < 1e-5 * max(1.0, abs(nll))

# ArviZ's own functions take it (leave-one-out means something if the rows are the training rows)
print(arviz.summary(data, var_names=["~theta"]))
print(arviz.loo(data))
draws = data.posterior_predictive[target].stack(sample=("chain", "draw"))
print("mean of draws", draws.mean().item(), "of targets", data.observed_data[target].mean().item())
if "sample_stats" in data.groups():
    assert (data.sample_stats["lp"] == -data.sample_stats["energy"]).all()
    print("E-BFMI", arviz.bfmi(data))
