"""The checkers of the chapter on smoothing say yes to what is right, and give the hint that fits what is wrong."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from esgd_minimal.exercises.smoothing_and_envelopes import check_knobs, check_swallowed
from esgd_minimal.toy.landscapes import wide_and_sharp


def f(z):
    return wide_and_sharp(np.array([[z]]))[0]


@pytest.fixture(scope="module")
def scopes():
    """The scope by the touching parabola, and by the two floors, without a grid."""
    left = minimize_scalar(f, bounds=(-1.5, -0.8), method="bounded", options={"xatol": 1e-10}).x
    right = minimize_scalar(f, bounds=(1.0, 1.4), method="bounded", options={"xatol": 1e-10}).x

    def scope(z):
        return 2 * (f(left) - f(z)) / (z - left) ** 2

    touching = minimize_scalar(lambda z: -scope(z), bounds=(1.0, 1.4), method="bounded", options={"xatol": 1e-10}).x
    return scope(touching), scope(right)


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (lambda exact, floors: exact, "Yes."),
        (lambda exact, floors: floors, "deepest point"),
        (lambda exact, floors: exact / 2, "Half of it"),
        (lambda exact, floors: 1 / exact, "the scope is asked for"),
        (lambda exact, floors: 1.3 * exact, "Too large"),
        (lambda exact, floors: 0.8 * exact, "Too small"),
        (lambda exact, floors: -1.0, "positive"),
        (lambda exact, floors: np.nan, "positive"),
    ],
)
def test_swallowed(scopes, change, answer):
    assert answer in check_swallowed(change(*scopes))


@pytest.mark.parametrize(
    ("asked", "knobs", "answer"),
    [
        ("only smoothing", (8, 3, 1.2, 0.25), "Yes."),
        ("only local entropy", (5, 9, 0.8, 0.25), "Yes."),
        ("both", (5, 5, 0.8, 0.25), "Yes."),
        ("neither", (5, 5, 1.5, 0.25), "Yes."),
        ("only smoothing", (5, 7, 0.8, 0.25), "needs a barrier below"),
        ("only local entropy", (8, 3, 1.2, 0.25), "needs a barrier above"),
        ("only smoothing", (8, 3, 0.8, 0.25), "Local entropy merges too"),
        ("only local entropy", (5, 9, 1.5, 0.25), "does not merge"),
        ("both", (5, 5, 1.5, 0.25), "change the barrier"),
        ("something", (5, 5, 1.5, 0.25), "one of"),
        ("both", (5, 5, 0.5, 0.4), "positive knobs"),
        ("both", (-1, 5, 0.5, 0.1), "positive knobs"),
    ],
)
def test_knobs(asked, knobs, answer):
    assert answer in check_knobs(asked, *knobs)
