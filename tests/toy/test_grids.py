"""Grids: the trapezoid rule is exact where it should be, and says what it cannot do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import erf

from esgd_minimal.toy.grids import grid

SIDES = st.tuples(st.floats(-5, 5), st.floats(0.1, 5)).map(lambda side: (side[0], side[0] + side[1]))
ODD = st.integers(2, 30).map(lambda k: 2 * k + 1)


@settings(deadline=None, max_examples=50)
@given(st.lists(SIDES, min_size=1, max_size=3), ODD)
def test_points_weights_and_spacing_fit_together(box, n):
    g = grid(tuple(box), n)
    d = len(box)
    assert (g.dimension, g.shape, g.points.shape, g.weights.shape) == (d, (n,) * d, (d, *(n,) * d), (n,) * d)
    assert_allclose(g.box, box, rtol=1e-12)
    assert_allclose(g.spacing, [(high - low) / (n - 1) for low, high in box], rtol=1e-9)
    assert_allclose(g.weights.sum(), np.prod([high - low for low, high in box]), rtol=1e-12)
    assert_allclose(g.points[(slice(None), *(0,) * d)], [low for low, _ in box])
    assert_allclose(g.points[(slice(None), *(-1,) * d)], [high for _, high in box])


@settings(deadline=None, max_examples=50)
@given(SIDES, SIDES, ODD, st.tuples(*[st.floats(-3, 3)] * 4))
def test_what_is_linear_along_each_axis_is_integrated_exactly(first, second, n, coefficients):
    """The trapezoid rule is exact on a + b x + c y + d x y, whatever the grid."""
    a, b, c, d = coefficients
    g = grid((first, second), n)
    x, y = g.points
    by_grid = np.sum(g.weights * (a + b * x + c * y + d * x * y))
    (l1, h1), (l2, h2) = first, second
    mean_x, mean_y = (l1 + h1) / 2, (l2 + h2) / 2
    exact = (h1 - l1) * (h2 - l2) * (a + b * mean_x + c * mean_y + d * mean_x * mean_y)
    assert_allclose(by_grid, exact, rtol=1e-10, atol=1e-10)


def test_the_first_axis_is_the_first_index():
    g = grid(((0.0, 1.0), (10.0, 14.0)), 5)
    assert_allclose(g.points[:, 1, 3], [0.25, 13.0])
    assert_allclose(np.sum(g.weights * g.points[0]), 0.5 * 4.0)
    assert_allclose(np.sum(g.weights * g.points[1]), 12.0 * 4.0)


@pytest.mark.parametrize("d", [1, 2])
def test_polynomials_are_integrated_to_the_order_of_the_rule(d):
    """On x⁴ the error is h²/12 · (f′(1) − f′(0)) to leading order: a quarter for half the spacing."""
    errors = []
    for n in (33, 65, 129):
        g = grid(((0.0, 1.0),) * d, n)
        errors.append(np.sum(g.weights * g.points[0] ** 4) - 0.2)
        assert errors[-1] == pytest.approx(4 / 12 / (n - 1) ** 2, rel=1e-2)
    assert errors[0] / errors[1] == pytest.approx(4, rel=1e-2)


@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_gaussians_are_integrated_to_machine_precision(sigma):
    """Smooth and gone at the edge: the trapezoid rule converges faster than any power of the spacing."""
    g = grid(((-9.0, 9.0), (-9.0, 9.0)), 257)
    x, y = g.points
    density = np.exp(-(x**2 + y**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    assert np.sum(g.weights * density) == pytest.approx(1, abs=1e-13)
    assert np.sum(g.weights * density * x**2) == pytest.approx(sigma**2, rel=1e-12)
    assert np.sum(g.weights * density * x * y) == pytest.approx(0, abs=1e-13)


def test_a_gaussian_cut_by_the_edge_keeps_the_error_of_the_rule():
    g = grid(((0.0, 1.0),), 1025)
    exact = np.sqrt(np.pi) / 2 * erf(1.0)
    error = np.sum(g.weights * np.exp(-(g.points[0] ** 2))) - exact
    assert error == pytest.approx(-2 * np.exp(-1.0) / 12 / 1024**2, rel=1e-3)


@settings(deadline=None, max_examples=25)
@given(SIDES, ODD)
def test_the_coarser_grid_is_every_second_point_of_the_same_box(side, n):
    g = grid((side, side), n)
    assert g.coarser.box == g.box
    assert_allclose(g.coarser.spacing, 2 * np.array(g.spacing), rtol=1e-9)
    assert_allclose(g.coarser.points, g.points[:, ::2, ::2], rtol=0, atol=0)
    assert_allclose(g.coarser.weights.sum(), g.weights.sum(), rtol=1e-12)


@pytest.mark.parametrize("n", [4, 3, 1, 0, -5, 128, 10.5, 257.0])
def test_an_even_or_tiny_or_broken_number_of_points_is_refused(n):
    with pytest.raises(ValueError, match=rf"^A grid needs an odd whole number of points .*; got n = {n}\.$"):
        grid(((0.0, 1.0),), n)


@pytest.mark.parametrize("side", [(1.0, 1.0), (2.0, 1.0), (0.0, np.inf), (np.nan, 1.0)])
def test_a_side_that_is_no_interval_is_refused(side):
    with pytest.raises(ValueError, match=r"^A side of the box must be a finite interval \(low, high\); got \("):
        grid(((0.0, 1.0), side))


@pytest.mark.parametrize("box", [(-3.0, 3.0), (), ((1.0, 2.0, 3.0),), 2.0])
def test_a_box_is_a_pair_for_each_side(box):
    with pytest.raises(ValueError, match=r"^A box is one pair \(low, high\) for each side, .*; got "):
        grid(box)
