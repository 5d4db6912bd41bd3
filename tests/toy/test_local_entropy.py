"""Local entropy by quadrature: closed forms, a second implementation, derivatives, limits, and bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from esgd_minimal.toy import landscapes, relaxations
from esgd_minimal.toy.convolution import log_product
from esgd_minimal.toy.grids import grid
from esgd_minimal.toy.local_entropy import (
    classical_entropy,
    crossing_gamma,
    local_covariance,
    local_entropy,
    local_entropy_by_fft,
    local_entropy_on_grid,
    local_free_energy,
    local_gradient,
    local_gradient_on_grid,
    local_hessian,
    local_mean,
    local_mean_on_grid,
)

ONE_D = grid(((-12.0, 12.0),), 961)
TWO_D = grid(((-9.0, 9.0), (-6.0, 6.0)), 257)
SCOPES = [0.1, 1.0, 7.0]


def points(box, n, seed=0):
    """n random points in the inner half of a box, shape (d, n)."""
    low, high = np.transpose(box)
    middle, half = (low + high) / 2, (high - low) / 4
    return middle[:, None] + half[:, None] * np.random.default_rng(seed).uniform(-1, 1, (len(box), n))


def quadratic_case(dimension):
    """A quadratic whose axes are turned in 2-D, its Hessian, and a grid that holds its local Gibbs measures."""
    a = np.array([[2.0]]) if dimension == 1 else np.array([[2.0, 0.7], [0.7, 4.0]])
    return (lambda x: 0.5 * np.einsum("i...,ij,j...->...", x, a, x)), a, ONE_D if dimension == 1 else TWO_D


@pytest.mark.parametrize("dimension", [1, 2])
@pytest.mark.parametrize("gamma", SCOPES)
@pytest.mark.parametrize("beta", [0.7, 3.0])
def test_quadratic_in_closed_form(dimension, gamma, beta):
    energy, a, box = quadratic_case(dimension)
    x = points(box.box, 5) / 3
    stiff = a + gamma * np.eye(dimension)
    mean = gamma * np.linalg.solve(stiff, x)
    covariance = np.linalg.inv(beta * stiff)
    lowest = 0.5 * gamma * np.sum(x * (x - mean), axis=0)
    volume = 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    arguments = (energy, x, gamma, box, beta)

    np.testing.assert_allclose(local_entropy(*arguments), volume - beta * lowest, atol=1e-8)
    np.testing.assert_allclose(local_mean(*arguments), mean, atol=1e-8)
    np.testing.assert_allclose(local_covariance(*arguments), np.repeat(covariance[..., None], 5, -1), atol=1e-8)
    np.testing.assert_allclose(local_gradient(*arguments), gamma * (x - mean), atol=1e-7)
    hessian = gamma * a @ np.linalg.inv(stiff)
    np.testing.assert_allclose(local_hessian(*arguments), np.repeat(hessian[..., None], 5, -1), atol=1e-6)
    np.testing.assert_allclose(classical_entropy(*arguments), volume + dimension / 2, atol=1e-8)


@pytest.mark.parametrize("name", landscapes.GALLERY)
@pytest.mark.parametrize("beta", [0.3, 30.0])
def test_separable_agrees_with_the_direct_sum_on_the_whole_gallery(name, beta):
    landscape = landscapes.GALLERY[name]
    box = grid(landscape.box, 33)
    gamma = 2 / (beta * max(box.spacing) ** 2)  # a kernel hardly wider than the spacing: the tails are far
    for scope in (gamma / 2, gamma / 200):
        whole = local_entropy_on_grid(landscape.energy, box, scope, beta)
        direct = local_entropy(landscape.energy, box.points.reshape(box.dimension, -1), scope, box, beta)
        np.testing.assert_allclose(whole.ravel(), direct, rtol=1e-12, atol=1e-11)
        mean = local_mean_on_grid(landscape.energy, box, scope, beta).reshape(box.dimension, -1)
        direct = local_mean(landscape.energy, box.points.reshape(box.dimension, -1), scope, box, beta)
        np.testing.assert_allclose(mean, direct, atol=1e-9)


def test_log_product_where_the_plain_product_underflows():
    rng = np.random.default_rng(1)
    a, b = rng.uniform(-3000, 0, (7, 40)), rng.uniform(-3000, 3000, (40, 5))
    expected = logsumexp(a[:, :, None] + b[None], axis=1)
    np.testing.assert_allclose(log_product(a, b), expected, rtol=1e-14)


def test_log_product_does_again_what_lost_its_largest_term():
    # In the plain product the second term is dropped, and the third, 1e15 times smaller, would stand for the sum.
    a, b = np.array([[0.0, -346.0, -190.0]]), np.array([[-1000.0], [0.0], [-190.0]])
    np.testing.assert_allclose(log_product(a, b), -346.0, rtol=1e-14)


@pytest.mark.parametrize("beta", [1e-3, 1.0, 1e4])
def test_nothing_overflows_from_hot_to_cold(beta):
    box = grid(landscapes.GALLERY["rosenbrock"].box, 129)
    gamma = 0.5 / (beta * max(box.spacing) ** 2)
    values = local_entropy_on_grid(landscapes.rosenbrock, box, gamma, beta)
    assert np.isfinite(values).all()
    assert np.isfinite(local_mean_on_grid(landscapes.rosenbrock, box, gamma, beta)).all()
    x = points(box.box, 3)
    assert np.isfinite(local_entropy(landscapes.rosenbrock, x, gamma, box, beta)).all()


def test_the_fourier_transform_loses_the_tails_and_the_products_do_not():
    box = grid(landscapes.GALLERY["rosenbrock"].box, 129)
    gamma = 200.0
    some = (slice(None, None, 4), slice(None, None, 4))
    x = box.points[:, ::4, ::4].reshape(2, -1)
    direct = local_entropy(landscapes.rosenbrock, x, gamma, box).reshape(33, 33)
    by_fft = local_entropy_by_fft(landscapes.rosenbrock, box, gamma)[some]
    separable = local_entropy_on_grid(landscapes.rosenbrock, box, gamma)[some]
    below = direct.max() - direct
    tail, centre = below > 45, below < 15

    assert np.abs(by_fft - direct)[centre].max() < 1e-7  # right where the integral is large …
    assert np.mean(np.abs(by_fft - direct)[tail] > 0.5) > 0.9  # … and nothing left where it is 1e19 times smaller
    assert np.abs(separable - direct).max() < 1e-10
    assert below.max() > 200


@settings(max_examples=25, deadline=None)
@given(
    x=st.tuples(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5)), gamma=st.floats(0.05, 20.0), beta=st.sampled_from([0.5, 3])
)
def test_gradient_and_hessian_are_the_derivatives_of_f(x, gamma, beta):
    box = grid(((-4.0, 4.0), (-4.0, 4.0)), 129)
    step = 1e-3 * np.hstack([np.eye(2), -np.eye(2)])
    x = np.array(x)[:, None]
    arguments = (landscapes.wide_and_sharp, gamma, box, beta)

    def phi(at):
        return -local_entropy(arguments[0], at, *arguments[1:]) / beta

    slope = (phi(x + step)[:2] - phi(x + step)[2:]) / 2e-3
    np.testing.assert_allclose(local_gradient(arguments[0], x, *arguments[1:])[:, 0], slope, atol=2e-4)
    slopes = local_gradient(arguments[0], x + step, *arguments[1:])
    np.testing.assert_allclose(
        local_hessian(arguments[0], x, *arguments[1:])[..., 0], (slopes[:, :2] - slopes[:, 2:]) / 2e-3, atol=2e-3
    )


def test_gradient_on_the_grid_is_the_gradient_at_its_points():
    box = grid(landscapes.GALLERY["muller_brown"].box, 33)
    whole = local_gradient_on_grid(landscapes.muller_brown, box, 10.0)
    at_points = local_gradient(landscapes.muller_brown, box.points.reshape(2, -1), 10.0, box)
    np.testing.assert_allclose(whole.reshape(2, -1), at_points, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(["wide_and_sharp", "himmelblau", "double_well", "saddle", "ring"]),
    gamma=st.floats(0.5, 30.0),
    beta=st.floats(0.1, 10.0),
    seed=st.integers(0, 10**6),
)
def test_curvature_never_exceeds_the_scope(name, gamma, beta, seed):
    landscape = landscapes.GALLERY[name]
    box = grid(landscape.box, 129)
    if beta * gamma * max(box.spacing) ** 2 > 1:
        beta = 1 / (gamma * max(box.spacing) ** 2)
    x = points(landscape.box, 8, seed)
    curvatures = np.linalg.eigvalsh(np.moveaxis(local_hessian(landscape.energy, x, gamma, box, beta), -1, 0))
    # Not the identity but its consequence on F itself: −F/β − γ/2 |x|² is concave along every segment.
    a, b = x[:, :4], x[:, 4:]
    phi = [-local_entropy(landscape.energy, p, gamma, box, beta) / beta for p in (a, (a + b) / 2, b)]
    middle = 0.5 * (phi[0] + phi[2]) - phi[1] - gamma / 8 * np.sum((a - b) ** 2, axis=0)
    assert middle.max() < 1e-9
    assert curvatures.max() <= gamma * (1 + 1e-9)


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(["wide_and_sharp", "muller_brown", "rastrigin", "kink"]), beta=st.floats(0.1, 20.0))
def test_free_energy_lies_between_the_minimum_and_the_smoothed_energy(name, beta):
    landscape = landscapes.GALLERY[name]
    box = grid(landscape.box, 65)
    gamma = 0.3 / (beta * max(box.spacing) ** 2)
    width = 1 / np.sqrt(beta * gamma)
    # The same cut and normalised kernel for both, so that the inequality is exact on the grid.
    cut = local_entropy_on_grid(lambda x: 0 * x[0], box, gamma, beta)
    phi = (cut - local_entropy_on_grid(landscape.energy, box, gamma, beta)) / beta
    smoothed = relaxations.gaussian_smoothing(landscape.energy, box, width)
    assert np.all(phi <= smoothed + 1e-10 * (1 + np.abs(smoothed)))
    assert np.all(phi >= landscape.energy(box.points).min() - 1e-10)
    assert np.max(smoothed - phi) > 1e-3


def test_limit_of_a_narrow_scope_is_the_energy():
    x = points(((-2.0, 2.0), (-2.0, 2.0)), 6)
    errors = []
    for gamma in (2000.0, 4000.0):
        box = grid(((-2.0, 2.0), (-2.0, 2.0)), 513)
        phi = local_free_energy(local_entropy(landscapes.wide_and_sharp, x, gamma, box), gamma, 2)
        errors.append(phi - landscapes.wide_and_sharp(x))
    # To first order the two differ by (Δf/β − |∇f|²) / 2γ: half of it at twice the scope.
    curvature = np.trace(landscapes.hessian(landscapes.wide_and_sharp)(x))
    slope = np.sum(landscapes.gradient(landscapes.wide_and_sharp)(x) ** 2, axis=0)
    np.testing.assert_allclose(errors[1], (curvature - slope) / 8000, rtol=0.1, atol=2e-5)
    np.testing.assert_allclose(errors[0], 2 * errors[1], rtol=0.1, atol=2e-5)


def test_limit_of_a_wide_scope_is_the_log_partition_function():
    box = grid(landscapes.GALLERY["himmelblau"].box, 129)
    log_z = logsumexp(-landscapes.himmelblau(box.points), b=box.weights)
    x = points(box.box, 6)
    np.testing.assert_allclose(local_entropy(landscapes.himmelblau, x, 1e-9, box), log_z, atol=1e-7)


@pytest.mark.parametrize("name", ["double_well", "wide_and_sharp"])
def test_limit_of_no_temperature_is_the_moreau_envelope(name):
    energy, gamma = landscapes.GALLERY[name].energy, 1.0
    box = grid(((-2.5, 2.5),), 2001)
    x = points(box.box, 6)
    envelope = relaxations.moreau_envelope(energy, x, gamma, box)
    errors = []
    for beta in (1e3, 1e4):
        phi = local_free_energy(local_entropy(energy, x, gamma, box, beta), gamma, 1, beta)
        errors.append(np.abs(phi - envelope).max())
    assert errors[0] < 3e-3 and errors[1] < errors[0] / 5


@pytest.mark.parametrize("name", ["double_well", "rastrigin"])
def test_limit_of_high_temperature_at_a_fixed_width_is_gaussian_smoothing(name):
    energy, width = landscapes.GALLERY[name].energy, 0.3
    box = grid(((-5.0, 5.0),), 1001)
    x = box.points[:, 350:650:50]
    smoothed = relaxations.gaussian_smoothing(energy, box, width)[350:650:50]
    gap = []
    for beta in (1e-2, 1e-3):
        gamma = 1 / (beta * width**2)
        gap.append(smoothed - local_free_energy(local_entropy(energy, x, gamma, box, beta), gamma, 1, beta))
    assert np.all(gap[1] > 0) and np.abs(gap[1]).max() < 1e-2
    np.testing.assert_allclose(gap[0], 10 * gap[1], rtol=0.1)  # β/2 times the variance, to first order


def test_free_energy_of_a_constant_is_the_constant():
    values = local_entropy(lambda x: 3.7 + 0 * x[0], np.zeros((2, 1)), 2.0, TWO_D, beta=5.0)
    np.testing.assert_allclose(local_free_energy(values, 2.0, 2, beta=5.0), 3.7, atol=1e-12)


def test_crossing_gamma_balances_two_wells():
    box = grid(landscapes.GALLERY["wide_and_sharp"].box, 257)
    wide = box.points[0] < 0
    gamma = crossing_gamma(landscapes.wide_and_sharp, box, wide, (0.5, 500.0))
    lead = []
    for factor in (0.9, 1.0, 1.1):
        # Along the axis of symmetry, on a finer comb than the grid.
        x = (
            np.array([np.linspace(-1.25, -1.0, 251), np.zeros(251)]),
            np.array([np.linspace(1.1, 1.25, 151), np.zeros(151)]),
        )
        wide_top, sharp_top = (local_entropy(landscapes.wide_and_sharp, u, factor * gamma, box).max() for u in x)
        lead.append(wide_top - sharp_top)
    assert lead[0] > 1e-2 and abs(lead[1]) < 1e-4 and lead[2] < -1e-2
    finer = grid(landscapes.GALLERY["wide_and_sharp"].box, 385)
    again = crossing_gamma(landscapes.wide_and_sharp, finer, finer.points[0] < 0, (0.5, 500.0))
    assert abs(again / gamma - 1) < 1e-5


def test_crossing_gamma_needs_a_bracket():
    box = grid(landscapes.GALLERY["wide_and_sharp"].box, 65)
    with pytest.raises(ValueError, match="same side is the lower one"):
        crossing_gamma(landscapes.wide_and_sharp, box, box.points[0] < 0, (0.5, 0.6))


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_scope_and_temperature_must_be_positive(bad):
    with pytest.raises(ValueError, match=r"scope gamma must be positive"):
        local_entropy(landscapes.quadratic, np.zeros((2, 1)), bad, TWO_D)
    with pytest.raises(ValueError, match=r"inverse temperature beta must be positive"):
        local_entropy_on_grid(landscapes.quadratic, TWO_D, 1.0, beta=bad)


@pytest.mark.parametrize("x", [np.zeros(2), np.zeros((3, 4)), np.zeros((1, 2))])
def test_points_must_fit_the_grid(x):
    with pytest.raises(ValueError, match=r"shape \(2, n\)"):
        local_entropy(landscapes.quadratic, x, 1.0, TWO_D)


@pytest.mark.parametrize("function", [local_entropy_on_grid, local_mean_on_grid])
def test_a_grid_too_coarse_says_which_would_do(function):
    box = ((-3.0, 3.0), (-1.0, 1.0))
    for gamma, n in ((1000.0, 191), (1010.0, 193)):
        with pytest.raises(ValueError, match=f"n = {n} points a side would do"):
            function(landscapes.quadratic, grid(box, n - 2), gamma)
        with pytest.raises(ValueError, match=f"n = {n}"):
            local_entropy(landscapes.quadratic, np.zeros((2, 1)), gamma, grid(box, n - 2))
        assert np.isfinite(function(landscapes.quadratic, grid(box, n), gamma)).all()


def test_an_energy_that_is_not_finite_says_where():
    def broken(x):
        return np.where(x[0] > 8.99, np.nan, x[0] ** 2)

    with pytest.raises(ValueError, match=r"nan at x = \(9, -6\)"):
        local_entropy_on_grid(broken, TWO_D, 1.0)
