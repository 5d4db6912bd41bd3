"""Checkers for the chapter on local entropy."""

from collections.abc import Callable

import numpy as np

from esgd_minimal.toy import landscapes
from esgd_minimal.toy.grids import Grid, grid
from esgd_minimal.toy.local_entropy import crossing_gamma, local_entropy


def check_crossing(gamma: float) -> str:
    """Is this the scope at which the two wells of `wide_and_sharp` have the same local entropy (β = 1)?"""
    wells = landscapes.GALLERY["wide_and_sharp"]
    box = grid(wells.box, 129)
    exact = crossing_gamma(wells.energy, box, box.points[0] < 0, bracket=(1.0, 300.0))
    if not (np.isfinite(gamma) and gamma > 0):
        return "A scope is a positive number."
    off = gamma / exact - 1
    if abs(off) < 0.02:
        return "Yes. It is within two percent of the exact crossing."
    if abs(off) < 0.3:
        return f"As near as a formula with two bowls gets: {abs(off):.0%} too {'large' if off > 0 else 'small'}."
    if off > 0:
        return (
            "Too large: at this scope the sharp well is still the better one. Do both directions count in your price?"
        )
    return "Too small: at this scope the wide well has long won. Is each price half the logarithm, once a direction?"


def check_estimator(estimate: Callable) -> str:
    """Does estimate(energy, x, gamma, beta, rng) return the local entropy F(x, γ) at a single place x, shape (d,)?"""
    line, plane = grid(((-6.0, 6.0),), 601), grid(((-6.0, 6.0), (-6.0, 6.0)), 241)
    cases: list[tuple[landscapes.Energy, np.ndarray, float, float, Grid]] = [
        (landscapes.double_well, np.array([0.4]), 3.0, 1.0, line),
        (landscapes.double_well, np.array([0.4]), 3.0, 2.0, line),
        (landscapes.quadratic, np.array([0.5, -0.2]), 2.0, 0.5, plane),
    ]
    rng = np.random.default_rng(0)
    off = []
    for energy, x, gamma, beta, box in cases:
        value = np.asarray(estimate(energy, x, gamma, beta, rng), dtype=float)
        if value.shape != () or not np.isfinite(value):
            return f"One finite number is wanted for one place; got {value}."
        exact = local_entropy(energy, x[:, None], gamma, box, beta)[0]
        volume = len(x) / 2 * np.log(2 * np.pi / (beta * gamma))
        off.append((value - exact, value + exact, value - (exact - volume), beta * value + exact - volume))
    right, sign, constant, free_energy = (max(abs(np.array(errors))) < 0.05 for errors in zip(*off, strict=True))
    if right:
        return "Yes. It agrees with quadrature at three places, in one dimension and in two, and at three temperatures."
    if sign:
        return "The sign is wrong: F is the logarithm itself, large where there is much low land."
    if constant:
        return "Only a constant is missing: the volume of the Gaussian, (d/2) log(2π/(βγ))."
    if free_energy:
        return "This is the local free energy, in the units of f; F itself is asked for."
    if abs(off[0][0]) < 0.05:
        return "Right at β = 1, wrong elsewhere: β multiplies the energy and narrows the Gaussian, to variance 1/(βγ)."
    return "Not yet. Draw from a Gaussian around x of variance 1/(βγ), average exp(−β f), and take the logarithm last."
