"""The checker of the chapter on replicas says yes to what is right, and gives the fitting hint."""

import pytest

from esgd_minimal.exercises.replicas import check_spring


@pytest.mark.parametrize(
    ("threshold", "answer"),
    [
        (lambda b: 8 * b / 3, "Yes."),
        (lambda b: 4 * b, "the same way"),
        (lambda b: 8 * b, "uphill"),
        (lambda b: 2 * b, "factor is not right"),
        (lambda b: 8 / 3, "Not yet"),
        (lambda b: 2.6 * b, "factor is not right"),
        (lambda: 1.0, "A function"),
        (8 / 3, "A function"),
    ],
)
def test_check_spring(threshold, answer):
    assert answer in check_spring(threshold)
