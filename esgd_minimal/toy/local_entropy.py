"""Local entropy, F(x, γ) = log ∫ exp(−β f(x') − βγ/2 |x − x'|²) dx', exact by quadrature.

Chaudhari et al. (2017), Definition 1, where β = 1. The scope γ says how near to x the integral looks: the kernel
has the width 1/√(βγ). The integral runs over the grid's box; take one whose walls nothing of weight reaches.

Three things are computed from the same weights, those of the local Gibbs measure
P(x' | x) ∝ exp(−β f(x') − βγ/2 |x − x'|²): F, its gradient and its Hessian. At points, term by term; on a
whole grid, by separable convolution.
"""

from collections.abc import Callable
from math import ceil, log, pi, sqrt

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.signal import fftconvolve
from scipy.special import xlogy

from esgd_minimal.toy.convolution import LARGEST_BLOCK, log_convolve, require_resolved
from esgd_minimal.toy.grids import Grid, as_points, evaluate
from esgd_minimal.toy.landscapes import Energy


def local_entropy(energy: Energy, x: np.ndarray, gamma: float, grid: Grid, beta: float = 1.0) -> np.ndarray:
    """F(x, γ) at the points x, shape (d, n) → (n,).

    Raises:
        ValueError: γ or β is not positive, x is not (d, n), the energy is not finite on the grid, or the grid is
            coarser than the kernel.
    """
    return _at_points(energy, x, gamma, grid, beta, lambda logs, _: logs)


def local_mean(energy: Energy, x: np.ndarray, gamma: float, grid: Grid, beta: float = 1.0) -> np.ndarray:
    """⟨x'⟩, the mean of the local Gibbs measure at the points x: (d, n) → (d, n). Raises as `local_entropy`."""
    return _at_points(energy, x, gamma, grid, beta, lambda _, p: _mean(p, grid))


def local_covariance(energy: Energy, x: np.ndarray, gamma: float, grid: Grid, beta: float = 1.0) -> np.ndarray:
    """Cov(x'), the covariance of the local Gibbs measure: (d, n) → (d, d, n). Raises as `local_entropy`."""

    def covariance(_, p):
        away = grid.points.reshape(grid.dimension, -1, 1) - _mean(p, grid)[:, None]
        return np.einsum("ikn,jkn,kn->ijn", away, away, p)

    return _at_points(energy, x, gamma, grid, beta, covariance)


def local_gradient(energy: Energy, x: np.ndarray, gamma: float, grid: Grid, beta: float = 1.0) -> np.ndarray:
    """∇(−F/β) = γ (x − ⟨x'⟩), equation (7) of the paper: (d, n) → (d, n). Raises as `local_entropy`."""
    return gamma * (np.asarray(x) - local_mean(energy, x, gamma, grid, beta))


def local_hessian(energy: Energy, x: np.ndarray, gamma: float, grid: Grid, beta: float = 1.0) -> np.ndarray:
    """∇²(−F/β) = γI − βγ² Cov(x'), so never above γI: (d, n) → (d, d, n). Raises as `local_entropy`."""
    identity = np.eye(grid.dimension)[..., None]
    return gamma * identity - beta * gamma**2 * local_covariance(energy, x, gamma, grid, beta)


def classical_entropy(energy: Energy, x: np.ndarray, gamma: float, grid: Grid, beta: float = 1.0) -> np.ndarray:
    """−∫ P log P, the entropy of the local Gibbs measure itself: (d, n) → (n,). Raises as `local_entropy`."""

    def entropy(_, p):
        return -np.sum(xlogy(p, p / grid.weights.reshape(-1, 1)), axis=0)

    return _at_points(energy, x, gamma, grid, beta, entropy)


def local_entropy_on_grid(energy: Energy, grid: Grid, gamma: float, beta: float = 1.0) -> np.ndarray:
    """F(x, γ) at every grid point, by separable convolution.

    Shape (n_1, …, n_d). Raises as `local_entropy`.
    """
    width = kernel_width(gamma, beta)
    return log_convolve(-beta * evaluate(energy, grid), grid, width)


def local_mean_on_grid(energy: Energy, grid: Grid, gamma: float, beta: float = 1.0) -> np.ndarray:
    """⟨x'⟩ at every grid point, by separable convolution: shape (d, n_1, …, n_d). Raises as `local_entropy`."""
    width = kernel_width(gamma, beta)
    logs = -beta * evaluate(energy, grid)
    total = log_convolve(logs, grid, width)
    means = []
    for x_prime, axis, h in zip(grid.points, grid.axes, grid.spacing, strict=True):
        start = axis[0] - h  # measured from outside the box, x' is positive and has a logarithm
        means.append(start + np.exp(log_convolve(logs + np.log(x_prime - start), grid, width) - total))
    return np.stack(means)


def local_gradient_on_grid(energy: Energy, grid: Grid, gamma: float, beta: float = 1.0) -> np.ndarray:
    """∇(−F/β) = γ (x − ⟨x'⟩) at every grid point: shape (d, n_1, …, n_d). Raises as `local_entropy`."""
    return gamma * (grid.points - local_mean_on_grid(energy, grid, gamma, beta))


def local_entropy_by_fft(energy: Energy, grid: Grid, gamma: float, beta: float = 1.0) -> np.ndarray:
    """F(x, γ) at every grid point, by a Fourier transform: what one would write first, here for comparison.

    Its error is relative to the largest value of the integral: where that is 1e16 times smaller, nothing is left but
    rounding, which may even be negative (then the result is −inf). Raises as `local_entropy`.
    """
    width = kernel_width(gamma, beta)
    require_resolved(grid, width)
    logs = -beta * evaluate(energy, grid)
    top = logs.max()
    kernel = np.ones(())
    for axis in grid.axes:
        reach = axis - axis[0]
        reach = np.concatenate([-reach[:0:-1], reach])
        kernel = kernel[..., None] * np.exp(-0.5 * (reach / width) ** 2)
    integral = fftconvolve(np.exp(logs - top) * grid.weights, kernel, mode="same")
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(integral, 0.0)) + top


def local_free_energy(local_entropy: np.ndarray, gamma: float, dimension: int, beta: float = 1.0) -> np.ndarray:
    """−F/β in the units of f, so that a flat f ≡ c has the value c.

    −(1/β) log of the mean of exp(−β f) under a Gaussian of variance 1/(βγ).
    """
    return (0.5 * dimension * log(2 * pi / (beta * gamma)) - local_entropy) / beta


def crossing_gamma(
    energy: Energy, grid: Grid, first: np.ndarray, bracket: tuple[float, float], beta: float = 1.0
) -> float:
    """The scope γ at which −F is as low among the grid points marked `first`, a mask, as among the others.

    Raises:
        ValueError: the same side is the lower one at both ends of the bracket.
    """

    def gap(log_gamma: float) -> float:
        return highest(np.exp(log_gamma), first) - highest(np.exp(log_gamma), ~first)

    def highest(gamma: float, side: np.ndarray) -> float:
        on_grid = local_entropy_on_grid(energy, grid, gamma, beta)
        best = grid.points[:, side][:, np.argmax(on_grid[side])]

        def lowered(x: np.ndarray) -> tuple[float, np.ndarray]:
            x = x[:, None]
            f, slope = local_entropy(energy, x, gamma, grid, beta), local_gradient(energy, x, gamma, grid, beta)
            return -f[0] / beta, slope[:, 0]

        # The top lies between grid points; within a spacing of the best one.
        near = [(u - h, u + h) for u, h in zip(best, grid.spacing, strict=True)]
        return -beta * minimize(lowered, best, jac=True, method="L-BFGS-B", bounds=near).fun

    ends = np.log(bracket)
    if gap(ends[0]) * gap(ends[1]) > 0:
        raise ValueError(f"The same side is the lower one at gamma = {bracket[0]:g} and at gamma = {bracket[1]:g}.")
    return float(np.exp(brentq(gap, *ends, xtol=1e-9)))


def kernel_width(gamma: float, beta: float) -> float:
    """1/√(βγ), the standard deviation of the kernel exp(−βγ/2 |x − x'|²).

    Raises:
        ValueError: γ or β is not a positive, finite number.
    """
    for name, value in (("scope gamma", gamma), ("inverse temperature beta", beta)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"The {name} must be positive and finite; got {value}.")
    return 1 / sqrt(beta * gamma)


def _at_points(
    energy: Energy,
    x: np.ndarray,
    gamma: float,
    grid: Grid,
    beta: float,
    moment: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """A quantity of the local Gibbs measure at the points x: moment(F, weights), a block of points at a time.

    The weights, (grid points, n), are the probabilities that the local Gibbs measure gives to the grid points.
    """
    width = kernel_width(gamma, beta)
    require_resolved(grid, width)
    x = as_points(x, grid)
    integrand = np.log(grid.weights) - beta * evaluate(energy, grid)
    results = []
    for block in np.array_split(x, ceil(x.shape[1] * integrand.size / LARGEST_BLOCK) or 1, axis=1):
        logs = integrand[..., None]
        for k, axis in enumerate(grid.axes):
            pull = -0.5 * ((axis[:, None] - block[k]) / width) ** 2
            along = [1] * grid.dimension + [block.shape[1]]
            along[k] = len(axis)
            logs = logs + pull.reshape(along)
        logs = logs.reshape(integrand.size, -1)
        top = logs.max(axis=0)
        p = np.exp(logs - top)
        mass = p.sum(axis=0)
        p /= mass
        results.append(moment(top + np.log(mass), p))
    return np.concatenate(results, axis=-1)


def _mean(weights: np.ndarray, grid: Grid) -> np.ndarray:
    return grid.points.reshape(grid.dimension, -1) @ weights
