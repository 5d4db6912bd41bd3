import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from esgd_minimal.statistics import mean_interval, paired_difference


def test_a_worked_example():
    """Values 1 … 5: mean 3, s = √2.5, and t₀.₉₇₅ with 4 degrees of freedom is 2.7764 in any table."""
    interval = mean_interval([1, 2, 3, 4, 5])
    assert interval.mean == 3
    assert_allclose(interval.high - 3, 2.776445 * np.sqrt(2.5 / 5), rtol=1e-6)
    assert_allclose(3 - interval.low, interval.half_width)
    assert f"{interval:.2f}" == "3.00 ± 1.96"
    assert f"{mean_interval([-1, -2, -3, -4, -5]):.1f}" == "−3.0 ± 2.0"
    assert f"{mean_interval([-0.2, 0.199]):.1f}".startswith("0.0 ±")  # rounded to zero, it has no sign
    assert f"{mean_interval([-0.02, -0.04]):.0%}" == "−3% ± 13%"


def test_it_is_scipys_t_test_read_backwards():
    """The 1 − p interval of a paired difference has 0 at one end, p being the p-value of the paired t test."""
    a, b = np.random.default_rng(0).normal([[0.5], [0.0]], 1.0, size=(2, 8))
    p = stats.ttest_rel(a, b).pvalue
    interval = paired_difference(a, b, confidence=1 - p)
    assert min(abs(interval.low), abs(interval.high)) < 1e-12


def test_the_interval_covers_as_often_as_it_says():
    """20,000 samples of 6 at 90 %: the number that cover is binomial; the limits hold with probability 1 − 1e-6.

    A normal quantile in place of t (the planted error) covers about 84 %, 29 standard deviations off.
    """
    n, samples = 6, np.random.default_rng(1).normal(2.0, 3.0, size=(6, 20_000))
    low, high = stats.binom.ppf([5e-7, 1 - 5e-7], 20_000, 0.9)

    def covered(margin, mean):
        return np.sum(np.abs(mean - 2.0) < margin)

    interval = mean_interval(samples, 0.9)
    assert low < covered(interval.half_width, interval.mean) < high
    normal = stats.norm.ppf(0.95) * samples.std(axis=0, ddof=1) / np.sqrt(n)
    assert covered(normal, interval.mean) < low


def test_pairing_removes_what_both_share():
    shared = np.array([10.0, -20.0, 30.0, 0.0])
    interval = paired_difference(shared + np.array([1.0, 1.1, 0.9, 1.0]), shared)
    assert interval.mean == pytest.approx(1.0) and 0 < interval.half_width < 0.2


def test_every_column_is_its_own():
    values = np.random.default_rng(2).normal(size=(7, 3))
    together = mean_interval(values)
    for column in range(3):
        assert_allclose(np.array(together)[:, column], np.array(mean_interval(values[:, column])))


@pytest.mark.parametrize(
    ("values", "confidence", "sentence"),
    [
        ([1.0], 0.95, r"at least two seeds; got values of shape \(1,\)"),
        (1.0, 0.95, "at least two seeds"),
        ([1.0, np.nan, np.inf], 0.95, "2 of 3 values are not finite"),
        ([1.0, 2.0], 95, "confidence must be between 0 and 1; got 95"),
    ],
)
def test_bad_input(values, confidence, sentence):
    with pytest.raises(ValueError, match=sentence):
        mean_interval(values, confidence)


def test_pairs_must_match():
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(3,\)"):
        paired_difference([1, 2], [1, 2, 3])
