"""How fast Langevin dynamics in one dimension forgets where it started: the spectral gap of its generator."""

import numpy as np
from scipy.linalg import eigh_tridiagonal

from esgd_minimal.toy.grids import Grid, evaluate
from esgd_minimal.toy.landscapes import Energy


def spectral_gap(energy: Energy, line: Grid, beta: float = 1.0) -> float:
    """The smallest positive eigenvalue of −g″/β + f′ g′, for dX = −f′(X) dt + √(2/β) dW on the grid's interval.

    In equilibrium every correlation decays at least as fast as e^(−gap t), and some no faster: 1/gap is the relaxation
    time. The diffusion becomes a walk between neighbouring grid points whose law of equilibrium is exactly
    exp(−β f), and the error is of the second order in the spacing.

    Raises:
        ValueError: the grid is not one-dimensional, β is not positive, or the gap is lost in rounding.
    """
    if line.dimension != 1:
        raise ValueError(f"The spectral gap is for one dimension; the grid has {line.dimension}.")
    if not (np.isfinite(beta) and beta > 0):
        raise ValueError(f"beta must be positive and finite; got {beta}.")
    (x,), (h,) = line.axes, line.spacing
    f = evaluate(energy, line)
    middle = energy(0.5 * (x[1:] + x[:-1])[None])
    # Made symmetric by √(density): −L has the rates on its diagonal and minus their geometric means beside it.
    right, left = np.exp(-beta * (middle - f[:-1])), np.exp(-beta * (middle - f[1:]))
    rates = np.zeros(len(x))
    rates[:-1] += right
    rates[1:] += left
    scale = 1 / (beta * h**2)
    values = eigh_tridiagonal(
        scale * rates, -scale * np.sqrt(right * left), eigvals_only=True, select="i", select_range=(0, 1)
    )
    lost = 1e2 * np.finfo(float).eps * scale * np.max(rates)
    if values[1] < lost:
        raise ValueError(f"The gap is below {lost:.1g}, where rounding is: the barrier is too high, or beta.")
    return float(values[1])
