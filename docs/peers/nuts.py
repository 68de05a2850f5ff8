"""NUTS of BlackJAX on the network posterior of `ground_truth`.

Tanh, standard normal prior, f32, and the same warm-up, chains and draws.

usage: nuts.py TRAIN.csv TEST.csv NOISE_STD CHAINS WARM_UP DRAWS HIDDEN FORM
FORM: pmap (one XLA device per core, which runs its share of the chains one after the other),
vmap (all chains in lock-step), map (one chain after the other on one device).

It compiles before it is timed (a run with other keys and the same shapes). It prints seconds,
gradients of the draws, and the smallest bulk ESS of predictions (rank-normalised split chains,
Vehtari et al. 2021, by ArviZ if it is installed, else by BlackJAX).
"""
import os, sys, time
import numpy as np
cores = os.cpu_count()
train, test, noise, chains, warm, draws, hidden, form = sys.argv[1:9]
noise, chains, warm, draws, hidden = float(noise), int(chains), int(warm), int(draws), int(hidden)
if form == 'pmap':
    os.environ['XLA_FLAGS'] = f'--xla_force_host_platform_device_count={cores}'
import jax, jax.numpy as jnp, blackjax
read = lambda f: np.loadtxt(f, delimiter=',', skiprows=1)
tr, te = read(train), read(test)
X, y, Xs = tr[:, :-1], tr[:, -1], te[:, :-1]
mu, sd = X.mean(0), X.std(0); sd[sd == 0] = 1
X, Xs = (X-mu)/sd, (Xs-mu)/sd
y = (y-y.mean())/y.std()
X, Xs, Y = jnp.array(X, jnp.float32), jnp.array(Xs, jnp.float32), jnp.array(y, jnp.float32)
d, h = X.shape[1], hidden
P = d*h+h+h+1
def f(t, x):
    W, b, v, c = t[:d*h].reshape(d, h), t[d*h:d*h+h], t[d*h+h:d*h+2*h], t[-1]
    return jnp.tanh(x@W+b)@v+c
def logp(t):
    return -jnp.sum((f(t, X)-Y)**2)/(2*noise**2)-.5*jnp.sum(t**2)
import optax
def mapfit(key):
    k1, k2 = jax.random.split(key)
    t = jnp.concatenate([jax.random.normal(k1, (d*h,))/np.sqrt(d), jnp.zeros(h), jax.random.normal(k2, (h,))/np.sqrt(h), jnp.zeros(1)])
    opt = optax.adam(optax.cosine_decay_schedule(1e-2, 4000))
    def step(c, _):
        t, s = c; u, s = opt.update(jax.grad(lambda t: -logp(t))(t), s); return (t+u, s), None
    return jax.lax.scan(step, (t, opt.init(t)), None, length=4000)[0][0]
def chain(t, key):
    (st, par), _ = blackjax.window_adaptation(blackjax.nuts, logp).run(key, t, num_steps=warm)
    k = blackjax.nuts(logp, **par)
    def one(st, kk):
        st, i = k.step(kk, st); return st, (st.position, i.num_integration_steps, i.acceptance_rate, i.is_divergent)
    return jax.lax.scan(one, st, jax.random.split(jax.random.fold_in(key, 1), draws))[1]
starts = jax.jit(jax.vmap(mapfit))(jax.random.split(jax.random.PRNGKey(1), chains))
keys = lambda seed: jax.random.split(jax.random.PRNGKey(seed), chains)
if form == 'pmap':
    n = min(cores, chains)
    run = jax.pmap(lambda t, k: jax.lax.map(lambda a: chain(*a), (t, k)))
    shape = lambda a: a.reshape((n, chains//n)+a.shape[1:])
    go = lambda seed: run(shape(starts), shape(keys(seed)))
elif form == 'vmap':
    run = jax.jit(jax.vmap(chain)); go = lambda seed: run(starts, keys(seed))
else:
    run = jax.jit(lambda t, k: jax.lax.map(lambda a: chain(*a), (t, k))); go = lambda seed: run(starts, keys(seed))
seed = int(os.environ.get('SEED', '7'))
if form == 'pmap':
    compiled = run.lower(shape(starts), shape(keys(seed))).compile()
    args = (shape(starts), shape(keys(seed)))
else:
    compiled = run.lower(starts, keys(seed)).compile()
    args = (starts, keys(seed))
jax.block_until_ready(args)
t0 = time.time(); c0 = time.process_time()
pos, steps, acc, div = jax.block_until_ready(compiled(*args))
dt = time.time()-t0; cpu = time.process_time()-c0
pos = pos.reshape(chains, draws, P)
pred = np.asarray(jax.lax.map(lambda c: jax.vmap(lambda t: f(t, Xs))(c), pos)).astype(np.float64)  # chains, draws, rows
def rank_ess(x):
    from scipy.stats import rankdata, norm
    c, n = x.shape; half = n//2
    x = np.concatenate([x[:, :half], x[:, n-half:]]); z = norm.ppf((rankdata(x).reshape(x.shape)-.375)/(x.size+.25))
    m, n = z.shape; zc = z-z.mean(1, keepdims=True)
    F = np.fft.rfft(zc, 2*n); acov = np.fft.irfft(F*np.conj(F))[:, :n]/n
    W = z.var(1, ddof=1).mean(); V = (n-1)/n*W+z.mean(1).var(ddof=1)
    rho = 1-(W-acov.mean(0))/V; rho[0] = 1
    tau, prev = -1., np.inf
    for t in range(0, n-1, 2):
        p = rho[t]+rho[t+1]
        if p <= 0: tau += max(rho[t], 0); break
        prev = min(prev, p); tau += 2*prev
    return z.size/max(tau, 1/np.log10(z.size))
ess = [rank_ess(pred[:, :, j]) for j in range(pred.shape[2])]
print(f'{form}: {dt:.2f} s ({cpu:.2f} s of CPU), {int(np.sum(steps))} gradients of the draws, acceptance {float(np.mean(acc)):.3f}, {int(np.sum(div))} divergences, '
      f'min bulk ESS {min(ess):.0f}, {min(ess)/dt:.2f} a second, median {np.median(ess):.0f}, {np.median(ess)/dt:.1f} a second', flush=True)
