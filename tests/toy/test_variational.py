"""Gaussian variational inference: the identities against quadrature and closed forms, the gradients against both.

The statistical checks ask for |estimate − exact| < 4.9 standard errors (a false alarm of 1e-6 each), and each is
shown to catch a planted error.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esgd_minimal.toy import landscapes
from esgd_minimal.toy.grids import grid
from esgd_minimal.toy.local_entropy import (
    local_covariance,
    local_entropy,
    local_free_energy,
    local_gradient,
    local_mean,
)
from esgd_minimal.toy.variational import (
    Gaussian,
    best_gaussian,
    expectation,
    gap,
    kl_to_prior,
    prior,
    reparameterized_gradient,
    svi,
    variational_free_energy,
)

SIGMAS = 4.9
LINE = grid(((-6.0, 6.0),), 1201)
PLANE = grid(((-4.0, 4.0), (-4.0, 4.0)), 401)
CASES = [(landscapes.double_well, LINE, 1), (landscapes.wide_and_sharp, PLANE, 2), (landscapes.rastrigin, LINE, 1)]


def some_gaussians(d, n, rng):
    return Gaussian(rng.uniform(-1, 1, (d, n)), rng.uniform(0.1, 0.45, (d, n)))


@pytest.mark.parametrize(("energy", "box", "d"), CASES)
@pytest.mark.parametrize("beta", [1.0, 2.5])
def test_the_bound_is_the_local_free_energy_plus_the_gap(energy, box, d, beta):
    rng, gamma = np.random.default_rng(0), 1.5
    q, x = some_gaussians(d, 4, rng), rng.uniform(-1, 1, (d, 4))
    phi = local_free_energy(local_entropy(energy, x, gamma, box, beta), gamma, d, beta)
    bound = variational_free_energy(energy, q, x, gamma, beta)
    excess = gap(energy, q, x, gamma, box, beta) / beta
    np.testing.assert_allclose(bound - phi, excess, atol=1e-7)
    assert np.all(excess > 1e-3)


@settings(max_examples=40, deadline=None)
@given(
    m=st.floats(-2, 2), s=st.floats(0.05, 1.5), x=st.floats(-2, 2), gamma=st.floats(0.3, 5.0), beta=st.floats(0.3, 3.0)
)
def test_no_gaussian_lies_below_the_local_free_energy(m, s, x, gamma, beta):
    q, x = Gaussian(np.array([[m]]), np.array([[s]])), np.array([[x]])
    phi = local_free_energy(local_entropy(landscapes.double_well, x, gamma, LINE, beta), gamma, 1, beta)
    assert variational_free_energy(landscapes.double_well, q, x, gamma, beta) >= phi - 1e-9


def test_kl_to_the_prior_is_the_integral():
    rng = np.random.default_rng(1)
    q, x, gamma, beta = some_gaussians(2, 3, rng), rng.uniform(-1, 1, (2, 3)), 1.3, 0.7

    def log_ratio(z):  # log q − log P at points (2, 3, k)
        p = prior(x, gamma, beta)
        logs = [-0.5 * ((z - g.mean[..., None]) / g.std[..., None]) ** 2 - np.log(g.std[..., None]) for g in (q, p)]
        return np.sum(logs[0] - logs[1], axis=0)

    np.testing.assert_allclose(kl_to_prior(q, x, gamma, beta), expectation(log_ratio, q), atol=1e-10)
    np.testing.assert_allclose(kl_to_prior(prior(x, gamma, beta), x, gamma, beta), 0, atol=1e-14)


def test_expectation_of_polynomials():
    q = Gaussian(np.array([[0.3], [-1.0]]), np.array([[0.5], [2.0]]))
    np.testing.assert_allclose(expectation(lambda z: z[0] ** 4, q), 0.3**4 + 6 * 0.3**2 * 0.25 + 3 * 0.25**2)
    np.testing.assert_allclose(expectation(lambda z: z**2, q)[:, 0], [0.09 + 0.25, 1 + 4])


def test_the_best_gaussian_of_a_bowl_is_the_local_gibbs_measure():
    x, gamma, beta = np.array([[0.5, -1.0], [0.2, 0.7]]), 2.0, 1.7
    q = best_gaussian(landscapes.quadratic, x, gamma, beta)
    np.testing.assert_allclose(q.mean, local_mean(landscapes.quadratic, x, gamma, PLANE, beta), atol=1e-6)
    variance = np.einsum("iin->in", local_covariance(landscapes.quadratic, x, gamma, PLANE, beta))
    np.testing.assert_allclose(q.std**2, variance, rtol=1e-5)
    assert np.all(np.abs(gap(landscapes.quadratic, q, x, gamma, PLANE, beta)) < 1e-9)


def test_a_factorized_gaussian_in_a_tilted_bowl():
    """Its mean is right, its precisions are the diagonal of the precision matrix, and the gap is the textbook's."""
    stiff = np.array([[3.0, 1.2], [1.2, 1.0]])

    def tilted(x):
        return 0.5 * (stiff[0, 0] * x[0] ** 2 + 2 * stiff[0, 1] * x[0] * x[1] + stiff[1, 1] * x[1] ** 2)

    x, gamma = np.array([[0.4], [-0.3]]), 0.8
    precision = stiff + gamma * np.eye(2)
    q = best_gaussian(tilted, x, gamma)
    np.testing.assert_allclose(q.mean[:, 0], gamma * np.linalg.solve(precision, x[:, 0]), atol=1e-6)
    np.testing.assert_allclose(q.std[:, 0] ** -2, np.diag(precision), rtol=1e-5)
    expected = 0.5 * np.log(np.prod(np.diag(precision)) / np.linalg.det(precision))
    np.testing.assert_allclose(gap(tilted, q, x, gamma, grid(((-6, 6), (-6, 6)), 401)), expected, atol=1e-6)


def test_narrow_starts_find_narrow_parts():
    x, gamma = np.array([[0.1]]), 1.0

    def wells(u):
        return landscapes.double_well(u, 4.0)

    from_prior = best_gaussian(wells, x, gamma)
    starts = Gaussian(np.array([[-1.0, 1.0]]), np.full((1, 2), 0.3))
    best = best_gaussian(wells, x, gamma, starts=starts)
    low, high = (variational_free_energy(wells, q, x, gamma)[0] for q in (best, from_prior))
    assert low < high - 0.5
    assert best.mean[0, 0] > 0.8


def test_the_exact_reparameterized_gradient_is_the_slope_of_the_bound():
    rng, gamma, beta, h = np.random.default_rng(2), 0.9, 1.6, 1e-5
    q, x = some_gaussians(2, 3, rng), rng.uniform(-1, 1, (2, 3))
    energy = landscapes.wide_and_sharp
    by_mean, by_log_std = exact_gradient(landscapes.wide_and_sharp_gradient, q, x, gamma, beta)

    def bound(dm, dlog):
        return variational_free_energy(energy, Gaussian(q.mean + dm, q.std * np.exp(dlog)), x, gamma, beta)

    for i in range(2):
        step = h * np.eye(2)[:, i : i + 1]
        np.testing.assert_allclose(by_mean[i], (bound(step, 0) - bound(-step, 0)) / (2 * h), atol=1e-7)
        np.testing.assert_allclose(by_log_std[i], (bound(0, step) - bound(0, -step)) / (2 * h), atol=1e-7)


def exact_gradient(gradient, q, x, gamma, beta):
    """By Gauss and Hermite, a rule that the module does not use."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    draws = np.stack(np.meshgrid(nodes, nodes, indexing="ij")).reshape(2, 1, -1)
    weights = np.multiply.outer(weights, weights).ravel() / (2 * np.pi)
    return reparameterized_gradient(gradient, q, x, gamma, draws, beta, weights)


@pytest.mark.parametrize("planted", [0.0, 0.1])
def test_the_stochastic_gradient_is_unbiased(planted):
    rng, gamma, beta = np.random.default_rng(3), 0.9, 1.6
    q, x = some_gaussians(2, 1, rng), np.array([[0.4], [-0.2]])
    exact = np.stack(exact_gradient(landscapes.wide_and_sharp_gradient, q, x, gamma, beta))
    many = Gaussian(*(np.repeat(each, 20_000, axis=1) for each in q))
    draws = rng.standard_normal((2, 20_000, 1))
    slopes = np.stack(reparameterized_gradient(landscapes.wide_and_sharp_gradient, many, x, gamma, draws, beta))
    slopes += planted
    off = np.abs(slopes.mean(axis=-1) - exact[..., 0]) / (slopes.std(axis=-1, ddof=1) / np.sqrt(20_000))
    assert np.all(off < SIGMAS) == (planted == 0)


def test_at_the_best_gaussian_the_pull_is_the_mean_slope():
    """γ (x − m) = E_q ∇f, and it is the slope of the bound's minimum in x."""
    x, gamma, h = np.array([[0.7]]), 1.2, 1e-4
    q = best_gaussian(landscapes.double_well, x, gamma)
    pull = gamma * (x - q.mean)
    np.testing.assert_allclose(pull, expectation(landscapes.double_well_gradient, q), atol=1e-6)
    lowest = [
        variational_free_energy(
            landscapes.double_well, best_gaussian(landscapes.double_well, x + dx, gamma), x + dx, gamma
        )
        for dx in (-h, h)
    ]
    np.testing.assert_allclose((lowest[1] - lowest[0]) / (2 * h), pull[0], atol=1e-5)
    assert abs(pull - local_gradient(landscapes.double_well, x, gamma, LINE)).item() > 0.01


def test_svi_settles_at_the_local_gibbs_measure_of_a_bowl():
    runs, gamma, beta = 400, 1.0, 2.0
    x = np.full((1, runs), 1.5)
    path = svi(
        landscapes.quadratic_gradient,
        prior(x, gamma, beta),
        x,
        gamma,
        0.05,
        600,
        beta,
        std_lr=0.01,
        rng=np.random.default_rng(4),
    )
    means = path.mean[300:, 0].mean(axis=0)
    exact = 0.75  # γ x / (λ + γ) with λ = 1
    assert abs(means.mean() - exact) < SIGMAS * means.std(ddof=1) / np.sqrt(runs)
    assert abs(means.mean() + 0.03 - exact) > SIGMAS * means.std(ddof=1) / np.sqrt(runs)
    np.testing.assert_allclose(np.mean(path.std[300:] ** 2), 1 / (beta * 2), rtol=0.05)
    np.testing.assert_array_equal(path.evaluations, np.arange(601))


def test_noise_of_svi_on_a_bowl():
    """With s held, m is an autoregression: its stationary variance is ηλ²s²/(κ (2 − ηκ)) exactly."""
    lr, gamma, curvature, s, runs = 0.2, 1.0, 2.0, 0.5, 4000
    x = np.zeros((1, runs))
    q = Gaussian(x, np.full((1, runs), s))
    path = svi(lambda u: curvature * u, q, x, gamma, lr, 60, std_lr=0.0, rng=np.random.default_rng(5))
    kappa = curvature + gamma
    exact = lr * curvature**2 * s**2 / (kappa * (2 - lr * kappa))
    measured = path.mean[-1].var()
    assert abs(measured / exact - 1) < SIGMAS * np.sqrt(2 / runs)
    assert abs(measured / (exact * 1.25) - 1) > SIGMAS * np.sqrt(2 / runs)
    assert np.all(path.std == s)


@pytest.mark.parametrize("planted", [0.0, 0.1])
def test_a_moving_prior_lets_q_go(planted):
    """On a bowl around 1 the mean goes to 1 if the prior moves, and half the way if it is held at 3."""
    x = np.full((1, 400), 3.0)
    arguments = (lambda u: landscapes.quadratic_gradient(u - 1), Gaussian(x, np.full((1, 400), 0.5)))
    for held, target in ((None, 1.0), (x, 2.0)):
        path = svi(*arguments, held, 1.0, 0.05, 600, rng=np.random.default_rng(6))
        means = path.mean[300:, 0].mean(axis=0) + planted
        assert (abs(means.mean() - target) < SIGMAS * means.std(ddof=1) / np.sqrt(400)) == (planted == 0)


def test_what_is_refused():
    x = np.zeros((1, 2))
    q = prior(x, 1.0)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="scope gamma"):
        kl_to_prior(q, x, -1.0)
    with pytest.raises(ValueError, match="one column a point"):
        best_gaussian(landscapes.quadratic, np.zeros(2), 1.0)
    with pytest.raises(ValueError, match="lr and steps must be positive"):
        svi(landscapes.quadratic_gradient, q, x, 1.0, 0.0, 5, rng=rng)
    with pytest.raises(ValueError, match="left the finite numbers"):
        svi(landscapes.double_well_gradient, Gaussian(x + 9, x + 1), x, 1.0, 1.0, 60, rng=rng)
    with pytest.raises(ValueError, match="its spacing must be below"):
        gap(landscapes.quadratic, Gaussian(x, x + 1e-3), x, 1.0, LINE)
