"""Races of optimizers on a landscape: many starts at once, equal gradient evaluations, and where each start ends.

A `Method` takes (gradient, x0, lr, budget), where `budget` counts gradient evaluations, and returns the points at
which it ends. lr is a number, or an array with one step size for each chain: so a whole ladder takes one run.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.ndimage import map_coordinates

from esgd_minimal.statistics import Interval
from esgd_minimal.toy import gibbs
from esgd_minimal.toy.grids import Grid, evaluate, grid
from esgd_minimal.toy.landscapes import Energy, Landscape, gradient
from esgd_minimal.toy.langevin import Gradient
from esgd_minimal.toy.optimizers import Trajectory
from esgd_minimal.toy.scoping import entropy_sgd_with

Method = Callable[[Gradient, np.ndarray, "float | np.ndarray", int], np.ndarray]


@dataclass(frozen=True, eq=False)
class Course:
    """A landscape to race on; make it with `course`."""

    energy: Energy
    gradient: Gradient  # zero outside the fence: a chain that leaves for good stops there, instead of overflowing
    grid: Grid
    labels: np.ndarray  # the basin of each grid point, the deepest first
    bottoms: np.ndarray  # the lowest energy in each basin, on the grid

    def basin(self, x: np.ndarray) -> np.ndarray:
        """In which basin each point lies, that is, where steepest descent would take it: (2, n) → (n,)."""
        nearest = np.rint(self._index(x)).astype(int)
        return self.labels[tuple(np.clip(nearest, 0, np.reshape(self.grid.shape, (-1, 1)) - 1))]

    def read(self, values: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Values on the grid, read at the points by linear interpolation, at the edge if outside: (2, n) → (n,)."""
        return map_coordinates(values, self._index(x), order=1, mode="nearest")

    def _index(self, x: np.ndarray) -> np.ndarray:
        return (x - np.array(self.grid.box)[:, :1]) / np.reshape(self.grid.spacing, (-1, 1))

    def inside(self, x: np.ndarray) -> np.ndarray:
        """Which points lie inside the fence: the box, and its own width around it. (2, n) → (n,)."""
        low, high = np.array(self.grid.box).T[..., None]
        return np.all((x > 2 * low - high) & (x < 2 * high - low), axis=0)


def course(landscape: Landscape, n: int = 129, slope: Gradient | None = None) -> Course:
    """A two-dimensional landscape of the gallery with its basins, on n points a side, and a fence around it.

    `slope` is its gradient, where it is known in closed form; else autograd's.
    """
    plane = grid(landscape.box, n)
    labels = gibbs.basins(landscape.energy, plane)
    values = evaluate(landscape.energy, plane)
    bottoms = np.array([values[labels == k].min() for k in range(labels.max() + 1)])
    free, middle = slope or gradient(landscape.energy), np.mean(landscape.box, axis=1)[:, None]

    def fenced(x: np.ndarray) -> np.ndarray:
        inside = here.inside(x)
        return free(x) if inside.all() else np.where(inside, free(np.where(inside, x, middle)), 0.0)

    here = Course(landscape.energy, fenced, plane, labels, bottoms)
    return here


def starts(course: Course, n: int, rng: np.random.Generator) -> np.ndarray:
    """n points, uniform over the lower half of the map: where f is at most its median over the box. (2, n)."""
    level = np.median(evaluate(course.energy, course.grid))
    low, high = np.array(course.grid.box).T[..., None]
    found = np.empty((2, 0))
    while found.shape[1] < n:
        x = rng.uniform(low, high, size=(2, 2 * n))
        found = np.hstack([found, x[:, course.energy(x) <= level]])
    return found[:, :n]


def runner(optimizer: Callable[..., Trajectory], **fixed) -> Method:
    """An optimizer whose steps cost one gradient each, as a method."""

    def method(gradient: Gradient, x0: np.ndarray, lr: float | np.ndarray, budget: int) -> np.ndarray:
        return optimizer(gradient, x0, lr, budget, **fixed).x[-1]

    return method


def entropy_runner(schedule: Callable[[np.ndarray], np.ndarray], langevin_steps: int = 20, **fixed) -> Method:
    """Entropy-SGD as a method: γ = schedule(t) at outer step t, η = 1, and the step size is the inner one, η′."""

    def method(gradient: Gradient, x0: np.ndarray, lr: float | np.ndarray, budget: int) -> np.ndarray:
        gammas = schedule(np.arange(budget // langevin_steps))
        chain = {"langevin_steps": langevin_steps, "langevin_lr": lr} | fixed
        return entropy_sgd_with(gammas, gradient, x0, **chain).x[-1]

    return method


def tune(
    method: Method,
    course: Course,
    ladder: np.ndarray,
    x0: np.ndarray,
    budget: int,
) -> float:
    """The step size of the ladder whose mean final energy over the starts x0 is lowest.

    One that loses a chain over the fence is out.

    Raises:
        ValueError: every step size of the ladder loses a chain.
    """
    ladder = np.asarray(ladder, dtype=float)
    steps, start = np.repeat(ladder, x0.shape[1]), np.tile(x0, len(ladder))
    x = method(course.gradient, start, steps, budget)
    inside = course.inside(x)
    f = np.where(inside, course.energy(np.where(inside, x, start)), np.inf)
    means = f.reshape(len(ladder), -1).mean(axis=1)
    if not np.isfinite(means).any():
        low, high = ladder.min(), ladder.max()
        raise ValueError(f"Every step size from {low:g} to {high:g} loses a chain.")
    return float(ladder[np.argmin(means)])


def share(hits: np.ndarray, confidence: float = 0.95) -> Interval:
    """The share of True along the last axis, with Clopper and Pearson's interval: (…, n) → intervals of shape (…).

    It covers the true probability at least as often as it says, for every n and every probability.

    Raises:
        ValueError: no hits to count, or a confidence outside (0, 1).
    """
    hits = np.asarray(hits, dtype=bool)
    if hits.ndim == 0 or hits.shape[-1] == 0:
        raise ValueError(f"A share needs at least one trial; got an array of shape {hits.shape}.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1; got {confidence}.")
    k, n, tail = hits.sum(axis=-1), hits.shape[-1], (1 - confidence) / 2
    low = np.where(k > 0, stats.beta.ppf(tail, np.maximum(k, 1), n - k + 1), 0.0)
    high = np.where(k < n, stats.beta.ppf(1 - tail, k + 1, np.maximum(n - k, 1)), 1.0)
    return Interval(k / n, low, high)
