"""Curvature, Newton's method and the size of wells: closed forms, the gallery's minima, and what Morse counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from esgd_minimal.toy.curvature import (
    area,
    curvatures,
    directions,
    ellipse_radius,
    level_radius,
    newton,
    stationary_points,
)
from esgd_minimal.toy.landscapes import GALLERY, gradient, hessian, himmelblau, muller_brown, quadratic, rastrigin


def turned(a, b, angle):
    """A quadratic with curvatures a and b along axes turned by an angle, and its matrix."""
    c, s = np.cos(angle), np.sin(angle)
    axes = np.array([[c, -s], [s, c]])
    matrix = axes @ np.diag([a, b]) @ axes.T

    def energy(x):
        return 0.5 * (matrix[0, 0] * x[0] ** 2 + 2 * matrix[0, 1] * x[0] * x[1] + matrix[1, 1] * x[1] ** 2)

    return energy, matrix


CURVATURES = st.floats(0.05, 20)


@settings(deadline=None, max_examples=30)
@given(CURVATURES, CURVATURES, st.floats(0, np.pi), st.floats(0.01, 5))
def test_on_a_quadratic_everything_is_in_closed_form(a, b, angle, rise):
    energy, matrix = turned(a, b, angle)
    x = np.array([[0.3, -1.0, 2.0], [0.7, 0.2, -1.5]])
    assert_allclose(newton(energy, x), 0, atol=1e-10)  # one step, from anywhere
    eigenvalues, axes = curvatures(energy, x)
    assert_allclose(eigenvalues, np.sort([a, b])[:, None] * np.ones(3), rtol=1e-9)
    for k in range(3):
        assert_allclose(matrix @ axes[..., k], axes[..., k] * eigenvalues[:, k], atol=1e-8)
    u = directions(512)
    r = level_radius(energy, np.zeros(2), rise, u)
    assert_allclose(r, ellipse_radius(energy, np.zeros(2), rise, u), rtol=1e-7)
    assert_allclose(energy(r * u), rise, rtol=1e-8)
    many = ellipse_radius(energy, np.zeros(2), rise, directions(4096))
    assert_allclose(area(many), 2 * np.pi * rise / np.sqrt(a * b), rtol=1e-7)


@pytest.mark.parametrize("name", ["himmelblau", "muller_brown"])
def test_the_area_of_a_well_tends_to_its_ellipse_in_proportion_to_the_rise(name):
    energy, u = GALLERY[name].energy, directions(256)
    for minimum in np.array(GALLERY[name].minima):
        x = newton(energy, minimum[:, None], steps=5)[:, 0]
        errors = []
        for rise in (0.02, 0.002):
            expected = 2 * np.pi * rise / np.sqrt(np.linalg.det(hessian(energy)(x)))
            errors.append(area(level_radius(energy, x, rise, u)) / expected - 1)
        assert errors[0] / errors[1] == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize(("name", "minimum", "rise"), [("double_well", [1.0, 0.0], 1.5), ("plateau", [0.0, 0.0], 3.1)])
def test_a_rise_over_the_rim_is_refused(name, minimum, rise):
    """Over the barrier the energy falls again before it has risen so far; up to the plateau it only stops rising."""
    with pytest.raises(ValueError, match="take a smaller rise"):
        level_radius(GALLERY[name].energy, np.array(minimum), rise, directions(64))


def test_eigenvectors_are_columns():
    """In three dimensions: a 2 × 2 matrix of eigenvectors may happen to be symmetric."""
    matrix = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -0.7], [0.5, -0.7, 1.0]])
    eigenvalues, axes = curvatures(
        lambda x: 0.5 * sum(matrix[i, j] * x[i] * x[j] for i in range(3) for j in range(3)), np.ones((3, 2))
    )
    assert_allclose(matrix @ axes[..., 1], axes[..., 1] * eigenvalues[:, 1], atol=1e-12)


def test_stationary_points_close_together_are_told_apart():
    points = stationary_points(lambda x: 50 * (x[0] ** 2 - 4e-4) ** 2 + x[1] ** 2, ((-0.1, 0.1), (-0.1, 0.1)))
    assert_allclose(np.sort(points[0]), [-0.02, 0, 0.02], atol=1e-6)


@pytest.mark.parametrize(("name", "counts"), [("himmelblau", (4, 4, 1)), ("double_well", (2, 1, 0))])
def test_minima_minus_saddles_plus_maxima_is_one(name, counts):
    """Morse: on a plane whose energy rises to infinity on all sides, the alternating count is 1."""
    energy, box = GALLERY[name].energy, GALLERY[name].box
    points = stationary_points(energy, box)
    assert_allclose(gradient(energy)(points), 0, atol=1e-9)
    negative = np.sum(curvatures(energy, points)[0] < 0, axis=0)
    assert tuple(np.bincount(negative, minlength=3)) == counts
    assert counts[0] - counts[1] + counts[2] == 1
    assert np.all(np.diff(energy(points)) >= 0)


def test_the_saddles_of_muller_and_brown_are_those_of_the_literature():
    """What simulations on this surface quote: (−0.822, 0.624) at −40.66, and (0.212, 0.293) at −72.25."""
    points = stationary_points(muller_brown, GALLERY["muller_brown"].box)
    saddles = points[:, np.sum(curvatures(muller_brown, points)[0] < 0, axis=0) == 1]
    assert_allclose(saddles, [[0.212, -0.822], [0.293, 0.624]], atol=6e-4)
    assert_allclose(muller_brown(saddles, scale=1.0), [-72.25, -40.66], atol=6e-3)


def test_every_well_of_rastrigin_is_found():
    points = stationary_points(rastrigin, ((-1.5, 1.5), (-1.5, 1.5)))
    negative = np.sum(curvatures(rastrigin, points)[0] < 0, axis=0)
    assert np.sum(negative == 0) == 9
    assert len(np.unique(np.round(points, 4), axis=1).T) == points.shape[1]  # once each


def test_newton_gives_up_with_nan_not_with_an_exception():
    flat = np.array([[0.0, 1.0], [0.0, 0.0]])
    ends = newton(lambda x: x[0] ** 4 + x[1] ** 2, flat, steps=2)
    assert np.isnan(ends[:, 0]).all()  # a singular Hessian at the start
    assert np.isfinite(ends[:, 1]).all()
    ends = newton(lambda x: quadratic(x) + himmelblau(x), np.full((2, 1), 1e200), steps=3)
    assert np.isnan(ends).all()
