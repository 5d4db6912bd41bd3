"""Smoothing, local entropy and the Moreau envelope as one equation, by finite differences in one dimension.

    u_t = −(a/2) u_x² + (b/2) u_xx,   u = f at t = 0.

The transport a moves slopes along, the diffusion b blurs.

    a = 0, b = 1      at t = σ²:   Gaussian smoothing of width σ
    a = 1, b = 1/β    at t = 1/γ:  the local free energy, a viscous Hamilton-Jacobi equation
    a = 1, b = 0      at t = 1/γ:  the Moreau envelope, an inviscid one

Chaudhari et al. (2018) relate Entropy-SGD to the second. Solutions are arrays (n,) on an evenly spaced line whose
ends are mirrors: no slope there.
"""

from collections.abc import Callable
from math import ceil

import numpy as np
from scipy.spatial import ConvexHull

from esgd_minimal.toy.grids import Grid, evaluate
from esgd_minimal.toy.landscapes import Energy


def evolve(
    values: np.ndarray,
    spacing: float,
    time: float,
    squared_slope: Callable[[np.ndarray, float], np.ndarray],
    transport: float = 1.0,
    diffusion: float = 0.0,
    fraction: float = 0.5,
) -> np.ndarray:
    """u at the given time from `values`, u at time 0: (n,) → (n,).

    The steps are a `fraction` of the largest monotone one, with which a landscape
    that lies below another stays below it.

    Raises:
        ValueError: the values are not (n,), a coefficient or the time is negative,
            the fraction is not in (0, 1], or central slopes are asked for where
            the diffusion is too weak; says which spacing would do.
    """
    u = np.array(values, dtype=float)
    _require(u, spacing, time, transport, diffusion, fraction)
    speed = transport * np.abs(np.diff(u)).max() / spacing  # never grows
    if squared_slope is central:
        _require_diffusion(diffusion, speed, spacing)
    rate = speed / spacing + diffusion / spacing**2
    steps = max(1, ceil(time * rate / fraction))
    for _ in range(steps):
        wide = _mirrored(u)
        bend = (wide[2:] - 2 * u + wide[:-2]) / spacing**2
        change = diffusion * bend - transport * squared_slope(wide, spacing)
        u = u + 0.5 * time / steps * change
    return u


def central(wide: np.ndarray, spacing: float) -> np.ndarray:
    """u_x² from both neighbours alike, (n + 2,) → (n,): monotone if diffusion helps."""
    return ((wide[2:] - wide[:-2]) / (2 * spacing)) ** 2


def upwind(wide: np.ndarray, spacing: float) -> np.ndarray:
    """u_x² from the side the news comes from, (n + 2,) → (n,): Godunov's choice."""
    slope = np.diff(wide) / spacing
    from_left = np.maximum(slope[:-1], 0.0)  # the left neighbour is lower
    from_right = np.minimum(slope[1:], 0.0)
    return np.maximum(from_left**2, from_right**2)


def kinks(energy: Energy, grid: Grid, time: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the Moreau envelope at γ = 1/time has a kink: places (k,), and the two minimisers y that tie there, (k, 2).

    The minimiser of f(y) + (x − y)²/2t is where a line of slope x touches t f(y) + y²/2 from below. So two of them
    tie where the lower convex hull of that function is a bridge, and x is the slope of the bridge.

    Raises:
        ValueError: the grid is not one-dimensional, or the time is not positive.
    """
    if grid.dimension != 1:
        raise ValueError(f"Kinks are found on a line; the grid has dimension {grid.dimension}.")
    if not (np.isfinite(time) and time > 0):
        raise ValueError(f"The time must be positive and finite; got {time}.")
    y = grid.axes[0]
    height = time * evaluate(energy, grid) + 0.5 * y**2
    hull = ConvexHull(np.stack([y, height], axis=1))
    edges = np.sort(hull.simplices[hull.equations[:, 1] < 0], axis=1)
    bridges = edges[np.diff(edges)[:, 0] > 1]
    bridges = bridges[np.argsort(bridges[:, 0])]
    places = np.diff(height[bridges])[:, 0] / np.diff(y[bridges])[:, 0]
    return places, y[bridges]


def _mirrored(u: np.ndarray) -> np.ndarray:
    """u with one point more at each end, as in a mirror."""
    return np.concatenate([u[1:2], u, u[-2:-1]])


def _require(u: np.ndarray, spacing: float, time: float, transport: float, diffusion: float, fraction: float) -> None:
    if u.ndim != 1 or len(u) < 3 or not np.isfinite(u).all():
        raise ValueError(f"The values must be finite, on a line of at least 3 points; got shape {u.shape}.")
    if not (np.isfinite(spacing) and spacing > 0):
        raise ValueError(f"The spacing must be positive and finite; got {spacing}.")
    for name, value in (("time", time), ("transport", transport), ("diffusion", diffusion)):
        if not (np.isfinite(value) and value >= 0):
            raise ValueError(f"The {name} must be finite and not negative; got {value}.")
    if not 0 < fraction <= 1:
        raise ValueError(f"The fraction of the largest monotone step must lie in (0, 1]; got {fraction}.")


def _require_diffusion(diffusion: float, speed: float, spacing: float) -> None:
    if speed * spacing > diffusion:
        wanted = f"a spacing of at most {diffusion / speed:.2g}, or upwind slopes" if diffusion else "upwind slopes"
        raise ValueError(
            f"Central slopes need a diffusion of at least speed × spacing = {speed * spacing:.3g}, "
            f"got {diffusion:.3g}: take {wanted}."
        )
