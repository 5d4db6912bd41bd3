"""The checkers of the chapter on energy landscapes: the truth passes, and each usual slip gets its own hint."""

import numpy as np
import pytest

from esgd_minimal.exercises.energy_landscapes import check_largest_step, check_stationary_points
from esgd_minimal.toy.curvature import curvatures, stationary_points
from esgd_minimal.toy.landscapes import GALLERY, himmelblau

MINIMUM = np.array([3.0, 2.0])
BOX = GALLERY["himmelblau"].box


def test_the_largest_step():
    small, large = curvatures(himmelblau, MINIMUM)[0]
    assert check_largest_step(himmelblau, MINIMUM, 2 / large).startswith("Yes.")
    assert check_largest_step(himmelblau, [3.0, 2.0], 2 / large).startswith("Yes.")
    hints = [
        check_largest_step(himmelblau, MINIMUM, answer)
        for answer in (1 / large, 2 / small, 2 / (small + large), large, 0.123)
    ]
    assert len(set(hints)) == 5
    assert not any(hint.startswith("Yes") for hint in hints)


@pytest.mark.parametrize("answer_for", [(0.0, 1.0), (1.0, 1.0)])
def test_the_largest_step_is_computed_for_the_energy_given(answer_for):
    a, b = 1.0 + answer_for[0], 4.0 + answer_for[1]
    assert check_largest_step(lambda x: 0.5 * (a * x[0] ** 2 + b * x[1] ** 2), np.zeros(2), 2 / b).startswith("Yes.")


def test_the_stationary_points():
    truth = stationary_points(himmelblau, BOX)
    assert check_stationary_points(himmelblau, BOX, truth) == "Yes. Minima, saddles, maxima: 4 − 4 + 1 = 1."
    shuffled = truth[:, np.random.default_rng(0).permutation(9)]
    assert check_stationary_points(himmelblau, BOX, shuffled).startswith("Yes.")


@pytest.mark.parametrize(
    ("spoil", "hint"),
    [
        (lambda p: p.T, "columns"),
        (lambda p: p + 0.01, "not zero"),
        (lambda p: np.hstack([p, p[:, :1]]), "more than once"),
        (lambda p: p[:, :-1], "maximum"),
        (lambda p: p[:, 1:], "minimum"),
        (lambda p: np.delete(p, 5, axis=1), "saddle"),
        (lambda p: p[:, :0], "9 still to find"),
    ],
)
def test_each_slip_with_the_stationary_points_gets_its_hint(spoil, hint):
    answer = check_stationary_points(himmelblau, BOX, spoil(stationary_points(himmelblau, BOX)))
    assert hint in answer
    assert not answer.startswith("Yes")
