"""Rectangular grids: where integrals over one or two dimensions are done by the trapezoid rule."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Box = tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class Grid:
    """A product of evenly spaced axes, one for each dimension; make it with `grid`."""

    axes: tuple[np.ndarray, ...]

    @property
    def dimension(self) -> int:
        return len(self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(axis) for axis in self.axes)

    @property
    def spacing(self) -> tuple[float, ...]:
        return tuple(float(axis[1] - axis[0]) for axis in self.axes)

    @property
    def box(self) -> Box:
        return tuple((float(axis[0]), float(axis[-1])) for axis in self.axes)

    @cached_property
    def points(self) -> np.ndarray:
        """All grid points, shape (d, n_1, …, n_d)."""
        return np.stack(np.meshgrid(*self.axes, indexing="ij"))

    @cached_property
    def axis_weights(self) -> tuple[np.ndarray, ...]:
        """The trapezoid rule's weights along each axis: the spacing, and half of it at both ends."""
        weights = []
        for axis, h in zip(self.axes, self.spacing, strict=True):
            w = np.full(len(axis), h)
            w[[0, -1]] = h / 2
            weights.append(w)
        return tuple(weights)

    @cached_property
    def weights(self) -> np.ndarray:
        """The volume that each point stands for, shape (n_1, …, n_d); ∫ g ≈ Σ weights · g(points)."""
        total = self.axis_weights[0]
        for w in self.axis_weights[1:]:
            total = total[..., None] * w
        return total

    @cached_property
    def coarser(self) -> "Grid":
        """Every second point of each axis: half the resolution, for an estimate of the error."""
        return Grid(tuple(axis[::2] for axis in self.axes))


def grid(box: Box, n: int = 257) -> Grid:
    """A grid of n points along each side of `box`, ((x_min, x_max), …), ends included.

    n is odd, so that every second point is a grid of its own over the same box.

    Raises:
        ValueError: n is even or less than 5, or a side of the box is empty or not finite.
    """
    if np.ndim(box) != 2 or np.shape(box)[1] != 2:
        raise ValueError(f"A box is one pair (low, high) for each side, as in ((-3, 3), (-3, 3)); got {box}.")
    if not isinstance(n, int | np.integer) or n < 5 or n % 2 == 0:
        raise ValueError(f"A grid needs an odd whole number of points a side, at least 5; got n = {n}.")
    for low, high in box:
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise ValueError(f"A side of the box must be a finite interval (low, high); got ({low}, {high}).")
    return Grid(tuple(np.linspace(low, high, n) for low, high in box))


def evaluate(energy: Callable[[np.ndarray], np.ndarray], grid: Grid) -> np.ndarray:
    """The energy at every grid point, in the grid's shape.

    Raises:
        ValueError: the energy does not map (d, …) to (…), or is not finite somewhere; says where.
    """
    values = np.asarray(energy(grid.points), dtype=float)
    if values.shape != grid.shape:
        raise ValueError(f"The energy must map points of shape (d, …) to (…); on {grid.shape} it gave {values.shape}.")
    if not np.isfinite(values).all():
        first = np.argmin(np.isfinite(values))
        where = ", ".join(f"{u:.4g}" for u in grid.points.reshape(grid.dimension, -1)[:, first])
        raise ValueError(f"The energy is {values.flat[first]} at x = ({where}); take a smaller box.")
    return values


def as_points(x: np.ndarray, grid: Grid) -> np.ndarray:
    """x as an array of points, (d, n), of the grid's dimension d.

    Raises:
        ValueError: x has another shape, or is not finite.
    """
    x = np.asarray(x, dtype=float)
    if x.ndim != 2 or len(x) != grid.dimension:
        raise ValueError(f"Points on a {grid.dimension}-D grid must have shape ({grid.dimension}, n); got {x.shape}.")
    if not np.isfinite(x).all():
        raise ValueError("A point is not finite.")
    return x
