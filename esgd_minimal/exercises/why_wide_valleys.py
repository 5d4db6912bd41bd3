"""Checkers for the exercises of "Why wide valleys?"."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import brentq, minimize_scalar

from esgd_minimal.deep.digits import Networks, split
from esgd_minimal.toy.landscapes import wide_and_sharp


def check_louder_station(depth: float, widths: tuple[float, float] = (0.6, 0.08), drift: float = 0.15) -> str:
    """Is this the depth at which the sharp well is, after the drift, as good as the wide one of depth 1?"""

    def advantage(sharp_depth: float) -> float:
        return _after_drift(-1.2, sharp_depth, widths, drift) - _after_drift(1.2, sharp_depth, widths, drift)

    truth = brentq(advantage, 0.5, 50.0)
    if abs(depth / truth - 1) < 0.01:
        return f"Yes. At depth {truth:.3f} the two knobs do equally well after the drift."
    if depth < truth:
        return "Not enough: after the drift the wide station still comes in louder. What does each lose on average?"
    return (
        "Too much: the sharp station would win even after the drift. Does each well keep w / √(w² + s²) of its depth?"
    )


def _after_drift(centre: float, sharp_depth: float, widths: tuple[float, float], drift: float) -> float:
    """The mean energy, over Gaussian drifts (by quadrature), of the point that is lowest near `centre` without one."""

    def energy(x) -> np.ndarray:
        return wide_and_sharp(np.atleast_1d(x)[None], (1.0, sharp_depth), widths, bowl=0.0)

    knob = minimize_scalar(lambda x: energy(x)[0], bounds=(centre - 0.2, centre + 0.2), method="bounded").x
    shifts = np.linspace(-6 * drift, 6 * drift, 2001)
    weights = np.exp(-(shifts**2) / (2 * drift**2))
    return float(np.sum(weights * energy(knob + shifts)) / np.sum(weights))


@torch.no_grad()
def check_same_function(rescale: Callable[[Networks, float], Networks], factor: float = 4.0) -> str:
    """Does rescale(networks, factor) give networks that answer alike, their first layer `factor` times as large?"""
    networks = Networks(range(2))
    for p in networks.parameters():
        p.add_(0.1)  # so that the biases are not zero, and forgetting one of them shows
    before = [p.clone() for p in networks.parameters()]
    other = rescale(networks, factor)
    if not all(torch.equal(p, b) for p, b in zip(networks.parameters(), before, strict=True)):
        return "The networks you were given have changed: work on a copy (copy.deepcopy)."
    if not torch.allclose(other.w1, factor * networks.w1):
        return "The first layer's weights should be multiplied by the factor."
    pixels = split()[0].pixels
    if not torch.allclose(other(pixels), networks(pixels), rtol=1e-3, atol=1e-3):
        return "The answers differ. What comes out of the ReLU is larger now, biases included: which layer can undo it?"
    return "Yes. Every answer is the same, and the weights are others."
