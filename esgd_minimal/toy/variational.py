"""Gaussian variational inference around a place x: the bound on local entropy that a Gaussian q gives.

The variational free energy J(q; x) = E_q f + (1/β) KL(q ‖ N(x, I/(βγ))) has its lowest value over all laws q at the
local Gibbs measure, and the value is the local free energy φ(x) = −F(x, γ)/β + constant. At β = 1, and with f the
negative log likelihood of some data, −J is the evidence lower bound (ELBO) of the model with the prior N(x, I/γ).

q is normal with independent coordinates. Its gradient is reparameterized (Kingma and Welling, 2014): x' = m + s ξ.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from esgd_minimal.toy.grids import Grid, as_points, evaluate
from esgd_minimal.toy.landscapes import Energy, gradient
from esgd_minimal.toy.langevin import Gradient
from esgd_minimal.toy.local_entropy import kernel_width, local_entropy

FARTHEST = 8.0  # standard deviations that quadrature covers: a normal has 1e-15 of its mass beyond
LOG_STD_RANGE = (-12.0, 12.0)  # where `best_gaussian` looks for log s


class Gaussian(NamedTuple):
    """Normal laws with independent coordinates, one a column: N(m, diag(s²))."""

    mean: np.ndarray  # m, (d, n)
    std: np.ndarray  # s, (d, n), positive


class Descent(NamedTuple):
    """The laws that `svi` went through, and what each of them had cost."""

    mean: np.ndarray  # (steps + 1, d, n)
    std: np.ndarray  # (steps + 1, d, n)
    evaluations: np.ndarray  # (steps + 1,): gradient evaluations of one run up to that point


def prior(x: np.ndarray, gamma: float, beta: float = 1.0) -> Gaussian:
    """N(x, I/(βγ)), the prior that moves with x."""
    return Gaussian(np.asarray(x, dtype=float), np.full(np.shape(x), kernel_width(gamma, beta)))


def kl_to_prior(q: Gaussian, x: np.ndarray, gamma: float, beta: float = 1.0) -> np.ndarray:
    """KL(q ‖ N(x, I/(βγ))) = ½ Σ [βγ s² + βγ (m − x)² − 1 − log βγ s²], in nats: (n,)."""
    squeezed = (q.std / kernel_width(gamma, beta)) ** 2
    moved = beta * gamma * (q.mean - x) ** 2
    return 0.5 * np.sum(squeezed + moved - 1 - np.log(squeezed), axis=0)


def expectation(function: Callable, q: Gaussian, nodes: int = 129) -> np.ndarray:
    """E_q g, by the trapezoid rule: (n,) for a function (d, …) → (…), or (k, n) for one to (k, …).

    The error is nearly machine precision where g is smooth on the scale of a spacing, 16 s / (nodes − 1).
    """
    draws, weights = _standard_normal(len(q.mean), nodes)
    return function(q.mean[:, :, None] + q.std[:, :, None] * draws[:, None, :]) @ weights


def variational_free_energy(
    energy: Energy,
    q: Gaussian,
    x: np.ndarray,
    gamma: float,
    beta: float = 1.0,
    nodes: int = 129,
) -> np.ndarray:
    """J(q; x) = E_q f + (1/β) KL(q ‖ N(x, I/(βγ))), in the units of f: (n,).

    At β = 1 it is minus the ELBO.
    """
    return expectation(energy, q, nodes) + kl_to_prior(q, x, gamma, beta) / beta


def gap(energy: Energy, q: Gaussian, x: np.ndarray, gamma: float, grid: Grid, beta: float = 1.0) -> np.ndarray:
    """KL(q ‖ local Gibbs measure at x), by quadrature on the grid, in nats: (n,).

    Raises:
        ValueError: as `local_entropy`, or the grid is too coarse, or too small, for q.
    """
    x = as_points(x, grid)
    f, total = evaluate(energy, grid).ravel(), local_entropy(energy, x, gamma, grid, beta)
    points, weights = grid.points.reshape(grid.dimension, -1), grid.weights.ravel()
    results = []
    for m, s, centre, log_z in zip(q.mean.T, q.std.T, x.T, total, strict=True):
        z = (points - m[:, None]) / s[:, None]
        log_q = -0.5 * np.sum(z**2, axis=0) - np.sum(np.log(s)) - 0.5 * len(s) * np.log(2 * np.pi)
        log_p = -beta * f - 0.5 * beta * gamma * np.sum((points - centre[:, None]) ** 2, axis=0) - log_z
        mass = np.exp(log_q) * weights
        if abs(mass.sum() - 1) > 1e-3:
            raise ValueError(
                f"On the grid a q of mean {m.round(3).tolist()} and standard deviation {s.round(4).tolist()} has the "
                f"mass {mass.sum():.4g}; its spacing must be below that deviation and its box hold q."
            )
        results.append(mass @ (log_q - log_p))
    return np.array(results)


def reparameterized_gradient(
    gradient: Gradient,
    q: Gaussian,
    x: np.ndarray,
    gamma: float,
    draws: np.ndarray,
    beta: float = 1.0,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """∂J/∂m = E[∇f(m + s ξ)] + γ (m − x) and ∂J/∂log s = E[s ξ ∇f(m + s ξ)] + γ s² − 1/β: two arrays (d, n).

    Args:
        gradient: ∇f, (d, …) → (d, …).
        draws: standard normals ξ, (d, n, k); the E is their mean, an unbiased estimate at k gradient evaluations.
        weights: (k,), for a weighted mean, as in quadrature.
    """
    slope = gradient(q.mean[..., None] + q.std[..., None] * draws)
    weights = np.full(draws.shape[-1], 1 / draws.shape[-1]) if weights is None else weights
    by_mean = slope @ weights + gamma * (q.mean - x)
    by_log_std = q.std * ((slope * draws) @ weights) + gamma * q.std**2 - 1 / beta
    return by_mean, by_log_std


def best_gaussian(
    energy: Energy,
    x: np.ndarray,
    gamma: float,
    beta: float = 1.0,
    starts: Gaussian | None = None,
    nodes: int = 129,
) -> Gaussian:
    """The q that minimises J(q; x), for each of the points x (d, n), by a quasi-Newton method.

    J may have several minima, one for each part of the local Gibbs measure: the lowest that the starts lead to wins.

    Args:
        starts: laws to start from, k columns, the same for all points; by default the prior at x. Narrow ones find
            narrow parts.

    Raises:
        ValueError: γ or β is not positive, or x is not (d, n).
    """
    kernel_width(gamma, beta)
    x = np.asarray(x, dtype=float)
    if x.ndim != 2:
        raise ValueError(f"Points must have shape (d, n), one column a point; got {x.shape}.")
    d = len(x)
    slope = gradient(energy)
    draws, weights = _standard_normal(d, nodes)
    draws = draws[:, None, :]

    def fitted(centre: np.ndarray, m: np.ndarray, s: np.ndarray):
        def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            q = Gaussian(parameters[:d, None], np.exp(parameters[d:, None]))
            value = variational_free_energy(energy, q, centre[:, None], gamma, beta, nodes)
            slopes = reparameterized_gradient(slope, q, centre[:, None], gamma, draws, beta, weights)
            return value[0], np.concatenate(slopes)[:, 0]

        bounds = [(None, None)] * d + [LOG_STD_RANGE] * d
        first = np.concatenate([m, np.log(s)])
        tight = {"ftol": 1e-15, "gtol": 1e-10}
        return minimize(objective, first, jac=True, method="L-BFGS-B", bounds=bounds, options=tight)

    best = []
    for centre in x.T:
        m, s = prior(centre[:, None], gamma, beta) if starts is None else starts
        runs = [fitted(centre, *start) for start in zip(m.T, s.T, strict=True)]
        best.append(min(runs, key=lambda run: run.fun).x)
    parameters = np.stack(best, axis=1)
    return Gaussian(parameters[:d], np.exp(parameters[d:]))


def svi(
    gradient: Gradient,
    q: Gaussian,
    x: np.ndarray | None,
    gamma: float,
    lr: float,
    steps: int,
    beta: float = 1.0,
    *,
    std_lr: float | None = None,
    rng: np.random.Generator,
) -> Descent:
    """Stochastic variational inference: descent on J(q; x) in m and log s, one draw and one ∇f for each step.

    Args:
        gradient: ∇f, (d, n) → (d, n), which may be a noisy one.
        q: where the n runs start, which are independent.
        x: the prior's mean, (d, n); None lets it move with q, so that J(q; m) goes down.
        lr: the step for m; std_lr: that for log s, the same by default; 0 keeps s as it is.

    Raises:
        ValueError: γ, β or a step is not positive, or a run left the finite numbers.
    """
    kernel_width(gamma, beta)
    std_lr = lr if std_lr is None else std_lr
    if not (lr > 0 and std_lr >= 0 and steps >= 1):
        raise ValueError(f"lr and steps must be positive, std_lr 0 or more; got {lr}, {steps} and {std_lr}.")
    mean, std = (np.empty((steps + 1, *np.shape(q.mean))) for _ in range(2))
    mean[0], std[0] = q
    with np.errstate(over="ignore", invalid="ignore"):  # said below, in words
        for t in range(steps):
            now, draws = Gaussian(mean[t], std[t]), rng.standard_normal((*mean[t].shape, 1))
            by_mean, by_log_std = reparameterized_gradient(
                gradient, now, now.mean if x is None else x, gamma, draws, beta
            )
            mean[t + 1], std[t + 1] = mean[t] - lr * by_mean, std[t] * np.exp(-std_lr * by_log_std)
    if not (np.isfinite(mean[-1]).all() and np.isfinite(std[-1]).all()):
        raise ValueError(f"A run left the finite numbers; try half the steps, lr = {lr / 2:g}.")
    return Descent(mean, std, np.arange(steps + 1))


def _standard_normal(d: int, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (d, k) and weights (k,) of the trapezoid rule for a standard normal in d dimensions, k = nodes^d."""
    line = np.linspace(-FARTHEST, FARTHEST, nodes)
    weights = np.exp(-0.5 * line**2)
    weights /= weights.sum()
    draws = np.stack(np.meshgrid(*[line] * d, indexing="ij")).reshape(d, -1)
    total = weights
    for _ in range(d - 1):
        total = np.multiply.outer(total, weights)
    return draws, total.ravel()
