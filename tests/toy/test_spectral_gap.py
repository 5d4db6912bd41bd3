"""The gap against closed forms, against the chain's own transition matrix, and against the escape times."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from esgd_minimal.toy.chain_laws import transition_matrix
from esgd_minimal.toy.escape import mean_first_passage_time
from esgd_minimal.toy.grids import grid
from esgd_minimal.toy.landscapes import double_well, double_well_gradient
from esgd_minimal.toy.spectral_gap import spectral_gap

WELLS = grid(((-2.6, 2.6),), 801)


@pytest.mark.parametrize("curvature", [0.5, 3.0])
@pytest.mark.parametrize("beta", [0.5, 4.0])
def test_on_a_quadratic_the_gap_is_the_curvature_at_every_temperature(curvature, beta):
    reach = 8 / np.sqrt(beta * curvature)
    gap = spectral_gap(lambda x: 0.5 * curvature * x[0] ** 2, grid(((-reach, reach),), 201), beta)
    assert_allclose(gap, curvature, rtol=1e-6)


def test_its_error_is_of_the_second_order():
    coarse, middle, fine = (spectral_gap(double_well, grid(WELLS.box, n), 2.0) for n in (201, 401, 801))
    assert_allclose((middle - coarse) / (fine - middle), 4, rtol=0.02)


def test_it_is_the_slowest_decay_of_the_langevin_chain():
    """The second eigenvalue of one step's transition matrix is e^(−gap η) up to O(η²)."""
    beta, errors = 3.0, []
    exact = spectral_gap(double_well, WELLS, beta)
    for step in (0.004, 0.002):
        moves = transition_matrix(double_well_gradient, grid(((-2.2, 2.2),), 401), step, beta)
        second = np.sort(np.abs(np.linalg.eigvals(moves)))[-2]
        errors.append(-np.log(second) / step / exact - 1)
    assert abs(2 * errors[1] - errors[0]) < 1e-3
    assert abs(errors[1]) < 0.02


def test_cold_it_is_twice_the_rate_of_crossing():
    for beta, tolerance in ((6.0, 0.01), (12.0, 1e-4)):
        crossings = 2 / mean_first_passage_time(double_well, WELLS, -1, 1, beta)
        assert_allclose(spectral_gap(double_well, WELLS, beta), crossings, rtol=tolerance)


@pytest.mark.parametrize("convexity", [0.2, 1.0, 6.0])
@pytest.mark.parametrize("beta", [0.3, 3.0, 30.0])
def test_strong_convexity_bounds_it_from_below(convexity, beta):
    """f″ ≥ m implies a gap of m at least, whatever the temperature: here of a double well under a spring."""

    def held(x):
        return double_well(x) + (4 + convexity) / 2 * (x[0] - 0.3) ** 2

    assert spectral_gap(held, WELLS, beta) > convexity


def test_refusals():
    with pytest.raises(ValueError, match="one dimension"):
        spectral_gap(double_well, grid(((-1, 1), (-1, 1)), 9))
    with pytest.raises(ValueError, match="beta must be positive"):
        spectral_gap(double_well, WELLS, 0.0)
    with pytest.raises(ValueError, match="rounding"):
        spectral_gap(double_well, WELLS, 60.0)
