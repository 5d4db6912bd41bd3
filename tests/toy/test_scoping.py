"""Scoping: the schedules' values, and Entropy-SGD under them against the optimizer's loop and quadrature."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from esgd_minimal.toy import scoping
from esgd_minimal.toy.grids import grid
from esgd_minimal.toy.landscapes import GALLERY, gradient, quadratic
from esgd_minimal.toy.local_entropy import local_mean
from esgd_minimal.toy.optimizers import entropy_sgd
from esgd_minimal.toy.scoping import entropy_sgd_with, exact_entropy_sgd

START = np.array([[1.0, -2.0, 0.5], [1.5, 0.25, -1.0]])
CHAIN = {"langevin_steps": 5, "langevin_lr": 0.01, "averaging": 0.3, "noise": 0.5}


def test_the_schedules_by_hand():
    t = np.arange(4)
    assert_allclose(scoping.exponential(t, 0.5, 1.0), [0.5, 1.0, 2.0, 4.0])
    assert_allclose(scoping.linear(t, 0.5, 1.0), [0.5, 1.0, 1.5, 2.0])
    assert_allclose(scoping.quadratic(t, 0.5, 1.0), [0.5, 1.0, 2.5, 5.0])
    assert_allclose(scoping.bounded_exponential(t, 8.0, np.log(2)), [0.0, 4.0, 6.0, 7.0])


def test_the_slowly_growing_schedules_begin_alike():
    """To the first order in t they all are lines: γ₀ (1 + γ₁ t), and γ₀ τ t."""
    t = 1e-4
    assert_allclose(scoping.exponential(t, 2.0, 0.1), 2.0 * (1 + np.log(1.1) * t), rtol=1e-9)
    assert_allclose(scoping.bounded_exponential(t, 2.0, 0.1), 2.0 * 0.1 * t, rtol=1e-4)


def test_an_exponential_schedule_is_the_scoping_of_the_optimizer():
    slope = gradient(GALLERY["himmelblau"].energy)
    draws = np.random.default_rng(0).standard_normal((8, 5, *START.shape))
    own = entropy_sgd(slope, START, 0.9, 8, 0.4, scoping=0.5, draws=draws, **CHAIN)
    scheduled = entropy_sgd_with(scoping.exponential(np.arange(8), 0.4, 0.5), slope, START, 0.9, draws=draws, **CHAIN)
    assert np.array_equal(scheduled.x, own.x)
    assert np.array_equal(scheduled.evaluations, own.evaluations)
    late = entropy_sgd_with(scoping.exponential(np.arange(1, 9), 0.4, 0.5), slope, START, 0.9, draws=draws, **CHAIN)
    assert np.abs(late.x - own.x).max() > 1e-3  # one outer step late is another path


def test_a_generator_gives_what_it_gives_to_the_optimizer():
    slope = gradient(quadratic)
    own = entropy_sgd(slope, START, 1.0, 6, 2.0, rng=np.random.default_rng(4), **CHAIN)
    scheduled = entropy_sgd_with(np.full(6, 2.0), slope, START, rng=np.random.default_rng(4), **CHAIN)
    assert np.array_equal(scheduled.x, own.x)


def test_the_exact_step_on_a_quadratic_is_gamma_over_gamma_plus_curvature():
    plane = grid(((-9.0, 9.0), (-9.0, 9.0)), 361)
    gammas = [0.5, 2.0, 8.0]
    shrink = np.prod([g / (g + np.array([[1.0], [10.0]])) for g in gammas], axis=0)
    assert_allclose(exact_entropy_sgd(gammas, quadratic, plane, START), shrink * START, atol=1e-8)
    # The mean of a Gaussian does not depend on the temperature; that of another measure does.
    assert_allclose(exact_entropy_sgd(gammas, quadratic, plane, START, beta=2.0), shrink * START, atol=1e-8)


def test_the_exact_step_is_the_local_mean_up_to_the_interpolation():
    energy = GALLERY["himmelblau"].energy
    errors = []
    for n in (129, 257):
        plane = grid(((-6.0, 6.0), (-6.0, 6.0)), n)
        step = exact_entropy_sgd([1.0], energy, plane, START, beta=0.7)
        errors.append(np.abs(step - local_mean(energy, START, 1.0, plane, beta=0.7)).max())
    assert errors[1] < 2e-3
    assert errors[1] < 0.6 * errors[0]


def test_bad_input_is_answered_in_a_sentence():
    plane = grid(((-3.0, 3.0), (-3.0, 3.0)), 65)
    with pytest.raises(ValueError, match="must have shape"):
        exact_entropy_sgd([1.0], quadratic, plane, np.zeros(2))
    with pytest.raises(ValueError, match="scope gamma must be positive"):
        exact_entropy_sgd([0.0], quadratic, plane, START)
    with pytest.raises(ValueError, match="gamma must be 0 or more"):
        entropy_sgd_with([-1.0], gradient(quadratic), START, langevin_lr=0.1)
