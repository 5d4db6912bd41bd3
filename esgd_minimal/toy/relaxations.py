"""Two neighbours of local entropy: Gaussian smoothing (infinitely hot) and the Moreau envelope (infinitely cold)."""

import numpy as np
from scipy.optimize import minimize

from esgd_minimal.toy.convolution import smooth
from esgd_minimal.toy.grids import Grid
from esgd_minimal.toy.landscapes import Energy, gradient


def gaussian_smoothing(energy: Energy, grid: Grid, width: float) -> np.ndarray:
    """The mean of f under a Gaussian of standard deviation `width` around every grid point: shape (n_1, …, n_d).

    Near the box's walls the Gaussian is cut and normalised again.

    Raises:
        ValueError: the width is not positive, or the grid does not resolve it.
    """
    if not width > 0:
        raise ValueError(f"The width of the Gaussian must be positive; got {width}.")
    return smooth(energy(grid.points), grid, width)


def prox(energy: Energy, x: np.ndarray, gamma: float, grid: Grid) -> np.ndarray:
    """The point that minimises f(x') + γ/2 |x − x'|² over the box, for each of the points x: (d, n) → (d, n).

    The best grid point, which no other basin can hide, polished by a quasi-Newton method.

    Raises:
        ValueError: γ is not positive, or x is not (d, n).
    """
    if not gamma > 0:
        raise ValueError(f"γ must be positive; got γ = {gamma}.")
    if np.ndim(x) != 2 or len(x) != grid.dimension:
        raise ValueError(
            f"Points on a {grid.dimension}-D grid must have shape ({grid.dimension}, n); got {np.shape(x)}."
        )
    slope = gradient(energy)
    candidates = grid.points.reshape(grid.dimension, -1)
    values = energy(candidates)
    nearest = []
    for centre in np.transpose(x):

        def pulled(x_prime: np.ndarray, centre: np.ndarray = centre) -> tuple[float, np.ndarray]:
            away = x_prime - centre
            return float(energy(x_prime)) + 0.5 * gamma * away @ away, slope(x_prime) + gamma * away

        best = np.argmin(values + 0.5 * gamma * np.sum((candidates - centre[:, None]) ** 2, axis=0))
        polished = minimize(
            pulled,
            candidates[:, best],
            jac=True,
            method="L-BFGS-B",
            bounds=grid.box,
            options={"gtol": 1e-10, "ftol": 0},
        )
        nearest.append(polished.x)
    return np.stack(nearest, axis=1)


def moreau_envelope(energy: Energy, x: np.ndarray, gamma: float, grid: Grid) -> np.ndarray:
    """min over x' of f(x') + γ/2 |x − x'|², at the points x: (d, n) → (n,). Raises as `prox`."""
    x_prime = prox(energy, x, gamma, grid)
    return energy(x_prime) + 0.5 * gamma * np.sum((np.asarray(x) - x_prime) ** 2, axis=0)


def moreau_envelope_on_grid(energy: Energy, grid: Grid, gamma: float) -> np.ndarray:
    """The envelope at every grid point, the minimum taken over the grid points: shape (n_1, …, n_d).

    One axis at a time, as the convolution of local entropy: (max, +) where that has (+, ×).

    Raises:
        ValueError: γ is not positive.
    """
    if not gamma > 0:
        raise ValueError(f"γ must be positive; got γ = {gamma}.")
    values = energy(grid.points)
    for k, axis in enumerate(grid.axes):
        columns = np.moveaxis(values, k, 0).reshape(len(axis), -1)
        rows = [np.min(columns + 0.5 * gamma * (u - axis[:, None]) ** 2, axis=0) for u in axis]
        values = np.moveaxis(np.reshape(rows, np.moveaxis(values, k, 0).shape), 0, k)
    return values
