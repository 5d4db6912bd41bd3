"""Two neighbours of local entropy: Gaussian smoothing (infinitely hot) and the Moreau envelope (infinitely cold)."""

import numpy as np
from scipy.optimize import minimize

from esgd_minimal.toy.convolution import smooth
from esgd_minimal.toy.grids import Grid, as_points, evaluate
from esgd_minimal.toy.landscapes import Energy, gradient


def gaussian_smoothing(energy: Energy, grid: Grid, width: float) -> np.ndarray:
    """The mean of f under a Gaussian of standard deviation `width` around every grid point: shape (n_1, …, n_d).

    Near the box's walls the Gaussian is cut and normalised again.

    Raises:
        ValueError: the width is not positive, the grid does not resolve it, or the energy is not finite.
    """
    if not width > 0:
        raise ValueError(f"The width of the Gaussian must be positive; got {width}.")
    return smooth(evaluate(energy, grid), grid, width)


def moreau_envelope(energy: Energy, x: np.ndarray, gamma: float, grid: Grid) -> np.ndarray:
    """min over x' of f(x') + γ/2 |x − x'|², at the points x: (d, n) → (n,). Raises as `prox`."""
    x_prime = prox(energy, x, gamma, grid)
    return energy(x_prime) + 0.5 * gamma * np.sum((np.asarray(x) - x_prime) ** 2, axis=0)


def prox(energy: Energy, x: np.ndarray, gamma: float, grid: Grid) -> np.ndarray:
    """The point of the box that minimises f(x') + γ/2 |x − x'|², for each of the points x: (d, n) → (d, n).

    The best grid point, which no other basin can hide, polished by a quasi-Newton method.

    Raises:
        ValueError: γ is not positive, x is not (d, n), or the energy is not finite on the grid.
    """
    x = as_points(x, grid)
    _require_positive(gamma)
    slope = gradient(energy)
    candidates = grid.points.reshape(grid.dimension, -1)
    values = evaluate(energy, grid).ravel()

    def polished(centre: np.ndarray) -> np.ndarray:
        def pulled(x_prime: np.ndarray) -> tuple[float, np.ndarray]:
            away = x_prime - centre
            return float(energy(x_prime)) + 0.5 * gamma * away @ away, slope(x_prime) + gamma * away

        start = candidates[:, np.argmin(values + 0.5 * gamma * np.sum((candidates - centre[:, None]) ** 2, axis=0))]
        tight = {"ftol": 0.0, "gtol": 1e-10}
        return minimize(pulled, start, jac=True, method="L-BFGS-B", bounds=grid.box, options=tight).x

    return np.stack([polished(centre) for centre in x.T], axis=1)


def moreau_envelope_on_grid(energy: Energy, grid: Grid, gamma: float) -> np.ndarray:
    """The envelope at every grid point, its minimum taken over the grid points: shape (n_1, …, n_d).

    One axis at a time, like local entropy's convolution, with a minimum where that has a sum.

    Raises:
        ValueError: γ is not positive, or the energy is not finite on the grid.
    """
    _require_positive(gamma)
    values = evaluate(energy, grid)
    for k, axis in enumerate(grid.axes):
        columns = np.moveaxis(values, k, 0)
        pull = 0.5 * gamma * (axis[:, None] - axis) ** 2
        lowest = [np.min(columns.reshape(len(axis), -1) + row[:, None], axis=0) for row in pull]
        values = np.moveaxis(np.reshape(lowest, columns.shape), 0, k)
    return values


def _require_positive(gamma: float) -> None:
    if not (np.isfinite(gamma) and gamma > 0):
        raise ValueError(f"The scope gamma must be positive and finite; got {gamma}.")
