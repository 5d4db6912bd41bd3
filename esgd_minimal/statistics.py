"""How sure a handful of seeds can make us: a mean and a difference, each with its confidence interval."""

from typing import NamedTuple

import numpy as np
from scipy import stats


class Interval(NamedTuple):
    """A mean and the interval around it; f"{interval:.2f}" reads "1.40 ± 0.10"."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def half_width(self) -> np.ndarray:
        return (self.high - self.low) / 2

    def __format__(self, spec: str) -> str:
        mean = f"{self.mean:{spec}}"
        if not any(digit in mean for digit in "123456789"):
            mean = mean.lstrip("-")  # what is rounded to zero has no sign
        return f"{mean} ± {self.half_width:{spec}}".replace("-", "−")


def mean_interval(values, confidence: float = 0.95) -> Interval:
    """The mean over the first axis (the seeds), with Student's t interval at the given confidence.

    The interval covers the true mean in that share of repetitions if the values are independent and normal;
    for ten or so values without outliers it is close to that. A shape (seeds, …) gives intervals of shape (…).

    Raises:
        ValueError: fewer than two seeds, a value that is not finite, or a confidence outside (0, 1).
    """
    values = np.asarray(values, dtype=float)
    if values.ndim == 0 or len(values) < 2:
        raise ValueError(f"An interval needs at least two seeds; got values of shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError(f"{(~np.isfinite(values)).sum()} of {values.size} values are not finite numbers.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1; got {confidence}.")
    mean = values.mean(axis=0)
    margin = stats.t.ppf((1 + confidence) / 2, df=len(values) - 1) * stats.sem(values, axis=0)
    return Interval(mean, mean - margin, mean + margin)


def paired_difference(a, b, confidence: float = 0.95) -> Interval:
    """The mean of a − b over seeds that both share, with its interval: what differs once the seed is the same.

    Raises:
        ValueError: a and b differ in shape, or as `mean_interval`.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"Pairs need one value of each for every seed; got shapes {a.shape} and {b.shape}.")
    return mean_interval(a - b, confidence)
