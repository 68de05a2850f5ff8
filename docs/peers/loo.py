"""Leave-one-out cross-validation, stacking and pseudo-BMA+ by ArviZ.

It makes the numbers of src/diagnose/tests/loo.rs and src/diagnose/tests/stacking.rs.

usage: loo.py        (pip install "arviz<1"; the numbers are from ArviZ 0.23.4, NumPy 2.4.6, SciPy 1.17.1)
"""
import warnings; warnings.filterwarnings('ignore')
import numpy as np, scipy, xarray as xr, arviz as az
print(az.__version__, np.__version__, scipy.__version__)

def uniforms(n, s):
    out = []
    for _ in range(n):
        s = (6364136223846793005*s + 1442695040888963407) & (2**64 - 1)
        out.append(((s >> 11) + .5) / 2.**53)
    return np.array(out)

def log_lik(draws, rows, seed, scale):
    """[draws, rows]: rows of N(theta, 1) at c_i = 3 sin(i + 1), draws theta = scale log(u / (1 - u))"""
    u = uniforms(draws, seed)
    theta, c = scale*np.log(u/(1 - u)), 3*np.sin(np.arange(rows) + 1.)
    return -.5*(c - theta[:, None])**2

def loo(ll, efficiency):
    data = az.from_dict(log_likelihood={'y': ll[None]}, posterior={'t': ll[None, :, 0]})
    return az.loo(data, pointwise=True, reff=efficiency)

for case in [(100, 6, 1, .1, 1.), (400, 7, 2, .15, 1.), (1000, 5, 3, .3, 1.), (1000, 5, 3, .3, .4), (2000, 4, 4, .05, 1.7)]:
    r = loo(log_lik(*case[:4]), case[4])
    print(case, [float(r[f]) for f in ('elpd_loo', 'se', 'p_loo')])
    print('  ', r['loo_i'].values.tolist()); print('  ', r['pareto_k'].values.tolist())

# three normal models of 40 rows at 2 sin(i + 1): far apart, and close together
def compare(parameters):
    y, models = 2*np.sin(np.arange(40) + 1.), {}
    for name, (m, s) in parameters.items():
        r = loo(log_lik(100, 40, 1, .1), 1.)
        l = -.5*((y - m)/s)**2 - np.log(s)
        r['loo_i'], r['elpd_loo'] = xr.DataArray(l), l.sum()
        models[name] = r
    return models, lambda **options: az.compare(models, **options).loc[list(parameters)]

for parameters in ({'a': (0, 1), 'b': (1.5, .7), 'c': (-1, .5)}, {'a': (0, 1.5), 'b': (.3, 1.3), 'c': (-.4, 1.8)}):
    models, by = compare(parameters)
    c = by(method='stacking')
    w, L = c['weight'].values, np.stack([m['loo_i'].values for m in models.values()], 1)
    print(parameters, 'stacking', w.tolist(), 'log score', float(np.log(np.exp(L) @ w).sum()))
    print('differences from the best', c['elpd_diff'].tolist(), c['dse'].tolist())
    for seed in (1, 2):
        print('pseudo-BMA+', by(method='BB-pseudo-BMA', b_samples=400000, seed=seed)['weight'].tolist())
