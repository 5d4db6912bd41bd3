"""The checkers of the chapter on local entropy say yes to what is right, and give the hint that fits what is wrong."""

import numpy as np
import pytest

from esgd_minimal.exercises.local_entropy import check_crossing, check_estimator
from esgd_minimal.toy import landscapes
from esgd_minimal.toy.grids import grid
from esgd_minimal.toy.local_entropy import crossing_gamma


@pytest.fixture(scope="module")
def crossing():
    wells = landscapes.GALLERY["wide_and_sharp"]
    box = grid(wells.box, 257)
    return crossing_gamma(wells.energy, box, box.points[0] < 0, (1.0, 500.0))


@pytest.mark.parametrize(
    ("factor", "answer"),
    [
        (1.0, "Yes."),
        (1.015, "Yes."),
        (1.1, "too large"),
        (0.9, "too small"),
        (3.0, "Too large"),
        (0.3, "Too small"),
        (-1.0, "positive"),
        (np.nan, "positive"),
    ],
)
def test_crossing(crossing, factor, answer):
    assert answer in check_crossing(factor * crossing)


def right(energy, x, gamma, beta, rng):
    z = x[:, None] + rng.standard_normal((len(x), 100_000)) / np.sqrt(beta * gamma)
    return np.log(np.mean(np.exp(-beta * energy(z)))) + len(x) / 2 * np.log(2 * np.pi / (beta * gamma))


def volume(x, gamma, beta):
    return len(x) / 2 * np.log(2 * np.pi / (beta * gamma))


@pytest.mark.parametrize(
    ("estimate", "answer"),
    [
        (right, "Yes."),
        (lambda e, x, g, b, rng: -right(e, x, g, b, rng), "sign"),
        (lambda e, x, g, b, rng: right(e, x, g, b, rng) - volume(x, g, b), "constant is missing"),
        (lambda e, x, g, b, rng: (volume(x, g, b) - right(e, x, g, b, rng)) / b, "local free energy"),
        (lambda e, x, g, b, rng: right(e, x, g, 1.0, rng), "Right at β = 1"),
        (lambda e, x, g, b, rng: right(e, x, 2 * g, b, rng), "Not yet"),
        (lambda e, x, g, b, rng: -b * float(e(x)), "Not yet"),
        (lambda e, x, g, b, rng: np.nan, "finite number"),
        (lambda e, x, g, b, rng: np.zeros(2), "finite number"),
    ],
)
def test_estimator(estimate, answer):
    assert answer in check_estimator(estimate)
