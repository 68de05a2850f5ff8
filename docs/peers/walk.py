"""The walk of fiberwalk's benchmark `walk/vehicle_64x50` in JAX.

It runs 64 microcanonical particles x 50 steps of 18-50-4 tanh on 592 rows, float32, with a frame of
32 directions. The arithmetic is the same: half kick, drift, half kick, partial refresh, one gradient
per step. It is compiled once and timed in three forms: vectorised over particles, mapped over them,
and mapped with two halves on two threads.

Needs: pip install numpy jax. Run it beside `cargo bench --bench walk` on the same idle machine and quote the ratio."""
import json, time
from concurrent.futures import ThreadPoolExecutor
import numpy as np, jax, jax.numpy as jnp

P, N, D, H, K, DIRECTIONS, PARTICLES, STEPS = 1154, 592, 18, 50, 4, 32, 64, 50
EPS, LENGTH = 1.0, 17.0
rng = np.random.RandomState(0)
X = jnp.array(rng.randn(N, D), jnp.float32); Y = jnp.array(rng.randint(0, K, N))
B = jnp.array(np.linalg.qr(rng.randn(P, DIRECTIONS))[0].T, jnp.float32)
SHRINK = jnp.array(1/np.sqrt(.01*np.logspace(4, 2, DIRECTIONS)+1)-1, jnp.float32)

def energy(t):
    a = t[:D*H].reshape(D, H); b = t[D*H:D*H+H]; c = t[D*H+H:D*H+H+H*K].reshape(H, K); d = t[-K:]
    o = jnp.tanh(X@a+b)@c+d
    return -jnp.sum(jax.nn.log_softmax(o)[jnp.arange(N), Y])+.5*jnp.sum(t**2)

gradient = jax.value_and_grad(energy)
frame = lambda v: v+(SHRINK*(B@v))@B

def kick(time, g, u):
    length = jnp.sqrt(jnp.sum(g*g)); e = -g/length; along = jnp.dot(e, u)
    delta = time*length/(P-1); z = jnp.exp(-delta)
    v = 2*z*u+e*(1-z)*(1+z+along*(1-z))
    return v/jnp.sqrt(jnp.sum(v*v)), (P-1)*(delta-jnp.log(2.)+jnp.log(1+along+(1-along)*z*z))

def step(state, key):
    t, u, g, e = state
    u, k1 = kick(EPS/2, g, u)
    t = t+EPS*frame(u)
    new, raw = gradient(t); g = frame(raw)
    u, k2 = kick(EPS/2, g, u)
    error = k1+k2+new-e
    nu = np.sqrt(np.expm1(2*EPS/LENGTH)/P)
    u = u+nu*jax.random.normal(key, (P,)); u = u/jnp.sqrt(jnp.sum(u*u))
    return (t, u, g, new), error

def walk(t, key):
    first, rest = jax.random.split(key)
    u = jax.random.normal(first, (P,)); u = u/jnp.sqrt(jnp.sum(u*u))
    e, raw = gradient(t)
    (t, u, g, e), errors = jax.lax.scan(step, (t, u, frame(raw), e), jax.random.split(rest, STEPS))
    return t, e, jnp.mean(errors**2)

start = jnp.array(.3*rng.randn(P), jnp.float32); T = jnp.stack([start]*PARTICLES)
keys = jax.random.split(jax.random.PRNGKey(0), PARTICLES)
vector = jax.jit(jax.vmap(walk)); mapped = jax.jit(lambda T, k: jax.lax.map(lambda a: walk(*a), (T, k)))

def halves():
    h = PARTICLES//2
    with ThreadPoolExecutor(2) as pool:
        for f in [pool.submit(lambda s: mapped(T[s], keys[s])[0].block_until_ready(), s) for s in (slice(0, h), slice(h, None))]: f.result()

def best(f, n=12):
    for _ in range(3): f()
    times = []
    for _ in range(n): s = time.perf_counter(); f(); times.append(time.perf_counter()-s)
    return float(np.median(times))

forms = dict(vmap=lambda: vector(T, keys)[0].block_until_ready(), map=lambda: mapped(T, keys)[0].block_until_ready(), two_threads=halves)
rate = {name: PARTICLES*STEPS/best(f) for name, f in forms.items()}
print(json.dumps(dict(jax=jax.__version__, steps_per_second=rate, best=max(rate.values()))))
