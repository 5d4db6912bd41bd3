"""Gaussian smoothing and the Moreau envelope: closed forms, a second implementation, and what is known of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esgd_minimal.toy import landscapes
from esgd_minimal.toy.grids import grid
from esgd_minimal.toy.relaxations import gaussian_smoothing, moreau_envelope, moreau_envelope_on_grid, prox


@pytest.mark.parametrize("width", [0.1, 0.4])
def test_smoothing_lifts_a_quadratic_by_half_its_trace(width):
    box = grid(((-8.0, 8.0), (-8.0, 8.0)), 161)
    inside = (slice(60, 101), slice(60, 101))
    smoothed = gaussian_smoothing(landscapes.quadratic, box, width)
    lifted = landscapes.quadratic(box.points) + 0.5 * 11.0 * width**2
    np.testing.assert_allclose(smoothed[inside], lifted[inside], atol=1e-6 if width < 0.2 else 1e-10)


def test_smoothing_damps_a_ripple_by_its_closed_form():
    box, width = grid(((-6.0, 6.0),), 601), 0.25
    smoothed = gaussian_smoothing(landscapes.rastrigin, box, width)
    u = box.points[0]
    damped = 0.5 * (u**2 + width**2) + 1 - np.exp(-2 * np.pi**2 * width**2) * np.cos(2 * np.pi * u)
    np.testing.assert_allclose(smoothed[200:401], damped[200:401], atol=1e-10)


def test_smoothing_keeps_a_constant_up_to_the_walls():
    box = grid(((-1.0, 1.0), (-1.0, 1.0)), 33)
    np.testing.assert_allclose(gaussian_smoothing(lambda x: 2.5 + 0 * x[0], box, 0.5), 2.5, rtol=1e-14)


@pytest.mark.parametrize("gamma", [0.2, 3.0])
def test_envelope_and_prox_of_a_quadratic(gamma):
    box = grid(((-4.0, 4.0), (-4.0, 4.0)), 65)
    x = np.random.default_rng(0).uniform(-3, 3, (2, 6))
    curvatures = np.array([[1.0], [10.0]])
    nearest = gamma * x / (gamma + curvatures)
    np.testing.assert_allclose(prox(landscapes.quadratic, x, gamma, box), nearest, atol=1e-8)
    envelope = 0.5 * np.sum(curvatures * gamma / (gamma + curvatures) * x**2, axis=0)
    np.testing.assert_allclose(moreau_envelope(landscapes.quadratic, x, gamma, box), envelope, atol=1e-8)


def test_envelope_of_the_kink_is_hubers_function():
    box, gamma = grid(((-3.0, 8.0),), 1101), 2.0
    x = np.array([[-6.0, -2.0, 0.3, 0.7, 3.0]]) / 2
    energy, slopes = landscapes.kink, (10.0, 1.0)
    huber = np.select(
        [x[0] < -slopes[0] / gamma, x[0] > slopes[1] / gamma],
        [-slopes[0] * x[0] - slopes[0] ** 2 / (2 * gamma), slopes[1] * x[0] - slopes[1] ** 2 / (2 * gamma)],
        0.5 * gamma * x[0] ** 2,
    )
    np.testing.assert_allclose(moreau_envelope(energy, x, gamma, box), huber, atol=1e-6)


@settings(max_examples=8, deadline=None)
@given(
    name=st.sampled_from(["wide_and_sharp", "himmelblau", "rastrigin", "ring"]),
    gamma=st.floats(0.1, 50.0),
    seed=st.integers(0, 10**6),
)
def test_envelope_lies_below_the_energy_and_prox_never_climbs(name, gamma, seed):
    landscape = landscapes.GALLERY[name]
    box = grid(landscape.box, 65)
    x = np.random.default_rng(seed).uniform(*np.transpose(landscape.box)[:, :, None], (2, 4))
    nearest, envelope = prox(landscape.energy, x, gamma, box), moreau_envelope(landscape.energy, x, gamma, box)
    assert np.all(envelope <= landscape.energy(x) + 1e-10)
    assert np.all(envelope >= landscape.energy(nearest) - 1e-12)
    stationary = landscapes.gradient(landscape.energy)(nearest) + gamma * (nearest - x)
    inside = np.all(np.abs(nearest) < box.box[0][1] - 1e-6, axis=0)
    assert np.abs(stationary[:, inside]).max(initial=0) < 1e-4


@pytest.mark.parametrize("name", ["wide_and_sharp", "muller_brown"])
def test_envelope_on_the_grid_is_the_minimum_over_all_grid_points(name):
    landscape = landscapes.GALLERY[name]
    box, gamma = grid(landscape.box, 33), 2.0
    points = box.points.reshape(2, -1)
    squared = np.sum((points[:, :, None] - points[:, None, :]) ** 2, axis=0)
    brute = np.min(landscape.energy(points) + 0.5 * gamma * squared, axis=1)
    on_grid = moreau_envelope_on_grid(landscape.energy, box, gamma)
    np.testing.assert_allclose(on_grid.ravel(), brute, atol=1e-12)


def test_envelope_on_the_grid_errs_by_no_more_than_half_a_spacing_costs():
    landscape = landscapes.GALLERY["wide_and_sharp"]
    box, gamma = grid(landscape.box, 129), 2.0
    some = np.random.default_rng(3).integers(0, 129, (2, 12))
    exact = moreau_envelope(landscape.energy, box.points[:, *some], gamma, box)
    above = moreau_envelope_on_grid(landscape.energy, box, gamma)[tuple(some)] - exact
    steepest = 2.5 / 0.2**2 + 0.05 * 12 * 3.5**2 + gamma  # no curvature is larger: sharp well, bowl and pull
    assert above.min() > -1e-9
    assert above.max() < 0.5 * steepest * 2 * (box.spacing[0] / 2) ** 2


def test_bad_input_is_named():
    box, x = grid(((-1.0, 1.0), (-1.0, 1.0)), 33), np.zeros((2, 1))
    with pytest.raises(ValueError, match="gamma must be positive"):
        prox(landscapes.quadratic, x, -1.0, box)
    with pytest.raises(ValueError, match="gamma must be positive"):
        moreau_envelope_on_grid(landscapes.quadratic, box, 0.0)
    with pytest.raises(ValueError, match="width of the Gaussian"):
        gaussian_smoothing(landscapes.quadratic, box, 0.0)
    with pytest.raises(ValueError, match="too coarse"):
        gaussian_smoothing(landscapes.quadratic, box, 0.01)
    with pytest.raises(ValueError, match=r"shape \(2, n\)"):
        prox(landscapes.quadratic, np.zeros(2), 1.0, box)
    with pytest.raises(ValueError, match="not finite"):
        prox(landscapes.quadratic, x + np.nan, 1.0, box)
