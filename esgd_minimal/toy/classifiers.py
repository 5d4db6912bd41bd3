"""Two small classifiers with their gradients written out, for thousands of data sets at once.

Points are weights (d, n), one column for each data set. Its examples are inputs (p, n, m), of length at most 1, and
labels (n, m), each −1 or +1. Both losses have a bounded gradient and a bounded curvature over *all* weights, which the
theory of stability asks for, and which few losses have.
"""

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import expit

Examples = tuple[np.ndarray, np.ndarray]  # inputs (p, n, m) and labels (n, m)

HIDDEN = 8  # units of the network
SCALE = 8.0  # its output is between ±SCALE·√HIDDEN
OUTER = SCALE / sqrt(HIDDEN) * np.where(np.arange(HIDDEN) % 2, -1.0, 1.0)  # the second layer's weights, fixed


class Classifier(NamedTuple):
    """A loss for each example, its gradient, and the two constants of the theory."""

    dimension: int
    losses: Callable[..., np.ndarray]  # (x, inputs, labels) → (n, m)
    gradient: Callable[..., np.ndarray]  # (x, inputs, labels) → (d, n): of the mean loss over the m examples
    lipschitz: float  # G: no example's gradient is longer
    smoothness: float  # B: no example's Hessian has an eigenvalue beyond ±B
    sample: Callable[..., Examples]  # (n, m, rng) → examples


def logistic_losses(x: np.ndarray, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """log(1 + exp(−y x·u)): convex."""
    return np.logaddexp(0.0, -labels * np.einsum("pn,pnm->nm", x, inputs))


def logistic_gradient(x: np.ndarray, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The mean of −y u / (1 + exp(y x·u))."""
    slopes = -labels * expit(-labels * np.einsum("pn,pnm->nm", x, inputs))
    return np.einsum("nm,pnm->pn", slopes, inputs) / labels.shape[1]


def network_losses(x: np.ndarray, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """1/(1 + exp(y z)), the probability that the network gives to the wrong label: between 0 and 1, not convex.

    z = Σ a_j tanh(w_j·u), with fixed a_j = ±SCALE/√HIDDEN; x holds the w_j, unit by unit.
    """
    return expit(-labels * np.tensordot(OUTER, _hidden(x, inputs), axes=1))


def network_gradient(x: np.ndarray, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The gradient of the mean loss, by the chain rule."""
    hidden = _hidden(x, inputs)
    wrong = expit(-labels * np.tensordot(OUTER, hidden, axes=1))
    slopes = -labels * wrong * (1 - wrong) / labels.shape[1]
    slopes = (1 - hidden**2) * slopes * OUTER[:, None, None]
    return np.einsum("hnm,pnm->hpn", slopes, inputs).reshape(x.shape)


def _hidden(x: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """tanh(w_j·u) for each unit, data set and example: (HIDDEN, n, m)."""
    weights = x.reshape(HIDDEN, len(inputs), -1, 1)
    return np.tanh(sum(weights[:, k] * inputs[k] for k in range(len(inputs))))


def directions(n: int, m: int, rng: np.random.Generator) -> Examples:
    """Ten inputs on the unit sphere; the label is +1 with probability 1/(1 + exp(−6 u₀))."""
    inputs = rng.standard_normal((10, n, m))
    inputs /= np.linalg.norm(inputs, axis=0)
    return inputs, np.where(rng.random((n, m)) < expit(6 * inputs[0]), 1.0, -1.0)


def quadrants(n: int, m: int, rng: np.random.Generator) -> Examples:
    """Points of a disc, with a constant third input; the label is the sign of u₀u₁, and one in ten is turned over."""
    radius, angle = np.sqrt(0.75 * rng.random((n, m))), 2 * np.pi * rng.random((n, m))
    inputs = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full((n, m), 0.5)])
    turned = np.where(rng.random((n, m)) < 0.1, -1.0, 1.0)
    return inputs, turned * np.where(inputs[0] * inputs[1] < 0, -1.0, 1.0)


LOGISTIC = Classifier(10, logistic_losses, logistic_gradient, 1.0, 0.25, directions)

# With s = 1/(1 + e^z): |s'| ≤ 1/4, |s''| ≤ 1/(6√3), |tanh'| ≤ 1, |tanh''| ≤ 4/(3√3); the units' Hessians do not mix.
NETWORK = Classifier(
    3 * HIDDEN,
    network_losses,
    network_gradient,
    SCALE / 4,
    SCALE**2 / (6 * sqrt(3)) + SCALE / (3 * sqrt(3 * HIDDEN)),
    quadrants,
)
