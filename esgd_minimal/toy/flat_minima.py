"""The family of flat-minimum optimizers as one loop: fast weights walk, slow weights follow.

A method is three choices. How do the fast weights y walk, and what do they report? How far do the slow
weights x go towards the report? Does the next walk start at x, or where the last one ended?

All of them return `optimizers.Trajectory`: the slow weights after each round, and the gradient evaluations paid.
"""

from collections.abc import Callable

import numpy as np

from esgd_minimal.toy.curvature import directions
from esgd_minimal.toy.estimator import quadratic_estimate
from esgd_minimal.toy.landscapes import Energy
from esgd_minimal.toy.langevin import Gradient
from esgd_minimal.toy.optimizers import Trajectory, iterate, require

Walk = Callable[[int, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def slow_and_fast(
    walk: Walk,
    pull: Callable[[int], float],
    x0: np.ndarray,
    steps: int,
    cost: int,
    restart: bool = True,
) -> Trajectory:
    """The loop: y, μ ← walk(t, x, y);  x ← x + pull(t) (μ − x);  and, with `restart`, y ← x.

    A walk takes the fast weights y through one round t, and costs `cost` gradient
    evaluations. It returns where they are then, and its report μ. Points are (d, n).
    Both x and y start at x0.
    """

    def update(t: int, x: np.ndarray, y: np.ndarray):
        y, mu = walk(t, x, x if restart or t == 0 else y)
        return x + pull(t) * (mu - x), y

    return iterate(update, x0, 1.0, steps, cost)


def descent(gradient: Gradient, lr: float, n_steps: int) -> Walk:
    """The plain walk: n_steps of gradient descent; it reports where it ends."""
    require("langevin_steps", n_steps, n_steps >= 1, "1 or more")
    require("the walk's step", lr, bool(np.all(np.asarray(lr) > 0)), "positive")

    def walk(t: int, x: np.ndarray, y: np.ndarray):
        for _ in range(n_steps):
            y = y - lr * gradient(y)
        return y, y

    return walk


def sam(gradient: Gradient, x0: np.ndarray, lr: float, steps: int, rho: float) -> Trajectory:
    """Sharpness-aware minimization (Foret et al., 2021): x ← x − η ∇f(x + ρ ∇f(x)/|∇f(x)|), two gradients a step.

    Raises:
        ValueError: ρ is negative, or as the optimizers.
    """
    return slow_and_fast(descent(uphill(gradient, rho), lr, 1), lambda t: 1.0, x0, steps, cost=2)


def uphill(gradient: Gradient, rho: float) -> Gradient:
    """The gradient a distance ρ uphill: ∇f(x + ρ ∇f(x)/|∇f(x)|); where the slope is zero, ∇f(x) itself."""
    require("rho", rho, rho >= 0, "0 or more")

    def there(x: np.ndarray) -> np.ndarray:
        slope = gradient(x)
        length = np.linalg.norm(slope, axis=0)
        return gradient(x + rho * slope / np.where(length > 0, length, 1.0))

    return there


def swa(
    gradient: Gradient,
    x0: np.ndarray,
    lr: float,
    steps: int,
    langevin_steps: int = 1,
    start: int = 0,
) -> Trajectory:
    """Stochastic weight averaging (Izmailov et al., 2018): the mean of every L-th point.

    The mean begins after `start` rounds, with the point where the descent is then.
    """
    walk = descent(gradient, lr, langevin_steps)

    def pull(t: int) -> float:
        return 1 / (2 + max(t - start, -1))  # 1, 1, … before the mean begins, then ½, ⅓, …

    return slow_and_fast(walk, pull, x0, steps, cost=langevin_steps, restart=False)


def ema(gradient: Gradient, x0: np.ndarray, lr: float, steps: int, averaging: float) -> Trajectory:
    """An exponential average of one long descent: x ← (1 − α) x + α y at each of its steps."""
    require("averaging", averaging, 0 < averaging <= 1, "in (0, 1]")
    return slow_and_fast(descent(gradient, lr, 1), lambda t: averaging, x0, steps, cost=1, restart=False)


def lookahead(
    gradient: Gradient,
    x0: np.ndarray,
    lr: float,
    steps: int,
    *,
    langevin_lr: float,
    langevin_steps: int,
) -> Trajectory:
    """Lookahead (Zhang et al., 2019): L steps η' forward, then back to η of the way."""
    require("lr", lr, lr > 0, "positive")
    walk = descent(gradient, langevin_lr, langevin_steps)
    return slow_and_fast(walk, lambda t: lr, x0, steps, cost=langevin_steps)


def reptile(
    tasks: Callable[[int], Gradient], x0: np.ndarray, lr: float, steps: int, *, langevin_lr: float, langevin_steps: int
) -> Trajectory:
    """Reptile (Nichol et al., 2018): Lookahead with a task for each round, whose gradient is tasks(t)."""
    require("lr", lr, lr > 0, "positive")

    def walk(t: int, x: np.ndarray, y: np.ndarray):
        return descent(tasks(t), langevin_lr, langevin_steps)(t, x, y)

    return slow_and_fast(walk, lambda t: lr, x0, steps, langevin_steps)


def entropy_sgd(
    gradient: Gradient,
    x0: np.ndarray,
    lr: float,
    steps: int,
    gamma: float,
    *,
    langevin_lr: float,
    langevin_steps: int,
    averaging: float = 0.75,
    noise: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Trajectory:
    """Entropy-SGD at a fixed scope (Chaudhari et al., 2017, Algorithm 1).

    `optimizers.entropy_sgd` is the same, with the rest of the paper's options.
    """
    require("lr", lr, lr > 0, "positive")
    if noise > 0 and rng is None:
        raise ValueError(f"noise = {noise:g} needs an rng to come from.")

    def walk(t: int, x: np.ndarray, y: np.ndarray):
        mu = y
        for _ in range(langevin_steps):
            y = y - langevin_lr * (gradient(y) + gamma * (y - x))
            if rng is not None:
                y = y + np.sqrt(langevin_lr) * noise * rng.standard_normal(y.shape)
            mu = (1 - averaging) * mu + averaging * y
        return y, mu

    return slow_and_fast(walk, lambda t: lr, x0, steps, langevin_steps)


def held(gradient: Gradient, scale: float, rng: np.random.Generator, calls: int) -> Gradient:
    """A noisy gradient that keeps its noise for so many calls in a row, as if from one mini-batch.

    SAM takes both gradients of a step from one batch: `calls` = 2.
    """
    require("scale", scale, scale >= 0, "0 or more")
    require("calls", calls, calls >= 1, "1 or more")
    count, kick = 0, np.zeros(())

    def stochastic_gradient(x: np.ndarray) -> np.ndarray:
        nonlocal count, kick
        if count % calls == 0:
            kick = scale * rng.standard_normal(np.shape(x))
        count += 1
        return gradient(x) + kick

    return stochastic_gradient


def worst_case(energy: Energy, x: np.ndarray, rho: float, radii: int = 12, angles: int = 64) -> np.ndarray:
    """max of f(x + e) over |e| ≤ ρ, at points of the plane: (2, n) → (n,).

    The largest of `radii` × `angles` values on circles around x, and f(x) itself: never above the maximum, and
    below it by an amount quadratic in the spacing if f is smooth.

    Raises:
        ValueError: x is not (2, n), or ρ is negative.
    """
    require("rho", rho, rho >= 0, "0 or more")
    if np.ndim(x) != 2 or len(x) != 2:
        raise ValueError(f"Points of the plane have shape (2, n); got {np.shape(x)}.")
    x = np.asarray(x, dtype=float)
    highest = energy(x)
    for r in rho * np.arange(1, radii + 1) / radii:
        around = x[:, None, :] + r * directions(angles)[..., None]
        highest = np.maximum(highest, energy(around).max(axis=0))
    return highest


def circle_average(energy: Energy, rho: float, angles: int = 32) -> Energy:
    """The mean of f over the circle of radius ρ around x, as an energy of the plane: what SAM sees in heavy noise.

    An even sum over the angles, which for a smooth f converges faster than any power of their number.
    """
    require("rho", rho, rho >= 0, "0 or more")
    around = rho * directions(angles).T

    def average(x: np.ndarray) -> np.ndarray:
        along = (2, *[1] * (np.ndim(x) - 1))
        total = energy(x + np.reshape(around[0], along))
        for e in around[1:]:
            total = total + energy(x + np.reshape(e, along))
        return total / angles

    return average


def stationary_variance(
    curvatures: np.ndarray, lr: float, langevin_lr: float, weights: np.ndarray, gamma: float = 0.0
) -> np.ndarray:
    """The variance that x settles to on ½ Σ λᵢ xᵢ², for gradient noise of variance 1, fresh at each step: (d,) → (d,).

    The report is μ = Σ_k w_k y_k over the walk's points y_0 = x … y_L: `weights` (0, …, 0, 1) make it Lookahead
    (with L = 1 and η = 1, SGD), and `estimator.averaging_weights` Entropy-SGD.

    Raises:
        ValueError: x does not settle: a curvature is not positive, or a step is too long.
    """
    # Noise of variance 1 in the gradient moves y by η' ξ, as the paper's noise ε = √η' would.
    kept, noise = quadratic_estimate(curvatures, gamma, weights, langevin_lr=langevin_lr, noise=np.sqrt(langevin_lr))
    rest = gamma / (np.asarray(curvatures) + gamma)  # ⟨x'⟩ / x, where the walk tends to
    contraction = 1 - lr * (1 - rest) * (1 - kept)
    if not np.all(np.abs(contraction) < 1):
        raise ValueError(f"x settles only where a round contracts; its factor is {np.max(np.abs(contraction)):.3g}.")
    return lr**2 * noise / (1 - contraction**2)
