"""The checker of the chapter on MNIST says yes to what is right, and gives the hint that fits what is wrong."""

import numpy as np
import pytest

from esgd_minimal.exercises.mnist import check_margin

ERROR = np.sqrt(2) * 0.03  # of the difference: 1.37 ± 0.03 against 1.39 ± 0.03
T8, T4 = 2.306004, 2.776445  # Student's t, 97.5 %, from a table


@pytest.mark.parametrize(
    ("margin", "answer"),
    [
        (T8 * ERROR, "Yes. It is 4.9 times the difference"),
        (2 * T8 * ERROR, "whole interval's width"),
        (T8 * ERROR / np.sqrt(5), "standard deviation"),
        (100 * T8 * ERROR, "in images"),
        (1.96 * ERROR, "Student's t"),
        (T8 * 0.06, "add as squares"),
        (ERROR, "some t times as wide"),
        (T4 * ERROR, "not paired"),
        (1.0, "Too wide"),
        (0.01, "Too narrow"),
        (0.0, "a number above 0"),
        (np.nan, "a number above 0"),
    ],
)
def test_margin(margin, answer):
    assert answer in check_margin(margin)
