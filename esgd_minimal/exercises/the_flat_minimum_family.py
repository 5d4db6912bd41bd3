"""Checkers for the chapter on the family of flat-minimum optimizers."""

from collections.abc import Callable

import numpy as np

from esgd_minimal.toy import flat_minima, rescaling
from esgd_minimal.toy.landscapes import Energy


def check_amplitude(amplitude: float, lr: float = 0.03, curvature: float = 40.0, rho: float = 0.3) -> str:
    """Is this how far from the minimum of ½ λ x² SAM ends up leaping?"""
    start = np.array([[0.01]])
    exact = float(abs(flat_minima.sam(lambda x: curvature * x, start, lr, 2000, rho).x[-1, 0, 0]))
    if not np.isfinite(amplitude):
        return "A distance is a finite number."
    if abs(amplitude / exact - 1) < 0.01:
        return "Yes. It agrees with 2000 steps of SAM."
    if abs(amplitude / (2 * exact) - 1) < 0.01:
        return "This is the length of a leap, from one side to the other; the distance from the minimum is half of it."
    if abs(amplitude / (lr * curvature * rho) - 1) < 0.01:
        return "That is where a step from the minimum itself would end. After it comes the next step, from there."
    return "Not yet. Look for a point a which one step takes to −a; uphill from a is a + ρ."


def check_invariant(measure: Callable[[Energy, np.ndarray], float]) -> str:
    """Does measure(energy, x) see curvature at the minimum x, (2,), and ignore the rescaling of a network?"""
    balanced, steeper = np.array([1.0, 1.0]), lambda x: 4 * rescaling.product(x)
    stretched = [rescaling.rescale(balanced, factor) for factor in (0.5, 3.0)]
    values = [float(measure(rescaling.product, x)) for x in (balanced, *stretched)]
    sharper = float(measure(steeper, balanced))
    if not np.all(np.isfinite([*values, sharper])):
        return "The measure should be one finite number."
    tolerance = 1e-6 * max(1.0, abs(values[0]))
    if abs(sharper - values[0]) <= tolerance:
        return "It does not see curvature: four times the loss, and the same value."
    if max(abs(value - values[0]) for value in values[1:]) > tolerance:
        return "It changes where the function does not: try it at (1, 1) and at (3, 1/3)."
    if sharper < values[0]:
        return "Invariant; but it calls the sharper minimum the flatter one, so it measures flatness."
    return "Yes. It rises with the curvature, and rescaling does not move it."
