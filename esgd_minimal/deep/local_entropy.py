"""Local entropy of a network, estimated: from a ball of random weights to the local Gibbs measure by small steps.

With P the normal law of mean x and variance 1/(βγ) in every direction, and φ = −F/β up to the constant that lets a
flat loss f ≡ c have φ = c,

    φ(x) = −(1/β) log E[exp(−β f(x′))],  x′ from P.

The mean is over the ball, but almost all of it comes from few places, which plain sampling misses. Annealed importance
sampling (Neal, 2001) turns the loss on by degrees, moves the samples after each, and keeps account of the weights.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Energy = Callable[[Tensor], Tensor]  # (m, n) weights to (m,) losses, differentiable


class Estimate(NamedTuple):
    """φ at some points, with its standard error over the chains."""

    value: Tensor  # (points,)
    error: Tensor  # (points,)


def local_free_energy(
    energy: Energy,
    x: Tensor,
    gamma: float,
    beta: float,
    generator: torch.Generator,
    chains: int = 8,
    temperatures: int = 100,
    steps: int = 3,
    step: float = 0.3,
) -> Estimate:
    """φ(x) at the points x, (points, n), at a cost of chains · temperatures · steps gradients for each.

    exp(−βφ) is estimated without bias, so the estimate of φ is too high on average, the less so the more temperatures.
    The moves are Hamiltonian Monte Carlo in ξ = (x′ − x) √(βγ): the ball and the momentum turn in a circle, exactly,
    in steps of the angle `step`, between kicks by the loss. They hold where step² (1 + λ/γ) < 4. The generator is to be
    on the device of x.

    Raises:
        ValueError: γ or β is not positive, or there are fewer than two chains, which give no standard error.
    """
    if not (gamma > 0 and beta > 0):
        raise ValueError(f"Local entropy needs a positive γ and β; got γ = {gamma} and β = {beta}.")
    if chains < 2:
        raise ValueError(f"A standard error takes two chains or more; got {chains}.")
    centers = x.repeat_interleave(chains, dim=0)
    sigma = 1 / math.sqrt(beta * gamma)

    def at(xi: Tensor) -> tuple[Tensor, Tensor]:
        """βf and its gradient in ξ."""
        xi = xi.detach().requires_grad_()
        values = beta * energy(centers + sigma * xi)
        (slopes,) = torch.autograd.grad(values.sum(), xi)
        return values.detach(), slopes

    def normals() -> Tensor:
        return torch.randn(centers.shape, generator=generator, dtype=x.dtype, device=x.device)

    xi = normals()
    values, slopes = at(xi)
    log_weights = torch.zeros_like(values)
    cos, sin = math.cos(step), math.sin(step)
    s = 0.0
    for k in range(1, temperatures + 1):
        before, s = s, (k / temperatures) ** 3  # slowly at first, where the loss is large
        log_weights -= (s - before) * values
        momentum = normals()
        start = s * values + (xi**2).sum(1) / 2 + (momentum**2).sum(1) / 2
        new, new_values, new_slopes = xi, values, slopes
        for _ in range(steps):
            momentum = momentum - step / 2 * s * new_slopes
            new, momentum = cos * new + sin * momentum, cos * momentum - sin * new
            new_values, new_slopes = at(new)
            momentum = momentum - step / 2 * s * new_slopes
        end = s * new_values + (new**2).sum(1) / 2 + (momentum**2).sum(1) / 2
        drawn = torch.rand(start.shape, generator=generator, dtype=x.dtype, device=x.device)
        accepted = drawn < torch.exp(start - end)
        xi, slopes = (torch.where(accepted[:, None], a, b) for a, b in ((new, xi), (new_slopes, slopes)))
        values = torch.where(accepted, new_values, values)
    weights = log_weights.view(len(x), chains)
    mean = torch.logsumexp(weights, dim=1) - math.log(chains)
    spread = torch.exp(weights - mean[:, None]).std(dim=1) / math.sqrt(chains)
    return Estimate(-mean / beta, spread / beta)
