"""Two networks with two weights, u and v, whose answers do not change when u grows and v shrinks by the same factor.

Dinh et al. (2017) rescale the layers of rectifier networks in this way: the same function, as sharp as one likes.
Points are x = (u, v), in arrays (2, …).
"""

import autograd.numpy as np
import numpy

from esgd_minimal.toy import curvature
from esgd_minimal.toy.landscapes import Array, Energy, dimensions

INPUTS = numpy.array([-2.0, -1.0, 0.5, 1.0, 2.0])
ANSWERS = numpy.array([0.1, -0.1, 0.7, 0.8, 2.1])  # nearly max(input, 0)


@dimensions(2)
def product(x: Array, target: float = 1.0) -> Array:
    """½ (u v − m)²: a linear network with one weight in each of two layers, and the answer m to the input 1."""
    return 0.5 * (x[0] * x[1] - target) ** 2


@dimensions(2)
def relu_network(x: Array) -> Array:
    """The mean of ½ (v max(u z, 0) − y)² over five inputs z with answers y."""
    data = zip(INPUTS, ANSWERS, strict=True)
    loss = sum((x[1] * np.maximum(x[0] * z, 0) - y) ** 2 for z, y in data)
    return 0.5 * loss / len(INPUTS)


def rescale(x: Array, factor: float | Array) -> Array:
    """(a u, v/a), for a factor a > 0, or one for each point: (2, …) → (2, …).

    Raises:
        ValueError: a factor is not positive.
    """
    if not numpy.all(numpy.asarray(factor) > 0):
        raise ValueError(f"The factor must be positive; got {numpy.min(factor)}.")
    return numpy.array([x[0] * factor, x[1] / factor])


def in_own_units(energy: Energy, x: Array) -> Energy:
    """z ↦ f(x₁ z₁, x₂ z₂): the landscape around x, (2,), in units of x's own weights; x itself is at z = (1, 1).

    `rescale` does not change it.
    """

    def relative(z: Array) -> Array:
        return energy(np.reshape(x, (2, *[1] * (numpy.ndim(z) - 1))) * z)

    return relative


def sharpness(energy: Energy, x: Array) -> float:
    """The largest eigenvalue of the Hessian at x, (2,)."""
    return float(numpy.max(curvature.curvatures(energy, x)[0]))
