"""Optimizers against closed forms: on a quadratic, each of them is a linear map."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from esgd_minimal.toy import optimizers
from esgd_minimal.toy.landscapes import GALLERY, gradient, quadratic_gradient
from esgd_minimal.toy.optimizers import entropy_sgd, gradient_descent, heavy_ball, nesterov, sgd

CURVATURES = np.array([[1.0], [10.0]])
START = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])


def mean_of_the_chain(x, curvature, gamma, langevin_lr, averaging, langevin_steps):
    """μ after a noiseless chain on ½ λ x², summed as a geometric series (the loop of Algorithm 1 in closed form)."""
    r = 1 - langevin_lr * (curvature + gamma)
    b = 1 - averaging
    m = gamma * x / (curvature + gamma)
    bL, rL = b**langevin_steps, r**langevin_steps
    return bL * x + m * (1 - bL) + averaging * r * (bL - rL) / (b - r) * (x - m)


def entropy_sgd_on_quadratic(lr, steps, gamma, literal, scoping, **chain):
    """The whole trajectory of a noiseless Entropy-SGD on the quadratic, by the closed form."""
    path = [START]
    for t in range(steps):
        scope = gamma * (1 + scoping) ** t
        mu = mean_of_the_chain(path[-1], CURVATURES, scope, **chain)
        path.append(path[-1] - lr * (scope if literal else 1.0) * (path[-1] - mu))
    return np.stack(path)


def test_gradient_descent_on_a_quadratic_is_a_power():
    path = gradient_descent(quadratic_gradient, START, lr=0.03, steps=40).x
    powers = np.arange(41)[:, None, None]
    assert_allclose(path, (1 - 0.03 * CURVATURES) ** powers * START, rtol=1e-12)


@pytest.mark.parametrize("method", [heavy_ball, nesterov])
def test_momentum_on_a_quadratic_is_a_two_term_recursion(method):
    """Heavy ball: x₊ = (1 + m − ηλ) x − m x₋. Nesterov: x₊ = (1 − ηλ) (x + m (x − x₋)). From rest, x₋ = x₀."""
    lr, m = 0.03, 0.8
    expected = [START, START]
    for _ in range(30):
        old, x = expected[-2:]
        if method is heavy_ball:
            expected.append((1 + m - lr * CURVATURES) * x - m * old)
        else:
            expected.append((1 - lr * CURVATURES) * (x + m * (x - old)))
    path = method(quadratic_gradient, START, lr=lr, steps=30, momentum=m).x
    assert_allclose(path, np.stack(expected[1:]), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("method", [heavy_ball, nesterov])
def test_without_momentum_both_are_gradient_descent(method):
    slope = gradient(GALLERY["himmelblau"].energy)
    plain = gradient_descent(slope, START, 0.01, 50).x
    assert_allclose(method(slope, START, 0.01, 50, momentum=0.0).x, plain, rtol=1e-12)


@pytest.mark.parametrize("literal", [False, True])
@pytest.mark.parametrize("averaging", [0.75, 0.25])
def test_entropy_sgd_on_a_quadratic_is_the_closed_form(literal, averaging):
    chain = {"langevin_lr": 0.07, "averaging": averaging, "langevin_steps": 7}
    run = entropy_sgd(quadratic_gradient, START, 0.6, 12, 0.4, scoping=0.1, literal=literal, **chain)
    assert_allclose(run.x, entropy_sgd_on_quadratic(0.6, 12, 0.4, literal, 0.1, **chain), rtol=1e-11, atol=1e-14)


def test_the_closed_form_tells_the_variants_apart():
    """Each slip found in published codes moves μ by more than 1e-3, far beyond the tolerance."""
    right = {"curvature": CURVATURES, "gamma": 0.4, "langevin_lr": 0.07, "averaging": 0.75, "langevin_steps": 7}
    slips = [{"averaging": 0.25}, {"gamma": 0.0}, {"langevin_steps": 6}, {"langevin_lr": 0.14}]
    mu = mean_of_the_chain(START, **right)
    for slip in slips:
        assert np.abs(mean_of_the_chain(START, **{**right, **slip}) - mu).max() > 1e-3, slip


@settings(deadline=None, max_examples=40)
@given(
    gamma=st.floats(0.01, 2.0),
    langevin_lr=st.floats(0.01, 0.15),
    averaging=st.floats(0.05, 1.0),
    langevin_steps=st.integers(1, 12),
    lr=st.floats(0.1, 1.0),
)
def test_entropy_sgd_matches_the_closed_form_everywhere(gamma, langevin_lr, averaging, langevin_steps, lr):
    chain = {"langevin_lr": langevin_lr, "averaging": averaging, "langevin_steps": langevin_steps}
    # Where 1 − α and r meet, the closed form divides by zero; the loop has no such point.
    assume(np.abs(1 - averaging - (1 - langevin_lr * (CURVATURES + gamma))).min() > 1e-4)
    run = entropy_sgd(quadratic_gradient, START, lr, 3, gamma, **chain)
    assert_allclose(run.x, entropy_sgd_on_quadratic(lr, 3, gamma, False, 0.0, **chain), rtol=1e-8, atol=1e-10)


def test_the_mean_over_the_noise_is_the_noiseless_step_and_its_variance_is_known():
    """On a quadratic, one outer step with η = 1 is N(μ_L, Σ_j w_j²) with w_j the weight of the j-th draw in μ_L.

    Both checks are two-sided at 1e-6. A noise √2 too large doubles the variance: with 4,000 chains the
    relative error of the variance is 2.2 %, so the slip is 45 standard errors away.
    """
    n, L, gamma, lr, a, eps = 4_000, 5, 0.5, 0.1, 0.75, 0.3
    rng = np.random.default_rng(11)
    x0 = np.ones((1, n))

    def landing(noise):
        return entropy_sgd(
            lambda x: 2.0 * x, x0, 1.0, 1, gamma, langevin_steps=L, langevin_lr=lr, averaging=a, noise=noise, rng=rng
        ).x[1, 0]

    r, b = 1 - lr * (2.0 + gamma), 1 - a
    # The draw of step j reaches x'_k as r^(k−j), and x'_k weighs α b^(L−k) in μ_L.
    weights = np.array([sum(a * b ** (L - k) * r ** (k - j) for k in range(j, L + 1)) for j in range(1, L + 1)])
    variance = lr * eps**2 * np.sum(weights**2)
    mean = mean_of_the_chain(1.0, 2.0, gamma, lr, a, L)

    def surprise(sample):
        z_mean = abs(sample.mean() - mean) / np.sqrt(variance / n)
        z_variance = abs(np.mean((sample - mean) ** 2) / variance - 1) / np.sqrt(2 / n)
        return z_mean, z_variance

    assert max(surprise(landing(eps))) < 5.03  # P(|N(0,1)| > 5.03) < 5e-7, and two checks
    assert surprise(landing(np.sqrt(2) * eps))[1] > 5.03


@pytest.mark.parametrize("name", ["wide_and_sharp", "himmelblau", "double_well"])
def test_a_minimum_is_a_fixed_point_of_the_gradient_methods(name):
    landscape = GALLERY[name]
    slope = gradient(landscape.energy)
    start = np.array(landscape.minima, dtype=float).T
    bottom = gradient_descent(slope, start, 0.005, 4000).x[-1]
    assert np.abs(slope(bottom)).max() < 1e-9
    for method in (gradient_descent, heavy_ball, nesterov):
        assert_allclose(method(slope, bottom, 0.005, 5).x[-1], bottom, atol=1e-9)
    assert_allclose(entropy_sgd(slope, bottom, 1.0, 5, 1.0, langevin_lr=0.005).x[-1], bottom, atol=1e-9)


def test_a_chain_of_length_one_that_keeps_only_its_last_point_is_gradient_descent():
    slope = gradient(GALLERY["himmelblau"].energy)
    plain = gradient_descent(slope, START, 0.01, 30).x
    run = entropy_sgd(slope, START, 1.0, 30, 5.0, langevin_steps=1, langevin_lr=0.01, averaging=1.0)
    assert_allclose(run.x, plain, rtol=1e-12)


def test_every_method_counts_the_gradients_it_used():
    calls = 0

    def counted(x):
        nonlocal calls
        calls += 1
        return quadratic_gradient(x)

    rng = np.random.default_rng(0)
    for run in (
        lambda: gradient_descent(counted, START, 0.01, 12),
        lambda: sgd(counted, START, 0.01, 12, scale=0.1, rng=rng),
        lambda: heavy_ball(counted, START, 0.01, 12),
        lambda: nesterov(counted, START, 0.01, 12),
        lambda: entropy_sgd(counted, START, 0.5, 4, 0.1, langevin_steps=3, noise=0.1, rng=rng),
    ):
        calls = 0
        evaluations = run().evaluations
        assert evaluations[0] == 0
        assert evaluations[-1] == calls == 12


def test_sgd_adds_noise_of_the_scale_asked_for():
    """One step from the minimum is −η s ξ: n (variance) / (η s)² is χ² with n degrees; 1e-6, two-sided."""
    n, lr, scale = 20_000, 0.1, 0.7
    step = sgd(quadratic_gradient, np.zeros((1, n)), lr, 1, scale, np.random.default_rng(5)).x[1]
    z = (np.mean(step**2) / (lr * scale) ** 2 - 1) / np.sqrt(2 / n)
    assert abs(z) < 4.9
    assert abs((np.mean(2 * step**2) / (lr * scale) ** 2 - 1) / np.sqrt(2 / n)) > 4.9  # noise √2 too large


def test_injected_draws_and_a_generator_that_yields_them_agree():
    draws = np.random.default_rng(3).standard_normal((4, 5, *START.shape))
    settings = {"langevin_steps": 5, "langevin_lr": 0.05, "noise": 0.2}
    injected = entropy_sgd(quadratic_gradient, START, 0.9, 4, 0.3, draws=draws, **settings).x
    drawn = entropy_sgd(quadratic_gradient, START, 0.9, 4, 0.3, rng=np.random.default_rng(3), **settings).x
    assert np.array_equal(injected, drawn)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"lr": 0.0}, "lr must be positive; got 0.0"),
        ({"steps": -1}, "steps must be 0 or more; got -1"),
        ({"gamma": -0.1}, "gamma must be 0 or more; got -0.1"),
        ({"langevin_lr": 0.0}, "langevin_lr must be positive"),
        ({"langevin_steps": 0}, "langevin_steps must be 1 or more"),
        ({"averaging": 0.0}, "averaging must be in"),
        ({"averaging": 1.5}, "averaging must be in"),
        ({"scoping": -0.1}, "scoping must be 0 or more"),
        ({"noise": -1.0}, "noise must be 0 or more"),
        ({"noise": 0.1}, "needs an rng, or draws"),
        ({"draws": np.zeros((3, 20, 2))}, r"\(3, 20, 2, 3\); got \(3, 20, 2\)"),
        ({"x0": np.zeros(2)}, r"shape \(d, n\); got shape \(2,\)"),
        ({"langevin_lr": 3.0, "steps": 200}, "half the learning rate"),
    ],
)
def test_bad_input_is_answered_in_a_sentence(wrong, sentence):
    fine = {"x0": START, "lr": 0.5, "steps": 3, "gamma": 0.1}
    with pytest.raises(ValueError, match=sentence):
        entropy_sgd(quadratic_gradient, **{**fine, **wrong})


def test_a_diverging_descent_says_where():
    with pytest.raises(ValueError, match=r"Step \d+ of 5000 left the finite numbers in 1 of 2 chains"):
        gradient_descent(quadratic_gradient, np.array([[0.0, 0.0], [0.0, 1.0]]), 0.25, 5000)
    for method in (heavy_ball, nesterov):
        with pytest.raises(ValueError, match=r"momentum must be in \[0, 1\); got 1.0"):
            method(quadratic_gradient, START, 0.1, 3, momentum=1.0)
    with pytest.raises(ValueError, match="noise must not be negative"):
        sgd(quadratic_gradient, START, 0.1, 3, scale=-1.0, rng=np.random.default_rng(0))


def test_no_step_is_the_start_alone():
    path, evaluations = optimizers.gradient_descent(quadratic_gradient, START, 0.1, 0)
    assert np.array_equal(path, START[None]) and evaluations.tolist() == [0]
