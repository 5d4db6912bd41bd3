"""The Hessian of a network's loss, without ever writing it down: products, Lanczos, and the spectrum's density.

Say whose Hessian it is before you quote a number: put the network in eval mode (dropout off, the statistics of the
batch normalization frozen) or not, choose the examples, and add the weight decay to the loss or leave it out.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

Batch = TypeVar("Batch")
Product = Callable[[Tensor], Tensor]  # v ↦ H v, both (n,)


def hessian_product(loss: Callable[[Batch], Tensor], batches: Sequence[Batch], weights: Iterable[Tensor]) -> Product:
    """v ↦ H v for the Hessian H of Σ loss(batch), by differentiating the gradient's component along v.

    The n entries of v are those of the trained weights, one after the other; H v costs about as much as two
    gradients. For the Hessian of a mean over N examples, let `loss` return the batch's sum divided by N. On a GPU,
    an LSTM needs `torch.backends.cudnn.flags(enabled=False)` around it: cuDNN's has no second derivative.
    """
    weights = [w for w in weights if w.requires_grad]

    def product(v: Tensor) -> Tensor:
        parts = [part.view_as(w) for part, w in zip(v.split([w.numel() for w in weights]), weights, strict=True)]
        total = torch.zeros_like(v)
        for batch in batches:
            gradient = torch.autograd.grad(loss(batch), weights, create_graph=True, materialize_grads=True)
            along = torch.stack([(g * part).sum() for g, part in zip(gradient, parts, strict=True)]).sum()
            if along.requires_grad:  # else the loss is linear in the weights, and H is zero
                rows = torch.autograd.grad(along, weights, materialize_grads=True)
                total += torch.cat([row.flatten() for row in rows])
        return total

    return product


def dense(product: Product, like: Tensor) -> Tensor:
    """The whole matrix, (n, n), by n products; `like` is any vector of H's size, type and device."""
    rows, unit = like.new_empty(len(like), len(like)), torch.zeros_like(like)
    for i in range(len(like)):
        unit[i] = 1
        rows[i] = product(unit)
        unit[i] = 0
    return rows


class Krylov(NamedTuple):
    """What m steps of Lanczos saw of H: Q H Qᵀ = T, with T tridiagonal."""

    tridiagonal: Tensor  # T, (m, m), double
    basis: Tensor  # Q, (m, n), with orthonormal rows; the first is the start, normalized
    beyond: float  # the entry of T that would come next


def lanczos(product: Product, start: Tensor, steps: int) -> Krylov:
    """At most `steps` products; fewer where the start has no part in more directions of H.

    Each new direction is made orthogonal to all before, twice: once is not enough in floating point.

    Raises:
        ValueError: `steps` is not from 1 to n, or the start is zero, or H v is not finite.
    """
    if not 1 <= steps <= len(start) or not start.norm() > 0:
        raise ValueError(f"Lanczos takes 1 to n = {len(start)} steps from a start that is not zero; got {steps} steps.")
    basis = start.new_empty(steps, len(start))
    diagonal: list[float] = []
    beside: list[float] = []
    largest, direction = 0.0, start
    for k in range(steps):
        basis[k] = direction / direction.norm()
        direction = product(basis[k])
        largest = max(largest, float(direction.norm()))
        if not math.isfinite(largest):
            raise ValueError(f"H v is not finite in step {k + 1} of Lanczos: look at the loss at these weights.")
        diagonal.append(float(basis[k] @ direction))
        for _ in range(2):
            direction = direction - basis[: k + 1].T @ (basis[: k + 1] @ direction)
        beside.append(float(direction.norm()))
        if beside[-1] <= 10 * torch.finfo(start.dtype).eps * largest:
            break
    side = torch.tensor(beside[:-1], dtype=torch.double)
    tridiagonal = torch.diag(torch.tensor(diagonal, dtype=torch.double)) + torch.diag(side, 1) + torch.diag(side, -1)
    return Krylov(tridiagonal, basis[: len(diagonal)], beside[-1])


class Ritz(NamedTuple):
    """The eigenvalues of T: the best that Lanczos knows of those of H, from the smallest up."""

    values: Tensor  # (m,)
    weights: Tensor  # (m,), adding up to 1: the start's share in each direction
    errors: Tensor  # (m,): H has an eigenvalue at most this far from each


def ritz(krylov: Krylov) -> Ritz:
    """The nodes and weights of Gauss's quadrature: Σ weights · g(values) ≈ ⟨start, g(H) start⟩."""
    values, vectors = torch.linalg.eigh(krylov.tridiagonal)
    return Ritz(values, vectors[0] ** 2, krylov.beyond * vectors[-1].abs())


def signs(like: Tensor, generator: torch.Generator) -> Tensor:
    """A random vector of +1 and −1, (n,), drawn on the generator's device."""
    drawn = torch.randint(2, like.shape, generator=generator, device=generator.device)
    return (2 * drawn - 1).to(like)


def spectrum(
    product: Product, like: Tensor, steps: int, probes: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Stochastic Lanczos quadrature: values and weights with Σ weights · g(values) ≈ tr g(H) / n, weights summing to 1.

    Raises:
        ValueError: see `lanczos`.
    """
    found = [ritz(lanczos(product, signs(like, generator), steps)) for _ in range(probes)]
    return torch.cat([r.values for r in found]), torch.cat([r.weights for r in found]) / probes


def density(values: Tensor, weights: Tensor, at: Tensor, width: float) -> Tensor:
    """The spectrum's density at the points `at`, every value blurred to a normal of standard deviation `width`."""
    z = (at[:, None] - values) / width
    return (torch.exp(-(z**2) / 2) / (width * math.sqrt(2 * math.pi))) @ weights


def trace(product: Product, like: Tensor, probes: int, generator: torch.Generator) -> tuple[float, float]:
    """Hutchinson's estimate of tr H, the mean of ⟨v, H v⟩ over random signs v, and its standard error.

    Raises:
        ValueError: fewer than two probes, which give no standard error.
    """
    if probes < 2:
        raise ValueError(f"A standard error takes two probes or more; got {probes}.")
    drawn = (signs(like, generator) for _ in range(probes))
    samples = torch.tensor([float(v @ product(v)) for v in drawn], dtype=torch.double)
    return samples.mean().item(), samples.std().item() / math.sqrt(probes)
