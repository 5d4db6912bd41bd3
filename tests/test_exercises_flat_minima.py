"""The checkers of the chapter on flat-minimum optimizers say yes to what is right, and hint at what is wrong."""

import numpy as np
import pytest

from esgd_minimal.exercises.the_flat_minimum_family import check_amplitude, check_invariant
from esgd_minimal.toy import curvature, rescaling

EXACT = 0.03 * 40 * 0.3 / (2 - 0.03 * 40)


@pytest.mark.parametrize(
    ("amplitude", "answer"),
    [
        (EXACT, "Yes."),
        (1.005 * EXACT, "Yes."),
        (2 * EXACT, "half of it"),
        (0.03 * 40 * 0.3, "next step"),
        (0.0, "Not yet"),
        (-EXACT, "Not yet"),
        (np.nan, "finite"),
    ],
)
def test_amplitude(amplitude, answer):
    assert answer in check_amplitude(amplitude)


def test_amplitude_elsewhere():
    assert "Yes." in check_amplitude(0.02 * 10 * 0.5 / (2 - 0.02 * 10), lr=0.02, curvature=10.0, rho=0.5)


def relative(energy, x):
    return rescaling.sharpness(rescaling.in_own_units(energy, x), np.ones(2))


def relative_trace(energy, x):
    return float(np.sum(curvature.curvatures(rescaling.in_own_units(energy, x), np.ones(2))[0]))


@pytest.mark.parametrize(
    ("measure", "answer"),
    [
        (relative, "Yes."),
        (relative_trace, "Yes."),
        (rescaling.sharpness, "It changes"),
        (lambda f, x: rescaling.sharpness(f, x) / np.sum(x**2), "Yes."),  # on an orbit: sharpness is κ |x|²
        (lambda f, x: rescaling.sharpness(f, x) / np.linalg.norm(x), "It changes"),
        (lambda f, x: float(f(x)), "does not see"),
        (lambda f, x: -relative(f, x), "flatter"),
        (lambda f, x: np.inf, "finite"),
    ],
)
def test_invariant(measure, answer):
    assert answer in check_invariant(measure)
