"""The inner loop's estimate: closed forms against the algorithm itself, against plain Langevin chains, and by law."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from esgd_minimal.toy.estimator import (
    averaging_weights,
    best_weights,
    estimated_mean,
    noise_for,
    quadratic_error,
    quadratic_estimate,
    uniform_weights,
)
from esgd_minimal.toy.landscapes import quadratic_gradient
from esgd_minimal.toy.langevin import langevin

LOOP = {"langevin_steps": 12, "langevin_lr": 0.07, "averaging": 0.3}
LAM, GAMMA = np.array([1.0, 10.0]), 0.8
FALSE_ALARM = 1e-6


@given(st.floats(0.01, 1.0), st.integers(1, 60))
def test_the_weights_are_those_of_the_running_average(averaging, steps):
    positions = np.random.default_rng(steps).standard_normal(steps + 1)
    mu = positions[0]
    for position in positions[1:]:
        mu = (1 - averaging) * mu + averaging * position
    weights = averaging_weights(averaging, steps)
    assert_allclose(weights @ positions, mu, atol=1e-12)
    assert_allclose(weights.sum(), 1, rtol=1e-12)


def test_uniform_weights_count_what_comes_after_the_burn_in():
    assert_allclose(uniform_weights(2, 5), [0, 0, 0, 1 / 3, 1 / 3, 1 / 3])
    assert_allclose(uniform_weights(0, 4), [0, 0.25, 0.25, 0.25, 0.25])


@settings(deadline=None, max_examples=30)
@given(st.floats(0.001, 0.15), st.floats(0.05, 1.0), st.integers(1, 40), st.floats(0.01, 3.0))
def test_without_noise_the_loop_keeps_exactly_the_share_b(langevin_lr, averaging, steps, gamma):
    x = np.array([[2.0], [-1.5]])
    loop = {"langevin_steps": steps, "langevin_lr": langevin_lr, "averaging": averaging}
    mu = estimated_mean(quadratic_gradient, x, gamma, **loop, noise=0.0, rng=np.random.default_rng(0))
    exact = gamma / (LAM + gamma) * x[:, 0]
    weights = averaging_weights(averaging, steps)
    kept, variance = quadratic_estimate(LAM, gamma, weights, langevin_lr=langevin_lr, noise=0.0)
    assert_allclose(mu[:, 0], exact + kept * (x[:, 0] - exact), rtol=1e-9, atol=1e-12)
    assert_allclose(variance, 0)


def in_law(mu, mean, variance):
    """Do n independent normals have this mean and variance? False with probability 1e-6 where they have."""
    n = len(mu)
    z = (mu.mean() - mean) / np.sqrt(variance / n)
    chi2 = mu.var(ddof=1) / variance * (n - 1)
    level = FALSE_ALARM / 4  # two tests, two sides
    mean_fits = abs(z) < stats.norm.isf(level)
    return mean_fits and stats.chi2.ppf(level, n - 1) < chi2 < stats.chi2.isf(level, n - 1)


@pytest.mark.parametrize(("slip", "fits"), [(1.0, True), (np.sqrt(2), False), (1 / np.sqrt(2), False)])
def test_with_noise_the_loop_has_the_variance_it_should_and_a_slip_of_root_two_shows(slip, fits):
    """20,000 chains: a variance off by 8 % is caught with probability 0.99, one off by 2 (the noise by √2) always."""
    x = np.tile([[2.0], [-1.5]], 20_000)
    loop = {**LOOP, "noise": 0.9}
    mu = estimated_mean(quadratic_gradient, x, GAMMA, **{**loop, "noise": 0.9 * slip}, rng=np.random.default_rng(1))
    weights = averaging_weights(LOOP["averaging"], LOOP["langevin_steps"])
    kept, variance = quadratic_estimate(LAM, GAMMA, weights, langevin_lr=LOOP["langevin_lr"], noise=0.9)
    exact = GAMMA / (LAM + GAMMA) * x[:, 0]
    for i in range(2):
        assert in_law(mu[i], exact[i] + kept[i] * (x[i, 0] - exact[i]), variance[i]) == fits


def test_for_any_weights_the_law_is_that_of_a_langevin_chain():
    """The same sum over plain Langevin chains of f + γ/2 |x' − x|², another piece of the package."""
    n, steps, lr, noise, x = 20_000, 15, 0.05, 1.1, 2.0
    samples = langevin(
        lambda u: 1.0 * u + GAMMA * (u - x),
        np.full((1, n), x),
        lr,
        steps,
        2 / noise**2,
        rng=np.random.default_rng(2),
    )[:, 0]
    exact = GAMMA / (1 + GAMMA) * x
    for weights in (uniform_weights(5, steps), averaging_weights(0.2, steps), np.linspace(0, 2 / (steps + 1), 16)):
        mu = weights[0] * x + weights[1:] @ samples
        kept, variance = quadratic_estimate(LAM[:1], GAMMA, weights, langevin_lr=lr, noise=noise)
        assert in_law(mu, exact * weights.sum() + kept[0] * (x - exact), variance[0])


def test_a_long_loop_with_slow_averaging_finds_the_mean_and_with_alpha_one_the_spread():
    noise, lr = noise_for(2.0), 0.001
    kept, variance = quadratic_estimate(LAM, GAMMA, averaging_weights(1.0, 20_000), langevin_lr=lr, noise=noise)
    stiffness = LAM + GAMMA
    assert_allclose(kept, 0, atol=1e-12)
    assert_allclose(variance, 1 / (2.0 * stiffness * (1 - lr * stiffness / 2)), rtol=1e-6)  # the chain's own
    kept, variance = quadratic_estimate(LAM, GAMMA, averaging_weights(0.001, 20_000), langevin_lr=lr, noise=noise)
    assert_allclose(kept, 0, atol=1e-6)
    assert np.all(variance < 0.5 / (2.0 * stiffness))


@settings(deadline=None, max_examples=30)
@given(
    st.floats(0.1, 5), st.floats(0.1, 3), st.integers(1, 25), st.floats(0.01, 0.1), st.floats(0.1, 2), st.floats(0.1, 3)
)
def test_no_weights_do_better_than_the_best(curvature, gamma, steps, lr, noise, distance):
    setting = {"langevin_lr": lr, "noise": noise, "distance": distance}

    def error(weights):
        return quadratic_error(curvature, gamma, weights, **setting)

    best = best_weights(curvature, gamma, steps, **setting)
    assert_allclose(best.sum(), 1, rtol=1e-9)
    least = error(best)
    rng = np.random.default_rng(steps)
    rivals = [averaging_weights(a, steps) for a in (0.05, 0.25, 0.75, 1.0)] + [uniform_weights(0, steps)]
    for _ in range(5):
        push = 0.1 * rng.standard_normal(steps + 1)
        rivals.append(best + push - push.mean())
    for rival in rivals:
        assert error(rival) >= least * (1 - 1e-9)


def test_the_error_is_bias_and_spread_together():
    rng = np.random.default_rng(3)
    mu = estimated_mean(quadratic_gradient, np.full((1, 50_000), 1.8), GAMMA, **LOOP, noise=0.7, rng=rng)
    distance = 1.8 / (1 + GAMMA)
    squares = (mu[0] - GAMMA * distance) ** 2
    expected = quadratic_error(1.0, GAMMA, averaging_weights(0.3, 12), langevin_lr=0.07, noise=0.7, distance=distance)
    z = (squares.mean() - expected**2) / (squares.std() / np.sqrt(len(squares)))
    assert abs(z) < stats.norm.isf(FALSE_ALARM / 2)
