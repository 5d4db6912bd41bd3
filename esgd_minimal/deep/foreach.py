"""EntropySGD's two formulas for many tensors at once: the same operations in the same order, one launch each.

Beyond x, μ and the momenta they need one temporary of the parameters' size: the direction, and after it the noise.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Tensors = list[Tensor] | tuple[Tensor, ...]


def langevin_step(
    x_primes: Tensors,
    gradients: Tensors,
    states: list[dict[str, Tensor]],
    group: dict[str, Any],
    scope: float,
    draws: Callable[[], Tensors],
) -> None:
    """`EntropySGD._langevin_step` for all tensors of a group; scope is γ(t)."""
    xs, mus = _columns(states, "x", "mu")
    langevin_lr = group["langevin_lr"]
    directions, gamma = chain_directions(x_primes, gradients, states, group, scope)
    if gamma > 0:
        torch._foreach_lerp_(x_primes, xs, langevin_lr * gamma)
    torch._foreach_sub_(x_primes, directions, alpha=langevin_lr)
    del directions
    if group["noise"] > 0:
        torch._foreach_add_(x_primes, draws(), alpha=math.sqrt(langevin_lr) * group["noise"])
    torch._foreach_lerp_(mus, x_primes, group["averaging"])


def chain_directions(
    x_primes: Tensors, gradients: Tensors, states: list[dict[str, Tensor]], group: dict[str, Any], gamma: float
) -> tuple[Tensors, float]:
    """`EntropySGD._chain_direction` for all tensors of a group."""
    decay, m, on = group["langevin_weight_decay"], group["langevin_momentum"], group["momentum_on"]
    g = gradients
    if m > 0 and on == "all":
        (xs,) = _columns(states, "x")
        g = torch._foreach_sub(x_primes, xs)
        torch._foreach_mul_(g, gamma)
        torch._foreach_add_(g, gradients)
        gamma = 0.0
    if decay > 0 and on != "loss":
        g = _plus(g, x_primes, decay, gradients)
    if m > 0:
        (vs,) = _columns(states, "langevin_momentum")
        torch._foreach_mul_(vs, m)
        torch._foreach_add_(vs, g)
        g = _plus(g, vs, m, gradients) if group["nesterov"] else vs
    if decay > 0 and on == "loss":
        g = _plus(g, x_primes, decay, gradients)
    return g, gamma


def _plus(g: Tensors, others: Tensors, alpha: float, gradients: Tensors) -> Tensors:
    """g + alpha others, in g's own memory unless that is the gradients'."""
    if g is gradients:
        return torch._foreach_add(g, others, alpha=alpha)
    torch._foreach_add_(g, others, alpha=alpha)
    return g


def outer_step(x_primes: Tensors, states: list[dict[str, Tensor]], group: dict[str, Any]) -> None:
    """`EntropySGD._outer_step` for all tensors of a group."""
    xs, mus = _columns(states, "x", "mu")
    directions: Tensors = torch._foreach_sub(xs, mus)
    if group["weight_decay"] > 0:
        torch._foreach_add_(directions, xs, alpha=group["weight_decay"])
    if group["momentum"] > 0:
        (vs,) = _columns(states, "momentum")
        torch._foreach_mul_(vs, group["momentum"])
        torch._foreach_add_(vs, directions)
        if group["nesterov"]:
            torch._foreach_add_(directions, vs, alpha=group["momentum"])
        else:
            directions = vs
    torch._foreach_sub_(xs, directions, alpha=float(group["lr"]))
    next_chain(x_primes, states)


def next_chain(x_primes: Tensors, states: list[dict[str, Tensor]]) -> None:
    """x′, μ ← x, and the chain's momentum at rest."""
    xs, mus = _columns(states, "x", "mu")
    torch._foreach_copy_(x_primes, xs)
    torch._foreach_copy_(mus, xs)
    vs = [state["langevin_momentum"] for state in states if "langevin_momentum" in state]
    if vs:
        torch._foreach_zero_(vs)


def _columns(states: list[dict[str, Tensor]], *names: str) -> list[list[Tensor]]:
    return [[state[name] for state in states] for name in names]
