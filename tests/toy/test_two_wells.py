"""Two wells: the family, its closed form under a Gaussian, what saturation does, and the count of minima."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from esgd_minimal.toy import relaxations
from esgd_minimal.toy.convolution import smooth
from esgd_minimal.toy.grids import grid
from esgd_minimal.toy.local_entropy import local_entropy_on_grid, local_free_energy
from esgd_minimal.toy.two_wells import (
    count_minima,
    critical_reach,
    merging_ratio,
    round_wells,
    saturated,
    smoothed_square_wells,
    square_wells,
)

KNOBS = {"depth": 3.0, "barrier": 5.0, "half": 1.1, "width": 0.25}


def test_each_knob_is_what_it_says():
    places = np.array([[-1.1, 1.1, 0.0, 6.0, -6.0, 1.35]])
    one_width = 3 * (1 - np.exp(-0.5))
    np.testing.assert_allclose(round_wells(places, **KNOBS), [0, 0, 5, 3, 3, one_width], atol=5 * np.exp(-0.5 * 4.4**2))
    np.testing.assert_array_equal(square_wells(np.array([[0.0, 0.9, 1.1, 1.34, 1.4]]), **KNOBS), [5, 0, 0, 0, 3])


def test_knobs_broadcast():
    x = np.linspace(-3, 3, 7).reshape(1, 7, 1)
    many = round_wells(x, depth=np.array([1.0, 2.0]), barrier=4.0)
    assert many.shape == (7, 2)
    np.testing.assert_array_equal(many[:, 1], round_wells(x[..., 0], depth=2.0, barrier=4.0))


@pytest.mark.parametrize("reach", [0.3, 1.0])
@pytest.mark.parametrize("x", [-0.8, 0.0, 1.4])
def test_the_closed_form_is_the_gaussian_mean(reach, x):
    def integrand(z):
        return square_wells(np.array([z]), **KNOBS) * np.exp(-0.5 * ((z - x) / reach) ** 2) / reach / np.sqrt(2 * np.pi)

    edges = [-12.0, -1.35, -0.85, 0.85, 1.35, 12.0]
    exact = sum(quad(integrand, a, b, epsabs=1e-12)[0] for a, b in pairwise(edges))
    assert smoothed_square_wells(np.array([x]), reach, **KNOBS) == pytest.approx(exact, abs=1e-8)


@pytest.mark.parametrize("beta", [0.3, 1.0, 4.0])
def test_the_saturated_free_energy_is_the_smoothed_saturated_energy(beta):
    line, reach = grid(((-6.0, 6.0),), 1201), 0.6
    gamma = 1 / (beta * reach**2)

    def energy(x):
        return round_wells(x, **KNOBS)

    phi = local_free_energy(local_entropy_on_grid(energy, line, gamma, beta), gamma, 1, beta)
    inside = np.abs(line.axes[0]) < 2.5
    smoothed = smooth(saturated(energy(line.points), beta), line, reach)
    np.testing.assert_allclose(saturated(phi, beta)[inside], smoothed[inside], atol=1e-8)
    if beta > 1:  # and not at another temperature
        assert np.abs(saturated(phi, 1.0)[inside] - smoothed[inside]).max() > 0.01


def test_saturation_keeps_the_low_and_cuts_the_high():
    energy = np.array([0.0, 1e-6, 1.0, 50.0])
    np.testing.assert_allclose(saturated(energy, 2.0), [0, 1e-6, (1 - np.exp(-2)) / 2, 0.5], rtol=2e-6)


@settings(max_examples=60, deadline=None)
@given(
    depth=st.floats(0.2, 8.0),
    barrier=st.floats(0.2, 8.0),
    half=st.floats(0.4, 2.0),
    share=st.floats(0.1, 0.8),
    reach=st.floats(0.3, 1.5),
)
def test_a_minimum_on_the_barrier_where_the_merging_ratio_says(depth, barrier, half, share, reach):
    """The criterion against the landscape itself, for both functions; not within two percent of the border."""
    width = share * half
    x = np.linspace(-2 * half - 2 * reach, 2 * half + 2 * reach, 801)[None]
    rho = merging_ratio(half, width, reach)
    for low, high in ((depth, barrier), (saturated(depth), saturated(barrier))):
        if abs(high / low / rho - 1) > 0.02:
            values = smoothed_square_wells(x, reach, low, high, half, width)
            merged = high / low < rho
            assert (values[401] > values[400]) == merged  # the middle of the line is the barrier
            assert count_minima(values) in ((1,) if merged else (0, 2))  # none: both driven out of this line


def test_the_critical_reach_makes_the_ratio_one_and_is_about_half_the_distance():
    for half, width in ((1.0, 0.05), (1.0, 0.4), (2.3, 1.0)):
        assert merging_ratio(half, width, critical_reach(half, width)) == pytest.approx(1.0, abs=1e-12)
        assert critical_reach(half, width) == pytest.approx(half, rel=0.2 * (width / half) ** 2)


def test_count_minima():
    x = np.linspace(-3, 3, 601)
    curves = np.stack([x**2, (x**2 - 1) ** 2, np.cos(2 * np.pi * x), np.maximum(np.abs(x), 1), 0 * x, x], axis=1)
    np.testing.assert_array_equal(count_minima(curves), [1, 2, 6, 1, 0, 0])
    plain = 5 - 2 * np.exp(-20 * x**2)  # flat to rounding in its tails
    assert count_minima(plain + 4e-15 * np.sin(1e3 * x)) == 1


def test_wells_on_a_plane_are_refused():
    with pytest.raises(ValueError, match="round_wells takes points of dimension 1"):
        round_wells(np.zeros((2, 5)))


def test_smoothing_the_family_agrees_with_the_relaxation_of_the_same_name():
    line = grid(((-6.0, 6.0),), 601)
    direct = relaxations.gaussian_smoothing(lambda x: square_wells(x, **KNOBS), line, 0.7)
    closed = smoothed_square_wells(line.points, 0.7, **KNOBS)
    np.testing.assert_allclose(direct[200:401], closed[200:401], atol=0.05)  # the walls fall between grid points
