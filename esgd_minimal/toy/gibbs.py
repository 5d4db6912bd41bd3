"""The Gibbs measure of an energy on a grid: p(x) = exp(−β f(x)) / Z, with Z = ∫ exp(−β f).

This is equation (1) of Chaudhari et al. (2017). In one and two dimensions the trapezoid rule gives all of it, and
for smooth energies to nearly machine precision. Everything goes through log-sum-exp, and is reckoned from the lowest
energy on the grid, so that no β overflows and a large constant in the energy costs no digits.

All functions but `basins` and Laplace's raise a ValueError when β is not positive and finite, when the energy is not
finite somewhere on the grid, when the grid is too coarse for the measure, and when the box cuts off over 1 % of it.
"""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import map_coordinates, minimum_filter
from scipy.optimize import brentq
from scipy.spatial import cKDTree
from scipy.special import logsumexp, softmax

from esgd_minimal.toy.grids import Grid, evaluate
from esgd_minimal.toy.grids import grid as make_grid
from esgd_minimal.toy.landscapes import Energy, hessian

LOST = 0.01  # the part of the measure that may lie outside the box
COARSE = 0.1  # how far log Z may be from its value on every second point


def log_integral(values: np.ndarray, grid: Grid, beta: float) -> float:
    """log ∫ exp(−β f) by the trapezoid rule, from f at the grid's points."""
    return float(logsumexp(-beta * values, b=grid.weights))


def log_partition(energy: Energy, grid: Grid, beta: float) -> float:
    """log Z = log ∫ exp(−β f(x)) dx."""
    floor, _, log_z = _solve(energy, grid, beta)
    return log_z - beta * floor


def log_partition_error(energy: Energy, grid: Grid, beta: float) -> float:
    """How far `log_partition` may be off: its change from half the resolution, and what the box cuts off.

    For a smooth energy the first part is far too careful, since halving the spacing squares the error or better. For
    one with a kink it is of the size of the error, and may by chance miss most of it.
    """
    _, excess, log_z = _solve(energy, grid, beta)
    cut_off = sum(_tails(excess, grid, beta, log_z).values())
    return float(_change_from_coarser(excess, grid, beta, log_z) + np.log1p(cut_off))


def free_energy(energy: Energy, grid: Grid, beta: float) -> float:
    """−log Z / β, which equals mean energy − temperature × entropy."""
    floor, _, log_z = _solve(energy, grid, beta)
    return floor - log_z / beta


def log_density(energy: Energy, grid: Grid, beta: float) -> np.ndarray:
    """log p = −β f − log Z at the grid's points, in the grid's shape."""
    _, excess, log_z = _solve(energy, grid, beta)
    return -beta * excess - log_z


def density(energy: Energy, grid: Grid, beta: float) -> np.ndarray:
    """p = exp(−β f) / Z at the grid's points, in the grid's shape."""
    return np.exp(log_density(energy, grid, beta))


def expectation(observable: Callable, energy: Energy, grid: Grid, beta: float) -> np.ndarray:
    """⟨g⟩ = ∫ g(x) p(x) dx, for an observable g that maps points (d, …) to (…), or to (k, …) for k at once."""
    probability = density(energy, grid, beta) * grid.weights
    return np.tensordot(observable(grid.points), probability, axes=grid.dimension)[()]


def mean_energy(energy: Energy, grid: Grid, beta: float) -> float:
    """⟨f⟩, which is also d(β · free energy)/dβ."""
    floor, excess, log_z = _solve(energy, grid, beta)
    return floor + float(np.sum(np.exp(-beta * excess - log_z) * grid.weights * excess))


def entropy(energy: Energy, grid: Grid, beta: float) -> float:
    """−∫ p log p = β (⟨f⟩ − free energy): the log of a volume, so it depends on the unit of x."""
    _, excess, log_z = _solve(energy, grid, beta)
    return beta * float(np.sum(np.exp(-beta * excess - log_z) * grid.weights * excess)) + log_z


def heat_capacity(energy: Energy, grid: Grid, beta: float) -> float:
    """β² Var f = d⟨f⟩/dT: how much energy the measure takes up for one more unit of temperature T = 1/β."""
    _, excess, log_z = _solve(energy, grid, beta)
    probability = np.exp(-beta * excess - log_z) * grid.weights
    return float(beta**2 * np.sum(probability * (excess - np.sum(probability * excess)) ** 2))


def basins(energy: Energy, grid: Grid) -> np.ndarray:
    """Which minimum steepest descent reaches from each grid point: labels 0 … k − 1, the deepest minimum first.

    The boundaries are right to about one spacing. A flat bottom counts as many minima.

    Raises:
        ValueError: the energy is not finite somewhere on the grid.
    """
    values = evaluate(energy, grid)
    spacing = np.reshape(grid.spacing, (-1, *[1] * grid.dimension))
    slope = np.reshape(np.gradient(values, *grid.axes, edge_order=2), (grid.dimension, *grid.shape))
    length = np.sqrt(np.sum(slope**2, axis=0))
    # Half a spacing downhill from every point, whatever the slope: the speed does not change where a path ends.
    downhill = -slope / np.where(length > 0, length, 1.0) * np.min(grid.spacing) / 2
    position = np.indices(grid.shape) + downhill / spacing
    # The map "one step" is known at the grid points, hence, by interpolation, everywhere. The map "two steps" is this
    # map of itself, and so on: after k rounds, 2^k steps, enough for paths four times as long as all sides together.
    steps = 8 * np.sum(np.ptp(grid.box, axis=1)) / np.min(grid.spacing)
    for _ in range(int(np.ceil(np.log2(steps)))):
        position = np.stack([map_coordinates(p, position, order=1, mode="nearest") for p in position])
    bottoms = np.argwhere(values == minimum_filter(values, size=3, mode="nearest"))
    bottoms = bottoms[np.argsort(values[tuple(bottoms.T)], kind="stable")]
    nearest = cKDTree(bottoms).query(np.moveaxis(position, 0, -1))[1]
    return np.unique(nearest, return_inverse=True)[1].reshape(grid.shape)


def basin_log_partitions(energy: Energy, grid: Grid, beta: float, labels: np.ndarray) -> np.ndarray:
    """log ∫ exp(−β f) over each basin, shape (k,), for labels 0 … k − 1 in the grid's shape."""
    floor, excess, _ = _solve(energy, grid, beta)
    if np.shape(labels) != grid.shape:
        raise ValueError(f"The labels must have the grid's shape {grid.shape}; got {np.shape(labels)}.")
    inside = [labels == k for k in range(np.max(labels) + 1)]
    return np.array([logsumexp(-beta * excess[here], b=grid.weights[here]) for here in inside]) - beta * floor


def basin_masses(energy: Energy, grid: Grid, beta: float, labels: np.ndarray) -> np.ndarray:
    """The part of the Gibbs measure in each basin, shape (k,); the parts sum to 1."""
    return softmax(basin_log_partitions(energy, grid, beta, labels))


def crossing_beta(
    energy: Energy, grid: Grid, labels: np.ndarray, bracket: tuple[float, float], pair: tuple[int, int] = (0, 1)
) -> float:
    """The β in `bracket` at which the two basins of `pair` hold equal mass.

    Raises:
        ValueError: the same basin holds more at both ends of the bracket.
    """

    def lead(beta: float) -> float:
        logs = basin_log_partitions(energy, grid, beta, labels)
        return logs[pair[0]] - logs[pair[1]]

    leads = lead(bracket[0]), lead(bracket[1])
    if leads[0] * leads[1] > 0:
        more = pair[0] if leads[0] > 0 else pair[1]
        raise ValueError(f"Basin {more} holds more mass both at beta = {bracket[0]:g} and at beta = {bracket[1]:g}.")
    return float(brentq(lead, *bracket, xtol=1e-12, rtol=1e-12))


def laplace_log_partition(energy: Energy, minimum: np.ndarray, beta: float) -> float:
    """Laplace's log Z of one basin: −β f(x*) + (d/2) log(2π/β) − ½ log det ∇²f(x*), at the minimum x* of shape (d,).

    Raises:
        ValueError: β is not positive, or the Hessian at x* is not positive definite.
    """
    _check_beta(beta)
    x = np.asarray(minimum, dtype=float)
    return float(-beta * energy(x) + len(x) / 2 * np.log(2 * np.pi / beta) - _log_det_hessian(energy, x) / 2)


def laplace_crossing_beta(energy: Energy, wide: np.ndarray, sharp: np.ndarray) -> float:
    """Laplace's crossing of two basins: β* = ln(det H_sharp / det H_wide) / (2 (f_wide − f_sharp)).

    Raises:
        ValueError: no positive β makes them equal (one minimum is both deeper and wider), or a Hessian is singular.
    """
    wide, sharp = np.asarray(wide, dtype=float), np.asarray(sharp, dtype=float)
    beta = (_log_det_hessian(energy, sharp) - _log_det_hessian(energy, wide)) / (2 * (energy(wide) - energy(sharp)))
    if not (np.isfinite(beta) and beta > 0):
        raise ValueError(f"The basins never hold equal mass in Laplace's approximation (its beta is {beta:g}).")
    return float(beta)


def _log_det_hessian(energy: Energy, x: np.ndarray) -> float:
    curvatures = np.linalg.eigvalsh(hessian(energy)(x))
    if curvatures[0] <= 1e-9 * curvatures[-1]:
        raise ValueError(
            f"Laplace's approximation needs positive curvatures; at {_point(x)} they are {_point(curvatures)}."
        )
    return float(np.sum(np.log(curvatures)))


def _solve(energy: Energy, grid: Grid, beta: float) -> tuple[float, np.ndarray, float]:
    """The lowest energy on the grid, what the others exceed it by, and log ∫ exp(−β · excess).

    Raises a ValueError that says why, where the grid will not do.
    """
    _check_beta(beta)
    values = evaluate(energy, grid)
    floor = float(np.min(values))
    excess = values - floor
    log_z = log_integral(excess, grid, beta)
    if _halvings(energy, excess, grid, beta):
        n = _enough(energy, grid, beta)
        raise ValueError(f"The grid is too coarse at beta = {beta:g}: n = {n} would do, or a smaller box.")
    tails = _tails(excess, grid, beta, log_z)
    if sum(tails.values()) > LOST:
        (axis, edge), most = max(tails.items(), key=lambda item: item[1])
        raise ValueError(
            f"The box is too small at beta = {beta:g}: {most:.1%} of its mass again lies beyond x_{axis} = {edge:g}."
        )
    return floor, excess, log_z


def _check_beta(beta: float) -> None:
    if not (np.isfinite(beta) and beta > 0):
        raise ValueError(f"The inverse temperature beta must be positive and finite; got {beta}.")


def _columns(grid: Grid) -> np.ndarray:
    return grid.points.reshape(grid.dimension, -1)


def _change_from_coarser(excess: np.ndarray, grid: Grid, beta: float, log_z: float) -> float:
    return abs(log_z - log_integral(excess[(slice(None, None, 2),) * grid.dimension], grid.coarser, beta))


def _halvings(energy: Energy, excess: np.ndarray, grid: Grid, beta: float) -> int:
    """How often the spacing must be halved, as far as this grid can tell.

    It should be no more than a standard deviation of the lowest well: there the sum over a Gaussian is right to 1e-8.
    The width is found by a compass search: at each spacing, go to the lowest neighbour, until β f rises from there by
    no more than ½ to the next point, summed over the axes. Wells elsewhere show in the change from half the points.
    """
    low, high = np.reshape(grid.box, (-1, 2, 1)).swapaxes(0, 1)
    x = _columns(grid)[:, np.argmin(excess), None]
    sides = np.diag(grid.spacing)
    for halvings in range(40):
        around = np.clip(np.hstack([x, x + sides / 2**halvings, x - sides / 2**halvings]), low, high)
        f = np.asarray(energy(around))
        rise = np.reshape(f[1:] - f[0], (2, grid.dimension)).max(axis=0)
        if beta * np.sum(rise) < 0.501:
            break
        x = around[:, np.argmin(f), None]
    changes = _change_from_coarser(excess, grid, beta, log_integral(excess, grid, beta)) > COARSE
    return max(halvings, int(changes))


def _enough(energy: Energy, grid: Grid, beta: float) -> int:
    """The points a side that would do; tried out, as long as that takes no more than a few million points."""
    n = max(grid.shape)
    while n**grid.dimension < 4e6:
        finer = make_grid(grid.box, n)
        values = evaluate(energy, finer)
        halvings = _halvings(energy, values - np.min(values), finer, beta)
        if halvings == 0:
            break
        n = 2**halvings * (n - 1) + 1
    return n


def _tails(excess: np.ndarray, grid: Grid, beta: float, log_z: float) -> dict[tuple[int, float], float]:
    """The mass beyond each side of the box, over that inside: density at the side × length of its decay outwards.

    The decay is read off the last two points; if the energy is convex out there, the true tail is shorter. It is taken
    to be no longer than the box, so that an energy that does not confine counts as a few boxes, not as infinite.
    """
    tails = {}
    for axis, (side, h) in enumerate(zip(grid.box, grid.spacing, strict=True)):
        face = np.ones(())
        for k, w in enumerate(grid.axis_weights):
            face = face if k == axis else np.multiply.outer(face, w)
        for edge, last, inner in ((side[0], 0, 1), (side[1], -1, -2)):
            f = excess.take(last, axis)
            decay = np.maximum(beta * (f - excess.take(inner, axis)) / h, 1 / (side[1] - side[0]))
            tails[axis, edge] = float(np.sum(face * np.exp(-beta * f - log_z) / decay))
    return tails


def _point(x: np.ndarray) -> str:
    return "(" + ", ".join(f"{v:.4g}" for v in x) + ")"
