"""The checkers of the chapter on the Gibbs measure: the truth passes, and each usual slip gets its own hint."""

import numpy as np
from scipy.optimize import brentq

from esgd_minimal.exercises.gibbs_measure import check_crossing, check_favourite
from esgd_minimal.toy import gibbs
from esgd_minimal.toy.grids import grid
from esgd_minimal.toy.landscapes import GALLERY, wide_and_sharp

BOX = GALLERY["wide_and_sharp"].box


def test_the_crossing():
    plane = grid(BOX, 513)
    right = plane.points[0] > 0.75  # a rougher way to part the wells: it costs little, as hardly any mass is between

    def lead(beta):
        mass = gibbs.density(wide_and_sharp, plane, beta) * plane.weights
        return mass[right].sum() - 0.5

    truth = brentq(lead, 4, 7)
    hints = [check_crossing(wide_and_sharp, BOX, (4, 7), answer) for answer in (truth, 5.3157, 1 / 5.3258, 4.5, 6.5)]
    assert len(set(hints)) == 5
    assert [hint.startswith("Yes.") for hint in hints] == [True, False, False, False, False]
    assert "Laplace" in hints[1] and "temperature" in hints[2] and "raise beta" in hints[3] and "lower beta" in hints[4]


def test_the_favourite_temperature():
    plane = grid(BOX, 257)
    labels = gibbs.basins(wide_and_sharp, plane)
    betas = np.linspace(0.8, 2, 61)
    truth = betas[np.argmax([gibbs.basin_masses(wide_and_sharp, plane, b, labels)[1] for b in betas])]
    hints = [check_favourite(wide_and_sharp, BOX, answer) for answer in (truth, 1 / truth, 8.0, 2.5, 0.6)]
    assert len(set(hints)) == 5
    assert [hint.startswith("Yes.") for hint in hints] == [True, False, False, False, False]
