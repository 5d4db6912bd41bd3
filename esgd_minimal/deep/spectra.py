"""All eigenvalues of a trained network's Hessian, exactly: for networks whose whole matrix fits into memory.

The matrix is symmetric, so the rows of a layer's weights are needed only from that layer's columns on. For those
columns, everything before the layer is a fixed function of the images: its output is computed once and stands in
for the image. This makes the rows of the last layers, which are most of the rows, as cheap as the last layers.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap
from torch.nn import functional as F
from tqdm import tqdm

from esgd_minimal.deep import hessian
from esgd_minimal.deep.plan import Plan
from esgd_minimal.deep.tasks import Classification
from esgd_minimal.deep.training import Training
from esgd_minimal.records import Record
from esgd_minimal.spectrum_records import Spectrum, SpectrumRecord, summary

Batch = tuple[Tensor, Tensor]  # inputs (n, …) and labels (n,), or for lines of text (n, characters) of both


def batches(images: Tensor, labels: Tensor, size: int = 512) -> list[Batch]:
    """The images and labels in pieces of `size` labels: what is in memory at once."""
    some = max(1, size // labels[0].numel())
    return list(zip(images.split(some), labels.split(some), strict=True))


def mean_loss(network: nn.Module, examples: list[Batch]) -> Callable[[Batch], Tensor]:
    """A batch's share of the mean cross-entropy over all the examples, for `hessian.hessian_product`."""
    n = sum(labels.numel() for _, labels in examples)
    return lambda batch: F.cross_entropy(network(batch[0]), batch[1], reduction="sum") / n


def touched(network: nn.Module, examples: list[Batch]) -> Tensor:
    """Which weights the Hessian acts on at all, (n,) bool: the others have a row of zeros, and an eigenvalue 0 each.

    Such are the weights of a pixel that is black in all images. One product finds them: H v for a random v is exactly
    zero in a row of zeros, and in no other row but by an accident of probability zero.
    """
    weights = list(network.parameters())
    v = torch.randn(sum(p.numel() for p in weights), generator=torch.Generator().manual_seed(0))
    product = hessian.hessian_product(mean_loss(network, examples), examples, weights)
    return product(v.to(weights[0])) != 0


def upper_triangle(
    network: nn.Sequential,
    examples: list[Batch],
    kept: Tensor,
    at_once: int = 64,
    watch: Callable[[int], object] | None = None,
) -> Tensor:
    """The Hessian of the mean cross-entropy on the weights in `kept`, (m, m), in Fortran's order.

    Below the diagonal, only the blocks within a layer are filled in. `at_once` rows are computed together; `watch`
    is called with the number of rows that are done.
    """
    n, m = sum(labels.numel() for _, labels in examples), int(kept.sum())
    matrix = next(network.parameters()).detach().new_zeros(m, m).T
    start = done = 0
    for depth, layer in enumerate(network):
        own = sum(p.numel() for p in layer.parameters())
        rows, columns = kept[start : start + own].nonzero().squeeze(1), kept[start:].nonzero().squeeze(1)
        with torch.no_grad():
            features = [(network[:depth](inputs), labels) for inputs, labels in examples]
        corner = done
        tail = nn.Sequential(*list(network)[depth:])
        for some in rows.split(at_once) if len(rows) else ():
            values = _rows(tail, features, some, n)
            matrix[done : done + len(some), corner:] = values[:, columns]
            done += len(some)
            if watch is not None:
                watch(done)
        start += own
    return matrix


def _rows(tail: nn.Sequential, features: list[Batch], some: Tensor, n: int) -> Tensor:
    """The rows of `some` weights of the tail's first layer, (len(some), weights of the tail)."""
    weights = {name: p.detach() for name, p in tail.named_parameters()}
    own = {name: p for name, p in weights.items() if name.startswith("0.")}
    unit = next(iter(own.values())).new_zeros(len(some), sum(p.numel() for p in own.values()))
    unit[torch.arange(len(some)), some] = 1
    pieces = unit.split([p.numel() for p in own.values()], dim=1)
    units = {name: piece.view(-1, *p.shape) for (name, p), piece in zip(own.items(), pieces, strict=True)}
    total = unit.new_zeros(len(some), sum(p.numel() for p in weights.values()))
    for inputs, labels in features:

        def gradient(first: dict[str, Tensor], inputs: Tensor = inputs, labels: Tensor = labels) -> dict[str, Tensor]:
            def loss(w: dict[str, Tensor]) -> Tensor:
                return F.cross_entropy(functional_call(tail, w, (inputs,)), labels, reduction="sum") / n

            return grad(loss)({**weights, **first})

        def row(unit: dict[str, Tensor], gradient=gradient) -> dict[str, Tensor]:
            return jvp(gradient, (own,), (unit,))[1]  # the gradient's change along one weight

        total += torch.cat([part.flatten(1) for part in vmap(row)(units).values()], dim=1)
    return total


def eigenvalues(upper: Tensor) -> np.ndarray:
    """All eigenvalues of the symmetric matrix with this upper triangle, from the smallest up; it is overwritten.

    In place: a matrix of 50,000 rows takes 10 GB in single precision, and there may be no room for a second.
    """
    return scipy.linalg.eigh(
        upper.numpy(), lower=False, eigvals_only=True, overwrite_a=True, check_finite=False, driver="evd"
    )


def spectrum(
    network: nn.Sequential,
    images: Tensor,
    labels: Tensor,
    at_once: int = 64,
    watch: Callable[[int], object] | None = None,
) -> Spectrum:
    """The spectrum of the Hessian of the mean cross-entropy over these images, in the network's own precision.

    Put the network in eval mode first. It needs memory for one matrix of its weights, and time in proportion to the
    images and the square of the weights for the matrix, and to their cube for the eigenvalues.
    """
    examples = batches(images, labels)
    kept = touched(network, examples)
    values = eigenvalues(upper_triangle(network, examples, kept, at_once, watch))
    return summary(values, len(kept))


def at_end(plan: Plan, weights: Path, images: int, device: torch.device) -> tuple[nn.Module, Tensor, Tensor, str]:
    """The network at the end of a run, in eval mode, its first training images and labels, and the data's SHA-256.

    Raises:
        ValueError: the file holds no weights of this network, or there are fewer images, or they have no classes.
    """
    training = Training(plan, device)
    network, data = training.network, training.task
    if not isinstance(data, Classification):
        raise ValueError(f"{plan.experiment} classifies neither images nor lines of text.")
    examples = data.parts["train"]
    if not 1 <= images <= len(examples.labels):
        raise ValueError(f"There are {len(examples.labels)} training images; got --images {images}.")
    try:
        network.load_state_dict(torch.load(weights, map_location=device, weights_only=True))
    except Exception as reason:
        raise ValueError(f"{weights} does not hold the weights of {plan.network} ({type(reason).__name__}).") from None
    return network.eval(), examples.pixels[:images], examples.labels[:images], data.digest


def slope(network: nn.Module, examples: list[Batch]) -> tuple[float, float, float]:
    """The mean cross-entropy over the examples, the norm of its gradient, and that of the weights."""
    weights, loss = list(network.parameters()), mean_loss(network, examples)
    shares = [(share.item(), torch.autograd.grad(share, weights)) for share in map(loss, examples)]
    gradient = [torch.stack(parts).sum(dim=0) for parts in zip(*(parts for _, parts in shares), strict=True)]
    return sum(share for share, _ in shares), norm(gradient), norm(weights)


def norm(parts: Iterable[Tensor]) -> float:
    """Of all the numbers in these tensors, in whatever order they lie in memory."""
    return torch.stack([part.detach().norm() for part in parts]).norm().item()


def of_run(plan: Plan, run: Record, weights: Path, images: int, double: bool, quiet: bool) -> SpectrumRecord:
    """The spectrum at the end of a run whose weights were kept, over its first training images.

    Raises:
        ValueError: the weights are not there, or see `at_end`, or the network is not a chain of layers.
    """
    if not weights.exists():
        raise ValueError(f"The weights of this run are not in {weights}: delete its record to train again.")
    network, pixels, labels, _ = at_end(plan, weights, images, torch.device("cpu"))
    if not isinstance(network, nn.Sequential):
        raise ValueError(f"The network of {plan.experiment} is not a chain of layers.")
    network.to(torch.double if double else torch.float)
    if pixels.is_floating_point():
        pixels = pixels.to(next(network.parameters()))
    started = time.monotonic()
    with tqdm(
        desc=f"{plan.experiment} {plan.method} seed {plan.seed}", unit="row", disable=quiet, mininterval=1
    ) as bar:
        found = spectrum(
            network,
            pixels,
            labels,
            watch=lambda done: bar.update(done - bar.n),
        )
    seconds = time.monotonic() - started
    loss, gradient, length = slope(network, batches(pixels, labels))
    return SpectrumRecord(
        run=run,
        images=images,
        loss=loss,
        gradient=gradient,
        norm=length,
        precision="float64" if double else "float32",
        seconds=seconds,
        spectrum=found,
    )
