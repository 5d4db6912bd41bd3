"""Local entropy by sampling and by Laplace's method, beside its exact value.

The statistical checks ask for |estimate − exact| < 4.9 standard errors in each number: a false alarm of 1e-6 each.
With the standard errors they have here (asserted), an error of ten of them is missed with a chance below 1e-6; each
mutant below is at least that far off, and the same check catches it.
"""

import numpy as np
import pytest

from esgd_minimal.toy import landscapes
from esgd_minimal.toy.grids import grid
from esgd_minimal.toy.langevin import ChainDiverged
from esgd_minimal.toy.local_entropy import local_entropy, local_gradient
from esgd_minimal.toy.local_entropy_estimates import (
    langevin_gradient,
    laplace_local_entropy,
    thermodynamic_integration,
)

SIGMAS = 4.9
SQUARE = grid(((-6.0, 6.0), (-6.0, 6.0)), 257)
POINTS = np.array([[-1.2, 0.1, 1.1], [0.0, 0.4, -0.1]])


def integrate(energy, gamma, beta, seed=0, points=POINTS):
    return thermodynamic_integration(
        energy, points, gamma, beta, step=0.05, n_steps=260, burn_in=60, chains=60, rng=np.random.default_rng(seed)
    )


@pytest.mark.parametrize(("gamma", "beta"), [(1.0, 1.0), (4.0, 0.5), (2.0, 2.0)])
@pytest.mark.parametrize("name", ["quadratic", "wide_and_sharp"])
def test_thermodynamic_integration(name, gamma, beta):
    energy = landscapes.GALLERY[name].energy
    mean, error = integrate(energy, gamma, beta)
    exact = local_entropy(energy, POINTS, gamma, SQUARE, beta)
    assert np.all(error < 0.04)
    assert np.all(np.abs(mean - exact) < SIGMAS * error)


@pytest.mark.parametrize(
    ("energy", "gamma", "beta"),
    [
        pytest.param(lambda x: 2.0 * landscapes.quadratic(x), 1.0, 1.0, id="energy"),
        pytest.param(landscapes.quadratic, 2.0, 1.0, id="pull"),
        pytest.param(landscapes.quadratic, 1.0, 2.0, id="temperature"),
    ],
)
def test_the_check_on_thermodynamic_integration_catches_a_planted_error(energy, gamma, beta):
    mean, error = integrate(energy, gamma, beta)
    exact = local_entropy(landscapes.quadratic, POINTS, 1.0, SQUARE, 1.0)
    assert np.any(np.abs(mean - exact) > (SIGMAS + 5) * error)


def test_standard_error_of_thermodynamic_integration_is_the_spread_over_seeds():
    runs = [integrate(landscapes.quadratic, 1.0, 1.0, seed, POINTS[:, :1]) for seed in range(40)]
    means, errors = np.array(runs)[..., 0].T
    # The spread of 40 has a relative error of 11 %; five of them, for a false alarm of about 1e-6.
    assert 0.45 < means.std(ddof=1) / errors.mean() < 1.55


def test_standard_error_of_the_langevin_gradient_is_the_spread_over_seeds():
    runs = [gradient_estimate(landscapes.quadratic_gradient, 2.0, 1.5, seed) for seed in range(20)]
    means, errors = np.array(runs).swapaxes(0, 1)
    # Six numbers from 20 seeds have a spread known to 7 %; five of them.
    assert 0.65 < np.mean(means.std(axis=0, ddof=1) / errors.mean(axis=0)) < 1.35


def test_a_step_too_long_for_thermodynamic_integration_is_refused():
    with pytest.raises(ValueError, match="accepted somewhere; try"):
        thermodynamic_integration(
            landscapes.quadratic, POINTS, 1.0, step=2.0, n_steps=20, burn_in=0, rng=np.random.default_rng(0)
        )


def gradient_estimate(gradient, gamma, beta, seed=0):
    return langevin_gradient(
        gradient, POINTS, gamma, beta, step=0.02, n_steps=1500, burn_in=500, rng=np.random.default_rng(seed)
    )


def test_langevin_gradient_of_a_quadratic():
    # The mean of the unadjusted chain has no bias where the force is linear, so exact is exact.
    mean, error = gradient_estimate(landscapes.quadratic_gradient, 2.0, 1.5)
    exact = local_gradient(landscapes.quadratic, POINTS, 2.0, SQUARE, 1.5)
    assert np.all(error < 0.05)
    assert np.all(np.abs(mean - exact) < SIGMAS * error)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda u: -landscapes.quadratic_gradient(u), id="sign of the force"),
        pytest.param(
            lambda u: landscapes.quadratic_gradient(u) - 4 * (u - POINTS.repeat(50, 1)), id="sign of the pull"
        ),
        pytest.param(lambda u: landscapes.quadratic_gradient(u) - 2 * (u - POINTS.repeat(50, 1)), id="no pull"),
    ],
)
def test_the_check_on_the_langevin_gradient_catches_a_planted_error(broken):
    exact = local_gradient(landscapes.quadratic, POINTS, 2.0, SQUARE, 1.5)
    try:
        mean, error = gradient_estimate(broken, 2.0, 1.5)
    except ChainDiverged:
        return
    assert np.any(np.abs(mean - exact) > (SIGMAS + 5) * error)


def test_laplace_is_exact_for_a_quadratic():
    for gamma, beta in ((0.5, 1.0), (3.0, 7.0)):
        exact = local_entropy(landscapes.quadratic, POINTS, gamma, SQUARE, beta)
        np.testing.assert_allclose(
            laplace_local_entropy(landscapes.quadratic, POINTS, gamma, SQUARE, beta), exact, atol=1e-8
        )


def test_laplace_errs_like_one_over_beta():
    energy, gamma, x = landscapes.double_well, 1.0, np.array([[0.9, 1.4], [0.3, -0.2]])
    box = grid(((-3.0, 3.0), (-3.0, 3.0)), 1025)
    errors = [
        np.abs(laplace_local_entropy(energy, x, gamma, box, beta) - local_entropy(energy, x, gamma, box, beta))
        for beta in (100.0, 200.0, 400.0)
    ]
    assert np.all(errors[0] < 0.02)
    np.testing.assert_allclose(errors[0] / errors[1], 2.0, rtol=0.1)
    np.testing.assert_allclose(errors[1] / errors[2], 2.0, rtol=0.1)


def test_bad_input_is_named():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"shape \(d, n\)"):
        thermodynamic_integration(landscapes.quadratic, np.zeros(2), 1.0, step=0.1, n_steps=5, burn_in=0, rng=rng)
    with pytest.raises(ValueError, match="gamma must be positive"):
        langevin_gradient(landscapes.quadratic_gradient, POINTS, -1.0, step=0.1, n_steps=5, burn_in=0, rng=rng)
    with pytest.raises(ValueError, match="beta must be positive"):
        laplace_local_entropy(landscapes.quadratic, POINTS, 1.0, SQUARE, beta=-1.0)
    with pytest.raises(ValueError, match=r"needs a positive curvature; at x' = \[0.0, 0.0\]"):
        laplace_local_entropy(lambda x: x[0] ** 4 - 0.25 * x[0] ** 2 + x[1] ** 2, np.zeros((2, 1)), 0.5, SQUARE)
