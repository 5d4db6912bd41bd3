"""Two equal wells with a barrier between them: when does a relaxed landscape put its minimum on the barrier?

Four knobs, one for each thing that matters: the depth of the wells below their surroundings, the height of the
barrier above their floors, half their distance, their width. The floors are at 0.

Local entropy at the reach σ = 1/√(βγ) has the same minima as Gaussian smoothing, of width σ, of the `saturated`
energy; so both are asked the same question, whether the smoothed landscape curves upwards at the barrier.
"""

import autograd.numpy as np
import numpy
from scipy.special import ndtr

from esgd_minimal.toy.landscapes import Array, dimensions


@dimensions(1)
def round_wells(x: Array, depth: float = 4.0, barrier: float = 4.0, half: float = 1.0, width: float = 0.2) -> Array:
    """Gaussian wells at ±half: h (1 − exp(−(|x| − half)²/2 width²)), h = barrier between them, depth outside.

    The knobs broadcast against x[0], so that one call does for many landscapes.
    """
    away = np.abs(x[0]) - half
    level = np.where(away < 0, barrier, depth)
    return level * (1 - np.exp(-0.5 * (away / width) ** 2))


@dimensions(1)
def square_wells(x: Array, depth: float = 4.0, barrier: float = 4.0, half: float = 1.0, width: float = 0.2) -> Array:
    """Wells with vertical walls: 0 where half − width < |x| < half + width, `barrier` between, `depth` outside."""
    r = np.abs(x[0])
    return np.where(r <= half - width, barrier, np.where(r < half + width, 0.0, depth))


def smoothed_square_wells(
    x: Array, reach: float, depth: float = 4.0, barrier: float = 4.0, half: float = 1.0, width: float = 0.2
) -> Array:
    """`square_wells` under a Gaussian of standard deviation `reach`, in closed form, at the points x: (1, …) → (…)."""

    def inside(edge):
        """The Gaussian's mass in (−edge, edge)."""
        return ndtr((x[0] + edge) / reach) - ndtr((x[0] - edge) / reach)

    return barrier * inside(half - width) + depth * (1 - inside(half + width))


def saturated(energy: Array, beta: float = 1.0) -> Array:
    """(1 − exp(−β f))/β: f where it is low, and never more than 1/β, however high f is.

    For the local free energy φ: saturated(φ) is the Gaussian smoothing of saturated(f).
    """
    return -numpy.expm1(-beta * numpy.asarray(energy)) / beta


def merging_ratio(half: float, width: float, reach: float) -> float:
    """ρ = (q/p) exp(−(q² − p²)/2σ²) for wells with the edges p, q = half ∓ width, and the reach σ.

    Smoothed square wells have a minimum on the barrier if barrier/depth < ρ, and local entropy if the same holds
    for the saturated heights.
    """
    p, q = half - width, half + width
    return q / p * numpy.exp(-(q**2 - p**2) / (2 * reach**2))


def critical_reach(half: float, width: float) -> float:
    """The reach at which the merging ratio is 1: half the distance, up to a term in (width/half)²."""
    return numpy.sqrt(2 * half * width / numpy.log((half + width) / (half - width)))


def count_minima(values: Array) -> Array:
    """How many local minima the landscapes `values`, (n, …), have along their first axis: integers (…).

    Steps smaller than 1e-12 of a landscape's range count as flat; a flat floor is one minimum.
    """
    steps = numpy.diff(values, axis=0)
    signs = numpy.where(numpy.abs(steps) > 1e-12 * numpy.ptp(values, axis=0), numpy.sign(steps), 0).astype(int)
    # Carry each sign over the flat steps that follow it.
    index = numpy.arange(len(signs)).reshape(-1, *[1] * (signs.ndim - 1))
    last = numpy.maximum.accumulate(numpy.where(signs != 0, index, 0), axis=0)
    signs = numpy.take_along_axis(signs, last, axis=0)
    return numpy.sum((signs[:-1] < 0) & (signs[1:] > 0), axis=0)
