"""laplace-torch on vehicle, 18-50-4 tanh, f64: golden numbers and times.

   python laplace_torch.py golden WEIGHTS.txt VEHICLE.csv OUT.json
   python laplace_torch.py time full|kron WEIGHTS.txt VEHICLE.csv REPEATS   (prints seconds, fit and predict per line)"""
import sys, json, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, torch
from torch import nn
torch.set_default_dtype(torch.float64)
from laplace import Laplace
from laplace.curvature import BackPackGGN, CurvlinopsGGN, AsdlGGN

def load(weights, csv):
    raw = np.loadtxt(csv, delimiter=",", skiprows=1)
    x, y = raw[:, :-1], raw[:, -1].astype(int)
    x = (x - x.mean(0)) / x.std(0)
    theta = np.loadtxt(weights)
    d, h, k = x.shape[1], 50, y.max() + 1
    net = nn.Sequential(nn.Linear(d, h), nn.Tanh(), nn.Linear(h, k))
    at = 0
    with torch.no_grad():
        for layer, (i, o) in ((net[0], (d, h)), (net[2], (h, k))):
            layer.weight.copy_(torch.tensor(theta[at:at + i * o].reshape(i, o).T)); at += i * o
            layer.bias.copy_(torch.tensor(theta[at:at + o])); at += o
    assert at == len(theta)
    return net, torch.tensor(x), torch.tensor(y), theta, (d, h, k)

def order(v, dims):
    """torch's [out, in] to [in, out]"""
    d, h, k = dims; v = np.asarray(v); out = []; at = 0
    for i, o in ((d, h), (h, k)):
        out.append(v[at:at + i * o].reshape(o, i).T.ravel()); at += i * o
        out.append(v[at:at + o]); at += o
    return np.concatenate(out)

def make(net, structure, backend, alpha=1.0):
    return Laplace(net, "classification", subset_of_weights="all", hessian_structure=structure, prior_precision=alpha, backend=backend)

def loader(x, y):
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=len(x))

def golden(weights, csv, out):
    result = {}
    for structure in ("diag", "kron", "full"):
        net, x, y, theta, dims = load(weights, csv)
        la = make(net, structure, BackPackGGN)
        la.fit(loader(x, y))
        entry = {"log_marginal_likelihood": [float(la.log_marginal_likelihood(prior_precision=torch.tensor(a))) for a in (0.1, 1.0, 10.0)]}
        la.prior_precision = 1.0
        mean, var = la._glm_predictive_distribution(x[:24])
        entry["mean"] = mean.detach().numpy().ravel().tolist()
        entry["variance"] = var.detach().numpy().ravel().tolist()
        entry["probit"] = la(x[:24], pred_type="glm", link_approx="probit").detach().numpy().ravel().tolist()
        if structure == "diag":
            entry["diagonal"] = order(la.H.detach().numpy(), dims).tolist()
        if structure == "kron":
            entry["eigenvalues"] = [[l.numpy().tolist() for l in ls] for ls in la.H.eigenvalues]
            entry["traces"] = [[float(torch.trace(f)) for f in fs] for fs in la.H_facs.kfacs]
            entry["norms"] = [[float(torch.linalg.norm(f)) for f in fs] for fs in la.H_facs.kfacs]
        if structure == "full":
            H = la.H.detach().numpy()
            entry["trace"] = float(np.trace(H)); entry["norm"] = float(np.linalg.norm(H))
        la.optimize_prior_precision(pred_type="glm", method="marglik", n_steps=400, lr=0.05, init_prior_prec=1.0)
        entry["tuned_precision"] = float(la.prior_precision); entry["tuned_log_marginal_likelihood"] = float(la.log_marginal_likelihood())
        print(structure, entry["log_marginal_likelihood"], entry["tuned_precision"], entry["tuned_log_marginal_likelihood"])
        result[structure] = entry
    result["theta"] = theta.tolist()
    json.dump(result, open(out, "w"), separators=(",", ":"))

def timing(structure, weights, csv, repeats):
    net, x, y, theta, dims = load(weights, csv)
    backends = {"backpack": BackPackGGN, "curvlinops": CurvlinopsGGN, "asdl": AsdlGGN}
    for r in range(repeats):
        for name, backend in backends.items():
            try:
                la = make(load(weights, csv)[0], structure, backend)
                data = loader(x, y)
                t0 = time.perf_counter(); la.fit(data)
                if structure == "full": la.posterior_scale
                t1 = time.perf_counter()
                la._glm_predictive_distribution(x)
                t2 = time.perf_counter()
                print(f"{structure} {name} fit {t1-t0:.4f} predict {t2-t1:.4f}", flush=True)
            except Exception as e:
                print(structure, name, "failed", type(e).__name__, str(e)[:100])

if sys.argv[1] == "golden": golden(*sys.argv[2:5])
else: timing(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
