"""Paired by seed, not by place in the list; and words that say no more than the interval."""

import numpy as np
import pytest

from esgd_minimal.comparisons import in_words, paired
from esgd_minimal.records import Record
from esgd_minimal.statistics import Interval, mean_interval


def record(method, seed, error):
    history = {"gradient_evaluations": [1]}
    rest = {"configuration": {}, "data": "", "versions": {}, "device": "CPU", "seconds": 1.0}
    return Record(
        "digits", method, seed, gradient_evaluations=1, history=history, results={"test_error": error}, **rest
    )


def test_a_difference_is_taken_between_runs_of_one_seed():
    a = [record("a", seed, error) for seed, error in ((0, 9.0), (1, 1.0), (2, 5.0), (7, 2.5))]
    b = [record("b", seed, error) for seed, error in ((7, 2.0), (2, 4.0), (1, 0.5), (3, 99.0))]
    difference = paired({"a": a, "b": b}, "a", "b")
    assert np.allclose(difference, mean_interval([0.5, 1.0, 0.5]))  # seeds 1, 2 and 7
    assert np.allclose(paired({"a": a, "b": b}, "b", "a").mean, -difference.mean)


def test_one_seed_in_common_is_too_few():
    with pytest.raises(ValueError, match="a and b share 1 seeds"):
        paired({"a": [record("a", 0, 1.0), record("a", 1, 1.0)], "b": [record("b", 1, 1.0)]}, "a", "b")


@pytest.mark.parametrize(
    ("mean", "margin", "words"),
    [
        (-0.4, 0.1, "lower by 0.40 ± 0.10 points"),
        (0.4, 0.1, "higher by 0.40 ± 0.10 points"),
        (-0.1, 0.4, "no difference seen (−0.10 ± 0.40 points)"),
        (-0.001, 0.2, "no difference seen (0.00 ± 0.20 points)"),  # no minus before a zero
        (0.5, 0.5, "no difference seen (0.50 ± 0.50 points)"),  # the end of an interval is in it
    ],
)
def test_words(mean, margin, words):
    assert in_words(Interval(mean, mean - margin, mean + margin)) == words
