"""Checker for the chapter on MNIST."""

import numpy as np
from scipy import stats

from esgd_minimal.deep.experiments import EXPERIMENTS

RUNS = 5  # of each method, in the paper


def check_margin(margin: float) -> str:
    """Is this half the 95 % interval of Entropy-SGD minus Adam on mnistfc, if the paper's ± is a standard error?"""
    if not (np.isfinite(margin) and margin > 0):
        return "Half an interval's width is a number above 0."
    spreads = [_published(method).spread for method in ("entropy-sgd", "adam")]
    error, student = float(np.hypot(*spreads)), float(stats.t.ppf(0.975, 2 * RUNS - 2))
    if _is(margin, student * error):
        gap = abs(_published("entropy-sgd").value - _published("adam").value)
        return f"Yes. It is {margin / gap:.1f} times the difference, which the interval therefore cannot tell from 0."
    if _is(margin, 2 * student * error):
        return "This is the whole interval's width; half of it is asked for."
    if _is(margin, student * error / np.sqrt(RUNS)):
        return "This is for a ± that is a standard deviation: a standard error has been divided by √5 already."
    if _is(margin, student * error * 100):
        return "This is in images of the test set; points of a percent are asked for."
    if _is(margin, 1.96 * error):
        return "Nearly. With five runs each, the spreads are themselves uncertain: take Student's t for the 1.96."
    if _is(margin, student * sum(spreads)):
        return "Independent errors add as squares: √(a² + b²), not a + b."
    if _is(margin, error):
        return "This is the standard error of the difference. A 95 % interval is some t times as wide."
    if _is(margin, float(stats.t.ppf(0.975, RUNS - 1)) * error):
        return "The runs are not paired, so both methods' spreads count: 2 (5 − 1) degrees of freedom, not 4."
    return f"Too {'wide' if margin > student * error else 'narrow'}. Two independent means, each with its ±; then t."


def _published(method: str):
    return EXPERIMENTS["mnistfc"].methods[method].published


def _is(margin: float, wanted: float) -> bool:
    return abs(margin / wanted - 1) < 0.01
