"""The factor by which known methods shrink the error per gradient evaluation, on the worst quadratic of condition κ.

Each with its best constant parameters for curvatures from 1/κ to 1 (in units of the largest).
"""

import numpy as np


def gradient_descent(condition: np.ndarray) -> np.ndarray:
    """(κ − 1)/(κ + 1), with the step 2/(λ_min + λ_max)."""
    return (condition - 1) / (condition + 1)


def nesterov(condition: np.ndarray) -> np.ndarray:
    """1 − 2/√(3κ + 1), with the step 4/(3λ_max + λ_min) and the momentum (√(3κ+1) − 2)/(√(3κ+1) + 2)."""
    return 1 - 2 / np.sqrt(3 * condition + 1)


def heavy_ball(condition: np.ndarray) -> np.ndarray:
    """(√κ − 1)/(√κ + 1), with the step 4/(√λ_max + √λ_min)² and the square of this as momentum."""
    return (np.sqrt(condition) - 1) / (np.sqrt(condition) + 1)


def chebyshev(condition: np.ndarray, steps: int) -> np.ndarray:
    """T_L((κ + 1)/(κ − 1))^(−1/L): no method that starts afresh every L gradients, momentum included, is faster.

    What such a method makes of x in L steps is p(λ) x, with a polynomial of degree L and p(0) = 1, and of those the
    Chebyshev polynomial has the least maximum over the curvatures.
    """
    # log cosh(L θ), without overflow.
    exponent = steps * np.arccosh((condition + 1) / (condition - 1))
    return np.exp(-(exponent + np.log1p(np.exp(-2 * exponent)) - np.log(2)) / steps)
