"""Replicas: y copies of the weights, each with the landscape to itself and a spring to a common centre.

The robust ensemble of Baldassi et al. (2016) is the Gibbs measure of the whole, and its link with local entropy is
∫ exp(y F(x, γ)) dx = the partition function of y replicas x¹, …, x^y tied to x by γ. Elastic averaging SGD (Zhang,
Choromanska and LeCun, 2015) and Parle (Chaudhari et al., 2017) are its descents.

Replicas stand along the middle axis: (d, y, n) for n systems of y replicas each.
"""

from collections.abc import Callable
from functools import partial, reduce
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from esgd_minimal.toy.convolution import log_convolve
from esgd_minimal.toy.estimator import estimated_mean
from esgd_minimal.toy.grids import Grid, evaluate
from esgd_minimal.toy.landscapes import Energy
from esgd_minimal.toy.langevin import Gradient
from esgd_minimal.toy.local_entropy import kernel_width, local_entropy_on_grid
from esgd_minimal.toy.optimizers import Trajectory

LARGEST = 5_000_000  # points of a grid over all replicas


class Replicated(NamedTuple):
    """Where the centre and its replicas have been."""

    centre: Trajectory  # evaluations: those of all replicas together
    replicas: tuple[Trajectory, ...]  # one for each; evaluations: its own


def log_robust_partition(energy: Energy, grid: Grid, gamma: float, replicas: float, beta: float = 1.0) -> float:
    """log ∫ exp(y F(x, γ)) dx, for any y > 0, whole or not.

    Raises:
        ValueError: y, γ or β is not positive, the energy is not finite on the grid, or the grid is too coarse.
    """
    _require(replicas > 0, f"The number of replicas must be positive; got {replicas}.")
    return float(logsumexp(replicas * local_entropy_on_grid(energy, grid, gamma, beta), b=grid.weights))


def log_replica_partition(energy: Energy, grid: Grid, gamma: float, replicas: int, beta: float = 1.0) -> float:
    """log ∫ exp(−β Σ f(x^a) − βγ/2 Σ |x^a − x|²) dx dx¹ … dx^y, summed over a grid of all replicas' places.

    F does not appear. The centre, Gaussian around the replicas' mean, is integrated out by hand, which leaves a factor
    (2π/(βγy))^(1/2) and the springs to the mean; the y other integrals are one sum over n^y points. One dimension only.

    Raises:
        ValueError: y is not a whole number ≥ 1, the grid is not 1-D or n^y too many points, or γ or β not positive.
    """
    width = kernel_width(gamma, beta)
    _require(grid.dimension == 1, f"The sum over all replicas needs a 1-D grid; got {grid.dimension} dimensions.")
    whole = isinstance(replicas, int | np.integer) and replicas >= 1
    _require(whole, f"Real replicas are counted in whole numbers, from 1; got {replicas}.")
    n = len(grid.axes[0])
    most = int(LARGEST ** (1 / replicas))
    _require(n <= most, f"{n}^{replicas} points are too many; a grid of at most {most} points would do.")
    places = np.meshgrid(*[grid.axes[0]] * replicas, indexing="ij", sparse=True)
    logs = np.log(grid.weights) - beta * evaluate(energy, grid)
    total = reduce(np.add, np.meshgrid(*[logs] * replicas, indexing="ij", sparse=True))
    mean = reduce(np.add, places) / replicas
    for place in places:
        total = total - 0.5 * ((place - mean) / width) ** 2
    return float(0.5 * np.log(2 * np.pi * width**2 / replicas) + logsumexp(total))


def centre_density(energy: Energy, grid: Grid, gamma: float, replicas: float, beta: float = 1.0) -> np.ndarray:
    """The law of the centre, ∝ exp(y F(x, γ)), at the grid's points. Raises as `log_robust_partition`."""
    log_z = log_robust_partition(energy, grid, gamma, replicas, beta)
    return np.exp(replicas * local_entropy_on_grid(energy, grid, gamma, beta) - log_z)


def replica_density(energy: Energy, grid: Grid, gamma: float, replicas: float, beta: float = 1.0) -> np.ndarray:
    """The law of one replica: ∝ exp(−β f(x')) ∫ exp((y − 1) F(x, γ) − βγ/2 |x − x'|²) dx, at the grid's points.

    Raises as `log_robust_partition`.
    """
    log_z = log_robust_partition(energy, grid, gamma, replicas, beta)
    others = (replicas - 1) * local_entropy_on_grid(energy, grid, gamma, beta)
    pulled = log_convolve(others, grid, kernel_width(gamma, beta))
    return np.exp(pulled - beta * evaluate(energy, grid) - log_z)


def coupled_energy(energy: Energy, gamma: float, replicas: int) -> Energy:
    """Σ f(x^a) + γ/2 Σ |x^a − x̄|², the centre integrated out: all replicas in one point, (d y, n) → (n,)."""

    def coupled(x: np.ndarray) -> np.ndarray:
        apart = _split(x, replicas)
        springs = np.sum((apart - apart.mean(axis=1, keepdims=True)) ** 2, axis=(0, 1))
        return energy(apart).sum(axis=0) + 0.5 * gamma * springs

    return coupled


def coupled_gradient(gradient: Gradient, gamma: float, replicas: int) -> Gradient:
    """Of `coupled_energy`: ∇f(x^a) + γ (x^a − x̄), (d y, n) → (d y, n)."""

    def coupled(x: np.ndarray) -> np.ndarray:
        apart = _split(x, replicas)
        springs = gamma * (apart - apart.mean(axis=1, keepdims=True))
        return (_each(gradient, apart) + springs).reshape(x.shape)

    return coupled


def draw_centre(
    x: np.ndarray, gamma: float, replicas: int, beta: float = 1.0, *, rng: np.random.Generator
) -> np.ndarray:
    """The centre given its replicas, N(x̄, I/(βγy)): (…, d y, n) → (…, d, n)."""
    mean = x.reshape(*x.shape[:-2], -1, replicas, x.shape[-1]).mean(axis=-2)
    return mean + kernel_width(gamma, beta) / np.sqrt(replicas) * rng.standard_normal(mean.shape)


def elastic_sgd(
    gradient: Gradient,
    x0: np.ndarray,
    lr: float,
    steps: int,
    pull: float,
    *,
    period: int = 1,
) -> Replicated:
    """Elastic averaging: x^a ← x^a − η ∇f(x^a) − α (x^a − x);  x ← x + α Σ (x^a − x).

    Zhang, Choromanska and LeCun (2015). The springs act, with `pull` α, at every
    `period`-th step from the first on. x0 has shape (d, y, n); x starts at the mean.

    Raises:
        ValueError: a parameter out of its range, or steps too long for the curvature.
    """
    _require(np.all(np.asarray(lr) > 0), f"lr must be positive; got {lr}.")
    _require(pull >= 0, f"pull must be 0 or more; got {pull}.")
    _require(period >= 1, f"period must be 1 or more; got {period}.")

    def update(t: int, x: np.ndarray, centre: np.ndarray):
        spring = pull * (x - centre[:, None]) if t % period == 0 else np.zeros_like(x)
        return x - lr * _each(gradient, x) - spring, centre + spring.sum(axis=1)

    return _run(update, x0, steps)


def parle(
    gradient: Gradient,
    x0: np.ndarray,
    lr: float,
    steps: int,
    gamma: float,
    rho: float,
    *,
    langevin_steps: int = 20,
    langevin_lr: float = 0.1,
    averaging: float = 0.75,
    noise: float = 0.0,
    rng: np.random.Generator,
) -> Replicated:
    """x^a ← x^a − η ((x^a − μ^a) + ρ (x^a − x̄)), with μ^a from an inner loop of Entropy-SGD: Parle, without momentum.

    The centre is the replicas' mean x̄. x0 has shape (d, y, n); `steps` counts outer steps.

    Raises:
        ValueError: a parameter out of its range, or steps too long for the curvature.
    """
    _require(np.all(np.asarray(lr) > 0), f"lr must be positive; got {lr}.")
    _require(rho >= 0, f"rho must be 0 or more; got {rho}.")
    chain = partial(
        estimated_mean,
        gradient,
        gamma=gamma,
        langevin_steps=langevin_steps,
        langevin_lr=langevin_lr,
        averaging=averaging,
        noise=noise,
        rng=rng,
    )

    def update(t: int, x: np.ndarray, centre: np.ndarray):
        mu = _each(chain, x)
        x = x - lr * ((x - mu) + rho * (x - centre[:, None]))
        return x, x.mean(axis=1)

    return _run(update, x0, steps, cost=langevin_steps)


def _run(update: Callable, x0: np.ndarray, steps: int, cost: int = 1) -> Replicated:
    """(x, centre) ← update(t, x, centre), from x0 and its mean; each step costs each replica `cost` evaluations."""
    _require(np.ndim(x0) == 3, f"x0 must have shape (d, replicas, n); got {np.shape(x0)}.")
    _require(steps >= 0, f"steps must be 0 or more; got {steps}.")
    x = np.array(x0, dtype=float)
    centre = x.mean(axis=1)
    path, centres = [x], [centre]
    with np.errstate(over="ignore", invalid="ignore"):  # said below, in words
        for t in range(steps):
            x, centre = update(t, x, centre)
            _require(
                bool(np.isfinite(x).all() and np.isfinite(centre).all()),
                f"Step {t + 1} of {steps} left the finite numbers: the steps or the pull are too strong; try half.",
            )
            path.append(x)
            centres.append(centre)
    each, y = cost * np.arange(steps + 1), x.shape[1]
    replicas = np.stack(path)
    return Replicated(
        Trajectory(np.stack(centres), y * each), tuple(Trajectory(replicas[:, :, a], each) for a in range(y))
    )


def _each(function: Gradient, x: np.ndarray) -> np.ndarray:
    """A function of points (d, n) at every replica of every system, in one call: (d, y, n) → (d, y, n)."""
    return function(x.reshape(len(x), -1)).reshape(x.shape)


def _split(x: np.ndarray, replicas: int) -> np.ndarray:
    """(d y, n) → (d, y, n), a view."""
    _require(len(x) % replicas == 0, f"{len(x)} rows do not make {replicas} replicas.")
    return x.reshape(-1, replicas, x.shape[-1])


def _require(fine: bool | np.bool_, otherwise: str) -> None:
    if not fine:
        raise ValueError(otherwise)
