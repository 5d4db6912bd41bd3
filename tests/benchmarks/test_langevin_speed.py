"""How many chain-steps a second, beside the rate at which the generator alone makes the two normals that each takes.

    python -m pytest tests/benchmarks/test_langevin_speed.py -m benchmark --benchmark-enable

The floor and the chains are timed in turn, in CPU time, so that both see the same machine and other work on it
counts little; `ratio` is the best time of the chains over the best of the floor. Goals at 100,000 chains: 1.3 with
the gradient written out, 3 by autograd. JAX, where it is installed, is timed by the wall clock: it uses all cores.
"""

import time

import numpy as np
import pytest

from esgd_minimal.toy import landscapes
from esgd_minimal.toy.langevin import langevin

pytestmark = pytest.mark.benchmark

STEP, BETA, ROUNDS = 0.01, 2.0, 25
STEPS = {1: 1000, 1_000: 400, 100_000: 30}  # a few hundredths of a second each
GRADIENTS = {
    ("double well", "written out"): landscapes.double_well_gradient,
    ("double well", "autograd"): landscapes.gradient(landscapes.double_well),
    ("quadratic", "written out"): landscapes.quadratic_gradient,
    ("quadratic", "autograd"): landscapes.gradient(landscapes.quadratic),
}
GOALS = {"written out": 1.3, "autograd": 3.0}


def start(n: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, n))


def seconds(work) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("n", STEPS)
@pytest.mark.parametrize("case", GRADIENTS, ids=", ".join)
def test_chain_steps_per_second(benchmark, case, n):
    rng, x0, n_steps = np.random.default_rng(1), start(n), STEPS[n]
    buffer = np.empty_like(x0)

    def floor():
        for _ in range(n_steps):
            rng.standard_normal(out=buffer)

    def chains():
        langevin(GRADIENTS[case], x0, STEP, n_steps, BETA, rng=rng, record_every=n_steps)

    floors: list[float] = []
    benchmark.pedantic(chains, setup=lambda: floors.append(seconds(floor)), rounds=ROUNDS, warmup_rounds=1)
    if not benchmark.enabled:
        return
    best = benchmark.stats.stats.min
    ratio = best / min(floors)
    benchmark.extra_info.update(
        chain_steps_per_second=float(f"{n * n_steps / best:.3g}"),
        generator_alone=float(f"{n * n_steps / min(floors):.3g}"),
        ratio=round(ratio, 2),
    )
    print(f"\n{', '.join(case)}, {n:,} chains: {n * n_steps / best:.3g} chain-steps/s, {ratio:.2f} × the floor")
    if n == max(STEPS):
        assert ratio < GOALS[case[1]]


@pytest.mark.parametrize("n", STEPS)
def test_jax_scan(benchmark, n):
    """The same on JAX, compiled, in its own 32 bits: the gradient vmapped over the chains, the steps a scan."""
    jax = pytest.importorskip("jax")

    def energy(x):
        return (x[0] ** 2 - 1) ** 2 + 0.5 * x[1] ** 2

    slope = jax.vmap(jax.grad(energy), in_axes=1, out_axes=1)
    n_steps = STEPS[n]

    @jax.jit
    def chains(x, key):
        def one_step(x, key):
            return x - STEP * slope(x) + (2 * STEP / BETA) ** 0.5 * jax.random.normal(key, x.shape), None

        return jax.lax.scan(one_step, x, jax.random.split(key, n_steps))[0]

    x0, key = jax.numpy.asarray(start(n)), jax.random.PRNGKey(0)
    benchmark.pedantic(lambda: chains(x0, key).block_until_ready(), rounds=ROUNDS, warmup_rounds=2)
    if benchmark.enabled:
        benchmark.extra_info["chain_steps_per_second"] = float(f"{n * n_steps / benchmark.stats.stats.min:.3g}")
