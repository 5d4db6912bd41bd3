"""Checker for an exercise of the chapter on replicas."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from esgd_minimal.toy.landscapes import double_well_gradient


def check_spring(threshold: Callable[[float], float]) -> str:
    """Is threshold(b) the γ up to which two workers can rest in the two wells of b (x² − 1)²?"""
    barriers = np.array([0.5, 1.0, 3.0])
    try:
        found = np.array([float(threshold(b)) for b in barriers])
    except (TypeError, ValueError) as problem:
        return f"A function of the barrier b that returns a number is wanted; got an error: {problem}"
    right = np.array([_breaks(b) for b in barriers])
    if np.allclose(found, right, rtol=1e-4):
        return "Yes. Below it the two can rest apart; above it the least push sends both into one well."
    if np.allclose(found, [_vanishes(b) for b in barriers], rtol=1e-4):
        return (
            "At this γ the two places ±u meet at 0. They have become a saddle before: try to move both workers and "
            "the center the same way."
        )
    if np.allclose(found, [_curvature(1.0, b) for b in barriers], rtol=1e-4):
        return "This is the curvature at the bottoms ±1. The spring has pulled the workers uphill, to ±u."
    if np.allclose(found / right, found[0] / right[0], rtol=1e-4):
        return "It grows in proportion to b, but the factor is not right. How curved is f where the workers rest?"
    return "Not yet. Find u with f'(u) + γ u = 0, and the γ at which f''(u) is no longer positive."


def _rest(gamma: float, barrier: float) -> float:
    """Where on the right a worker rests, the other being at −u and the centre at 0."""

    def force(u: float) -> float:
        # Over u, so that the rest at 0 does not count.
        return double_well_gradient(np.array([[u]]), barrier)[0, 0] / u + gamma

    return brentq(force, 1e-6, 2.0, xtol=1e-14)


def _curvature(u: float, barrier: float, h: float = 1e-5) -> float:
    slopes = double_well_gradient(np.array([[u - h, u + h]]), barrier)[0]
    return (slopes[1] - slopes[0]) / (2 * h)


def _vanishes(barrier: float) -> float:
    """−f''(0): from this γ on, f(z) + γ/2 z² has its only rest at 0."""
    return -_curvature(0.0, barrier)


def _breaks(barrier: float) -> float:
    """The γ at which f'' at the workers' places is zero: a common shift, which no spring feels, is free from there."""
    return brentq(lambda gamma: _curvature(_rest(gamma, barrier), barrier), 1e-3, 0.999 * _vanishes(barrier))
