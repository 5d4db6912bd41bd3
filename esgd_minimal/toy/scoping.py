"""Scoping: how γ grows with the outer step t, and Entropy-SGD under any such schedule.

Chaudhari et al. (2017, §4.3) let γ grow exponentially, and tried linear, quadratic and bounded exponential growth.
Each schedule maps outer steps t = 0, 1, … (any shape) to γ(t).
"""

from collections.abc import Iterable

import numpy as np
from scipy.ndimage import map_coordinates

from esgd_minimal.toy.grids import Grid, as_points
from esgd_minimal.toy.landscapes import Energy
from esgd_minimal.toy.langevin import Gradient
from esgd_minimal.toy.local_entropy import local_mean_on_grid
from esgd_minimal.toy.optimizers import Trajectory, entropy_sgd


def exponential(t: np.ndarray, gamma: float, growth: float) -> np.ndarray:
    """γ₀ (1 + γ₁)^t."""
    return gamma * (1 + growth) ** np.asarray(t)


def linear(t: np.ndarray, gamma: float, growth: float) -> np.ndarray:
    """γ₀ (1 + γ₁ t)."""
    return gamma * (1 + growth * np.asarray(t))


def quadratic(t: np.ndarray, gamma: float, growth: float) -> np.ndarray:
    """γ₀ (1 + γ₁ t²)."""
    return gamma * (1 + growth * np.asarray(t) ** 2)


def bounded_exponential(t: np.ndarray, gamma: float, rate: float) -> np.ndarray:
    """γ₀ (1 − e^(−τ t)): from 0, fast at first, towards γ₀."""
    return -gamma * np.expm1(-rate * np.asarray(t))


def entropy_sgd_with(
    gammas: Iterable[float],
    gradient: Gradient,
    x0: np.ndarray,
    lr: float = 1.0,
    *,
    langevin_steps: int = 20,
    draws: np.ndarray | None = None,
    **chain,
) -> Trajectory:
    """Entropy-SGD with one γ for each outer step: `optimizers.entropy_sgd`, an outer step at a time.

    `chain` are its other parameters (langevin_lr, averaging, noise, rng); draws have shape (steps, L, d, n).
    Raises as it does.
    """
    path = [np.asarray(x0, dtype=float)]
    for t, gamma in enumerate(gammas):
        normals = None if draws is None else draws[t : t + 1]
        step = entropy_sgd(gradient, path[-1], lr, 1, gamma, langevin_steps=langevin_steps, draws=normals, **chain)
        path.append(step.x[-1])
    return Trajectory(np.stack(path), langevin_steps * np.arange(len(path)))


def exact_entropy_sgd(
    gammas: Iterable[float],
    energy: Energy,
    grid: Grid,
    x0: np.ndarray,
    beta: float = 1.0,
) -> np.ndarray:
    """x ← ⟨x'⟩, once for each γ, with the mean by quadrature: (d, n) → (d, n).

    It is what an inner loop without end would do, for η = 1. The mean is read off the
    grid by linear interpolation, so it is right to the second order of the spacing.

    Raises:
        ValueError: x0 is not (d, n), or as `local_mean_on_grid`.
    """
    x = as_points(x0, grid)
    low, spacing = np.array(grid.box)[:, :1], np.reshape(grid.spacing, (-1, 1))
    for gamma in gammas:
        means, at = local_mean_on_grid(energy, grid, gamma, beta), (x - low) / spacing
        x = np.stack([map_coordinates(mean, at, order=1, mode="nearest") for mean in means])
    return x
