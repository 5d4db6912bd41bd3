"""The family of flat-minimum optimizers: loops written out, coincidences, closed forms on quadratics.

Each statistical test has a false-alarm rate of 1e-6 (a chi-square interval for a variance).
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import chi2

from esgd_minimal.toy import flat_minima, optimizers
from esgd_minimal.toy.curvature import directions
from esgd_minimal.toy.estimator import averaging_weights
from esgd_minimal.toy.landscapes import (
    gradient,
    hessian,
    quadratic,
    quadratic_gradient,
    wide_and_sharp,
    wide_and_sharp_gradient,
)
from esgd_minimal.toy.langevin import noisy

START = np.random.default_rng(0).uniform(-2, 2, (2, 6))
WALK = {"langevin_lr": 0.02, "langevin_steps": 7}
slope = wide_and_sharp_gradient


def stochastic(seed=3):
    return noisy(slope, 1.0, np.random.default_rng(seed))


def iterates(f, x, lr, n):
    path = [x]
    for _ in range(n):
        path.append(path[-1] - lr * f(path[-1]))
    return np.array(path)


def test_sam_is_its_formula():
    x = START
    for _ in range(15):
        g = slope(x)
        x = x - 0.01 * slope(x + 0.2 * g / np.sqrt(g[0] ** 2 + g[1] ** 2))
    run = flat_minima.sam(slope, START, 0.01, 15, 0.2)
    assert_allclose(run.x[-1], x, rtol=1e-11)
    assert run.evaluations[-1] == 30


def test_sam_stays_where_the_slope_is_zero():
    still = flat_minima.sam(quadratic_gradient, np.zeros((2, 1)), 0.1, 5, 0.3).x
    assert_allclose(still, 0)


def test_swa_is_the_mean_of_every_seventh_iterate():
    path = iterates(stochastic(), START, 0.02, 70)[::7]
    run = flat_minima.swa(stochastic(), START, 0.02, 10, langevin_steps=7)
    assert_allclose(run.x[-1], path.mean(axis=0), rtol=1e-11)
    late = flat_minima.swa(stochastic(), START, 0.02, 10, langevin_steps=7, start=4)
    assert_allclose(late.x[:5], path[:5], rtol=1e-11)
    assert_allclose(late.x[-1], path[4:].mean(axis=0), rtol=1e-11)
    assert late.evaluations[-1] == 70


def test_ema_is_a_weighted_sum_of_the_iterates():
    path = iterates(stochastic(), START, 0.02, 30)
    weights = averaging_weights(0.1, 30)
    run = flat_minima.ema(stochastic(), START, 0.02, 30, averaging=0.1)
    assert_allclose(run.x[-1], np.tensordot(weights, path, axes=1), rtol=1e-10)


def test_lookahead_is_its_loop():
    f, x = stochastic(), START
    for _ in range(5):
        x = x + 0.4 * (iterates(f, x, 0.02, 7)[-1] - x)
    run = flat_minima.lookahead(stochastic(), START, 0.4, 5, **WALK)
    assert_allclose(run.x[-1], x, rtol=1e-11)
    assert run.evaluations[-1] == 35


def test_reptile_takes_one_task_a_round():
    tilts = np.random.default_rng(1).standard_normal((5, 2, 1))
    x = START
    for tilt in tilts:
        x = x + 0.4 * (iterates(lambda y, tilt=tilt: slope(y) + tilt, x, 0.02, 7)[-1] - x)
    run = flat_minima.reptile(lambda t: lambda y: slope(y) + tilts[t], START, 0.4, 5, **WALK)
    assert_allclose(run.x[-1], x, rtol=1e-11)


def test_entropy_sgd_is_that_of_the_optimizers():
    settings_ = {**WALK, "averaging": 0.3, "noise": 0.7}
    ours = flat_minima.entropy_sgd(slope, START, 0.6, 8, 2.0, rng=np.random.default_rng(5), **settings_)
    theirs = optimizers.entropy_sgd(slope, START, 0.6, 8, 2.0, rng=np.random.default_rng(5), **settings_)
    assert_allclose(ours.x, theirs.x, rtol=1e-10)
    assert_allclose(ours.evaluations, theirs.evaluations)


@settings(deadline=None, max_examples=20)
@given(lr=st.floats(0.1, 1.0), steps=st.integers(1, 9), averaging=st.floats(0.1, 1.0))
def test_entropy_sgd_without_spring_and_noise_is_lookahead_with_a_weighted_report(lr, steps, averaging):
    inner = {"langevin_lr": 0.02, "langevin_steps": steps}
    x = START
    f = stochastic()
    for _ in range(3):
        path = iterates(f, x, 0.02, steps)
        x = x + lr * (np.tensordot(averaging_weights(averaging, steps), path, axes=1) - x)
    run = flat_minima.entropy_sgd(stochastic(), START, lr, 3, 0.0, averaging=averaging, **inner)
    assert_allclose(run.x[-1], x, rtol=1e-9, atol=1e-12)
    last = flat_minima.entropy_sgd(stochastic(), START, lr, 3, 0.0, averaging=1.0, **inner)
    assert_allclose(last.x, flat_minima.lookahead(stochastic(), START, lr, 3, **inner).x, rtol=1e-9, atol=1e-12)


def test_the_rest_of_the_coincidences():
    descent = optimizers.gradient_descent(stochastic(), START, 0.02, 21)
    all_the_way = flat_minima.lookahead(stochastic(), START, 1.0, 3, **WALK)
    assert_allclose(all_the_way.x, descent.x[::7], rtol=1e-11)
    assert_allclose(flat_minima.ema(stochastic(), START, 0.02, 21, 1.0).x, descent.x, rtol=1e-11)
    short = flat_minima.lookahead(stochastic(), START, 0.5, 21, langevin_lr=0.04, langevin_steps=1)
    assert_allclose(short.x, descent.x, rtol=1e-10)
    task = stochastic()
    one_task = flat_minima.reptile(lambda t: task, START, 0.5, 3, **WALK)
    assert_allclose(one_task.x, flat_minima.lookahead(stochastic(), START, 0.5, 3, **WALK).x, rtol=1e-12)


def test_sam_expands_to_the_penalized_slope():
    g = slope(START)
    length = np.linalg.norm(g, axis=0)
    penalty = np.einsum("ijn,jn->in", hessian(wide_and_sharp)(START), g / length)
    off = [np.abs(flat_minima.uphill(slope, r)(START) - g - r * penalty).max() for r in (4e-3, 2e-3, 1e-3)]
    assert_allclose(np.divide(off[:-1], off[1:]), 4, rtol=0.05)
    wrong = [np.abs(flat_minima.uphill(slope, r)(START) - g - 1.1 * r * penalty).max() for r in (4e-3, 2e-3)]
    assert wrong[0] / wrong[1] < 3  # an error of a tenth in the penalty is of first order


@pytest.mark.parametrize("stiffness", [0.2, 0.9, 1.0, 1.5, 1.9])
def test_sam_leaps_from_side_to_side_of_a_quadratic(stiffness):
    run = flat_minima.sam(lambda x: stiffness * x, np.array([[3.0, -0.01]]), 1.0, 600, 0.3).x
    assert_allclose(np.abs(run[-1]), 0.3 * stiffness / (2 - stiffness), rtol=1e-10)
    assert_allclose(run[-1], -run[-2], rtol=1e-10)


def test_held_noise_is_that_of_one_batch():
    f = flat_minima.held(lambda x: 0 * x, 2.0, np.random.default_rng(0), calls=3)
    kicks = np.array([f(np.zeros((2, 500))) for _ in range(7)])
    assert_allclose(kicks[0], kicks[2])
    assert_allclose(kicks[3], kicks[5])
    assert np.abs(kicks[2] - kicks[3]).min() > 0
    assert np.abs(kicks[5] - kicks[6]).min() > 0
    assert abs(kicks[::3].std() / 2 - 1) < 5 / np.sqrt(2 * 3000)


def test_worst_case_of_a_round_bowl_is_exact():
    x = np.random.default_rng(0).uniform(-2, 2, (2, 40))
    bowl = lambda x: quadratic(x, (3.0, 3.0))  # noqa: E731
    exact = 1.5 * (np.linalg.norm(x, axis=0) + 0.4) ** 2
    assert_allclose(flat_minima.worst_case(bowl, x, 0.4, angles=2000), exact, rtol=1e-5)
    off = [np.max(exact - flat_minima.worst_case(bowl, x, 0.4, angles=n)) for n in (32, 64, 128)]
    assert np.all(np.array(off) > 0)
    assert off[2] < off[0] / 8  # second order in the spacing


def test_worst_case_finds_a_peak_inside_the_ball():
    peak = lambda x: np.exp(-np.sum(x**2, axis=0) / 0.02)  # noqa: E731
    assert_allclose(flat_minima.worst_case(peak, np.array([[0.3], [0.0]]), 0.5, radii=50, angles=360), 1, atol=1e-2)
    assert_allclose(flat_minima.worst_case(quadratic, START, 0.0), quadratic(START))


def test_the_mean_on_a_circle_adds_a_quarter_of_the_laplacian():
    average = flat_minima.circle_average(quadratic, 0.5)
    assert_allclose(average(START), quadratic(START) + 0.5**2 / 4 * 11.0, rtol=1e-12)
    plane = np.random.default_rng(1).uniform(-2, 2, (2, 4, 5))
    assert flat_minima.circle_average(wide_and_sharp, 0.3)(plane).shape == (4, 5)
    fine = flat_minima.circle_average(wide_and_sharp, 0.3, angles=200)(START)
    assert_allclose(flat_minima.circle_average(wide_and_sharp, 0.3)(START), fine, rtol=1e-8)


def test_sam_in_heavy_noise_is_descent_on_the_mean_on_a_circle():
    """The mean of 4e5 gradients against ∇f_ρ: within 6 standard errors and the bound √(2π) Λ ρ |∇f| / s."""
    rng = np.random.default_rng(2)
    x = np.array([[0.9], [0.3]])
    f = flat_minima.held(slope, 300.0, rng, calls=2)
    uphill = flat_minima.uphill(f, 0.3)
    smooth = gradient(flat_minima.circle_average(wide_and_sharp, 0.3))(x)[:, 0]
    seen = uphill(np.tile(x, 400_000))
    error = 6 * 300 / np.sqrt(400_000)
    assert np.linalg.norm(seen.mean(axis=1) - smooth) < error + 2.6 * 70 * 0.3 * np.linalg.norm(slope(x)) / 300
    directions_ = directions(720)
    ring = slope(x + 0.3 * directions_).mean(axis=1)
    assert_allclose(ring, smooth, rtol=1e-8)


def variance_is(samples, exact, rate=1e-6):
    low, high = chi2.ppf([rate / 2, 1 - rate / 2], df=samples.size) / samples.size
    return low < np.mean(samples**2) / exact < high


@pytest.mark.parametrize(("lr", "averaging", "gamma"), [(0.5, 1.0, 0.0), (0.7, 0.3, 4.0), (1.0, 0.75, 0.0)])
def test_the_stationary_variance_is_that_of_many_chains(lr, averaging, gamma):
    """6000 chains: a variance off by 15 % is told from the right one with a power above 0.99."""
    curvature, f = 6.0, noisy(lambda x: 6.0 * x, 1.0, np.random.default_rng(1))
    inner = {"langevin_lr": 0.05, "langevin_steps": 8}
    ends = flat_minima.entropy_sgd(f, np.zeros((1, 6000)), lr, 60, gamma, averaging=averaging, **inner).x[-1]
    weights = averaging_weights(averaging, 8)
    exact = flat_minima.stationary_variance(np.array([curvature]), lr, 0.05, weights, gamma)[0]
    assert variance_is(ends, exact)
    assert not variance_is(ends, 1.15 * exact)
    assert not variance_is(ends, exact / 1.15)


def test_the_stationary_variance_of_sgd_and_lookahead_is_the_closed_form():
    k = np.array([1.0, 10.0, 30.0])
    r = 1 - 0.05 * k
    assert_allclose(flat_minima.stationary_variance(k, 1.0, 0.05, np.array([0.0, 1.0])), 0.05**2 / (1 - r**2))
    end = np.eye(9)[-1]
    lookahead = 0.25 * 0.05**2 * (1 - r**16) / (1 - r**2) / (1 - (0.5 + 0.5 * r**8) ** 2)
    assert_allclose(flat_minima.stationary_variance(k, 0.5, 0.05, end), lookahead)
    with pytest.raises(ValueError, match="contracts"):
        flat_minima.stationary_variance(np.array([50.0]), 1.0, 0.05, end)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: flat_minima.sam(slope, START, 0.1, 5, -1.0), "rho must be 0 or more"),
        (lambda: flat_minima.sam(slope, START, 0.0, 5, 0.1), "step must be positive"),
        (lambda: flat_minima.ema(slope, START, 0.1, 5, 0.0), "averaging must be in"),
        (lambda: flat_minima.swa(slope, START, 0.1, 5, 0), "langevin_steps must be 1 or more"),
        (lambda: flat_minima.lookahead(slope, START, 0.0, 5, **WALK), "lr must be positive"),
        (lambda: flat_minima.entropy_sgd(slope, START, 1.0, 5, 1.0, noise=0.1, **WALK), "needs an rng"),
        (lambda: flat_minima.held(slope, -1.0, np.random.default_rng(), 2), "scale must be 0 or more"),
        (lambda: flat_minima.held(slope, 1.0, np.random.default_rng(), 0), "calls must be 1 or more"),
        (lambda: flat_minima.worst_case(quadratic, np.zeros((3, 2)), 0.1), "shape"),
        (lambda: flat_minima.lookahead(lambda x: -50 * x, START, 1.0, 500, **WALK), "left the finite numbers"),
    ],
)
def test_bad_input_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()
