"""The checkers of the chapter on text say yes to what is right, and give the hint that fits what is wrong."""

import numpy as np
import pytest

from esgd_minimal.exercises.text import check_factor, check_gain


@pytest.mark.parametrize(
    ("percent", "answer"),
    [
        (0.895963, "Yes"),  # 100 (1 − e^−0.009)
        (0.00895963, "a share"),
        (0.734095, "ratio of the two numbers in nats"),
        (0.621885, "2 goes with bits"),
        (0.904062, "Turn it round"),
        (5.0, "Too much"),
        (0.1, "Too little"),
        (0.0, "above 0"),
        (np.nan, "above 0"),
    ],
)
def test_gain(percent, answer):
    assert answer in check_gain(percent)


@pytest.mark.parametrize(
    ("factor", "answer"),
    [
        (4 / 3, "Yes. Counting what was thrown away makes 25 epochs 30"),
        (1.6, "Nearly"),
        (2.0, "the length of Adam's run, 50 epochs"),
        (5 / 3, "the length of Adam's run, 50 epochs"),
        (1.92, "wrong side"),
        (0.75, "inverse"),
        (7.0, "25 effective epochs and 40"),
        (-1.0, "above 0"),
        (np.inf, "above 0"),
    ],
)
def test_factor(factor, answer):
    assert answer in check_factor(factor)
