"""Optimizers on a landscape, many chains at once: one signature, and the cost counted in gradient evaluations.

Every function takes (gradient, x0, lr, steps, …) and returns a `Trajectory`. `gradient` maps points
(d, n) to gradients (d, n); a noisy one (`langevin.noisy`) makes any of these methods a stochastic one.
A step size (lr, langevin_lr) is a number, or an array (n,) with one for each chain.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from esgd_minimal.toy.langevin import Gradient, noisy


class Trajectory(NamedTuple):
    """Where n chains have been, and what each of them had paid by then."""

    x: np.ndarray  # (steps + 1, d, n): the start, then the point after each step
    evaluations: np.ndarray  # (steps + 1,): gradient evaluations of one chain up to that point


def gradient_descent(gradient: Gradient, x0: np.ndarray, lr: float, steps: int) -> Trajectory:
    """x ← x − η ∇f(x)."""

    def update(t: int, x: np.ndarray, v: np.ndarray):
        return x - lr * gradient(x), v

    return iterate(update, x0, lr, steps)


def sgd(
    gradient: Gradient, x0: np.ndarray, lr: float, steps: int, scale: float, rng: np.random.Generator
) -> Trajectory:
    """x ← x − η (∇f(x) + s ξ), ξ ~ N(0, I): gradient descent on a gradient with noise of standard deviation s.

    A mini-batch gradient has noise whose size and shape depend on x; this one's are the same everywhere.

    Raises:
        ValueError: scale is negative.
    """
    return gradient_descent(noisy(gradient, scale, rng), x0, lr, steps)


def heavy_ball(gradient: Gradient, x0: np.ndarray, lr: float, steps: int, momentum: float = 0.9) -> Trajectory:
    """v ← m v − η ∇f(x);  x ← x + v  (Polyak's momentum, from rest).

    Raises:
        ValueError: momentum is not in [0, 1).
    """
    require("momentum", momentum, 0 <= momentum < 1, "in [0, 1)")

    def update(t: int, x: np.ndarray, v: np.ndarray):
        v = momentum * v - lr * gradient(x)
        return x + v, v

    return iterate(update, x0, lr, steps)


def nesterov(gradient: Gradient, x0: np.ndarray, lr: float, steps: int, momentum: float = 0.9) -> Trajectory:
    """v ← m v − η ∇f(x + m v);  x ← x + v  (the gradient is taken where the momentum is about to lead).

    Raises:
        ValueError: momentum is not in [0, 1).
    """
    require("momentum", momentum, 0 <= momentum < 1, "in [0, 1)")

    def update(t: int, x: np.ndarray, v: np.ndarray):
        v = momentum * v - lr * gradient(x + momentum * v)
        return x + v, v

    return iterate(update, x0, lr, steps)


def entropy_sgd(
    gradient: Gradient,
    x0: np.ndarray,
    lr: float,
    steps: int,
    gamma: float,
    *,
    langevin_steps: int = 20,
    langevin_lr: float = 0.1,
    averaging: float = 0.75,
    noise: float = 0.0,
    scoping: float = 0.0,
    literal: bool = False,
    rng: np.random.Generator | None = None,
    draws: np.ndarray | None = None,
) -> Trajectory:
    """Algorithm 1 of Chaudhari et al. (2017), with scoping: γ(t) = γ₀ (1 + γ₁)^t at outer step t = 0, 1, ….

    `steps` counts outer steps; each costs `langevin_steps` (L) gradient evaluations. The last line of an
    outer step is x ← x − η (x − μ), as the paper's experiments have it (§4.3), or the algorithm's line 7,
    x ← x − η γ (x − μ), if `literal`. The noise comes from `rng`, or from `draws`, standard normals of
    shape (steps, L, d, n).

    Raises:
        ValueError: a parameter out of its range, draws of the wrong shape, or noise with nothing to draw it from.
    """
    require("gamma", gamma, gamma >= 0, "0 or more")
    require("langevin_lr", langevin_lr, bool(np.all(np.asarray(langevin_lr) > 0)), "positive")
    require("langevin_steps", langevin_steps, langevin_steps >= 1, "1 or more")
    require("averaging", averaging, 0 < averaging <= 1, "in (0, 1]")
    require("noise", noise, noise >= 0, "0 or more")
    require("scoping", scoping, scoping >= 0, "0 or more")
    shape = (steps, langevin_steps, *np.shape(x0))
    if draws is not None and draws.shape != shape:
        raise ValueError(f"draws must have shape (steps, langevin_steps, d, n) = {shape}; got {draws.shape}.")
    if noise > 0 and draws is None and rng is None:
        raise ValueError(f"noise = {noise:g} needs an rng, or draws, to come from.")

    def normals(t: int, k: int, x: np.ndarray) -> np.ndarray | float:
        if draws is not None:
            return draws[t, k]
        return rng.standard_normal(x.shape) if noise > 0 else 0.0  # type: ignore[union-attr]

    def update(t: int, x: np.ndarray, v: np.ndarray):
        scope = gamma * (1 + scoping) ** t
        x_prime = mu = x
        for k in range(langevin_steps):
            pull = scope * (x - x_prime)
            kick = np.sqrt(langevin_lr) * noise * normals(t, k, x)
            x_prime = x_prime - langevin_lr * (gradient(x_prime) - pull) + kick
            mu = (1 - averaging) * mu + averaging * x_prime
        return x - lr * (scope if literal else 1.0) * (x - mu), v

    return iterate(update, x0, lr, steps, cost=langevin_steps)


def iterate(update: Callable, x0: np.ndarray, lr: float, steps: int, cost: int = 1) -> Trajectory:
    """(x, v) ← update(t, x, v) for t = 0 … steps − 1, from x0 and v = 0; each step costs `cost` evaluations."""
    require("lr", lr, bool(np.all(np.asarray(lr) > 0)), "positive")
    require("steps", steps, steps >= 0, "0 or more")
    if np.ndim(x0) != 2:
        raise ValueError(f"x0 must be points of shape (d, n); got shape {np.shape(x0)}.")
    path = np.empty((steps + 1, *np.shape(x0)))
    path[0] = x0
    v = np.zeros(np.shape(x0))
    with np.errstate(over="ignore", invalid="ignore"):  # said below, in words
        for t in range(steps):
            path[t + 1], v = update(t, path[t], v)
            lost = ~np.isfinite(path[t + 1]).all(axis=0)
            if lost.any():
                raise ValueError(
                    f"Step {t + 1} of {steps} left the finite numbers in {lost.sum()} of {len(lost)} chains: "
                    f"the steps are too long for the curvature there; try half the learning rate (lr = {np.max(lr):g})."
                )
    return Trajectory(path, cost * np.arange(steps + 1))


def require(name: str, value: float, fine: bool, wanted: str) -> None:
    if not fine:
        raise ValueError(f"{name} must be {wanted}; got {value}.")
