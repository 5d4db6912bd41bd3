"""Checkers for the exercises of the chapter on the Gibbs measure."""

import numpy as np
from scipy.optimize import minimize_scalar

from esgd_minimal.toy import gibbs
from esgd_minimal.toy.curvature import newton
from esgd_minimal.toy.grids import Box, Grid, grid
from esgd_minimal.toy.landscapes import Energy


def check_crossing(energy: Energy, box: Box, bracket: tuple[float, float], answer: float) -> str:
    """Is `answer` the β in the bracket at which the two deepest basins hold equal mass?"""
    g = grid(box, 1025)
    labels = gibbs.basins(energy, g)
    truth = gibbs.crossing_beta(energy, g, labels, bracket)
    if np.isclose(answer, truth, rtol=1e-3):
        return f"Yes. At beta = {truth:.4g} both basins hold the same mass."
    if np.isclose(answer, _laplace(energy, g, labels), rtol=1e-3):
        return "That is Laplace's two-line estimate, and a good one. Now find the exact root with gibbs.crossing_beta."
    if np.isclose(answer, 1 / truth, rtol=1e-3):
        return "That is the temperature. The inverse temperature beta is one over it."
    colder = "Make it colder: raise beta." if answer < truth else "Make it hotter: lower beta."
    return f"Not yet. At beta = {answer:.4g} the {'wider' if answer < truth else 'deeper'} basin holds more. {colder}"


def check_favourite(energy: Energy, box: Box, answer: float) -> str:
    """Is `answer` the β at which the second deepest basin's share of the measure is largest?"""
    g = grid(box, 513)
    labels = gibbs.basins(energy, g)

    def share(beta: float) -> float:
        return gibbs.basin_masses(energy, g, beta, labels)[1]

    best = minimize_scalar(lambda beta: -share(beta), bounds=(0.3, 10), method="bounded").x
    if np.isclose(answer, best, rtol=0.03):
        return f"Yes. At beta = {best:.3g} the share is {share(best):.1%}, and it falls on both sides."
    if np.isclose(1 / answer, best, rtol=0.03):
        return "That is the temperature. The inverse temperature beta is one over it."
    if share(answer) < 0.5:
        return "There the deeper basin holds more than half. It has to be much hotter: lower beta."
    side = "hotter: lower beta" if answer > best else "colder: raise beta"
    return f"Not yet: the share there is {share(answer):.1%}, and it still grows when you make it a little {side}."


def _laplace(energy: Energy, g: Grid, labels: np.ndarray) -> float:
    values, points = energy(g.points), g.points.reshape(g.dimension, -1)
    bottoms = [points[:, np.argmin(np.where(labels == k, values, np.inf))] for k in (0, 1)]
    sharp, wide = newton(energy, np.transpose(bottoms), steps=5).T
    return gibbs.laplace_crossing_beta(energy, wide, sharp)
