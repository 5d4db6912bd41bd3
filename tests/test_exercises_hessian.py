"""The checker of the chapter on the Hessian says yes to what is right, and gives the hint that fits what is wrong."""

import pytest

from esgd_minimal.exercises.the_hessian_at_the_bottom import check_negative


@pytest.mark.parametrize(
    ("count", "answer"),
    [
        (9 * 64, "Yes."),
        (10 * 64, "Nearly"),
        (2 * 9 * 64, "rank of R"),
        (9, "one hidden unit"),
        (50_890, "rank of one B_j"),
        (-1, "whole number"),
        (1.5, "whole number"),
        (float("nan"), "whole number"),
    ],
)
def test_negative(count, answer):
    assert answer in check_negative(count)
