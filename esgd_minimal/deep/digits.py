"""Many small networks at once on scikit-learn's handwritten digits: enough of a training loop for a first comparison.

The networks of all seeds are stacked, one tensor for each layer, and trained together: the loss is the sum
of their losses, so every network gets its own gradient, and an optimizer that works element by element
(SGD, Entropy-SGD) treats each as if it were alone.
"""

import copy
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.optim import Optimizer

from esgd_minimal.deep.entropy_sgd import EntropySGD


class Images(NamedTuple):
    """Grey images of 8 × 8 pixels in [0, 1], and the digits they show."""

    pixels: Tensor  # (n, 64)
    labels: Tensor  # (n,), or (seeds, n) where each network has its own


def split(training: int = 500, validation: int = 400, seed: int = 0) -> tuple[Images, Images, Images]:
    """The 1,797 digits, shuffled once by `seed`, in three parts: training, validation and the rest, for the test.

    Raises:
        ValueError: a part would be empty.
    """
    pixels, labels = load_digits(return_X_y=True)
    test = len(labels) - training - validation
    if min(training, validation, test) < 1:
        raise ValueError(f"{len(labels)} digits cannot give {training} + {validation} and leave some for the test.")
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    parts = order.split([training, validation, test])
    pixels, labels = torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(labels)
    first, second, third = (Images(pixels[part], labels[part]) for part in parts)
    return first, second, third


def with_random_labels(images: Images, seeds: Iterable[int]) -> Images:
    """The same pixels under labels drawn at random, for each seed its own: there is nothing to learn but by heart."""
    drawn = [
        torch.randint(10, images.labels.shape[-1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds
    ]
    return Images(images.pixels, torch.stack(drawn))


class Networks(nn.Module):
    """For each seed a network 64 → hidden → 10 with ReLU, its weights drawn by that seed."""

    def __init__(self, seeds: Iterable[int], hidden: int = 32):
        super().__init__()
        self.seeds = tuple(seeds)
        generators = [torch.Generator().manual_seed(seed) for seed in self.seeds]

        def draw(rows: int, columns: int, variance: float) -> nn.Parameter:
            weights = [torch.randn(rows, columns, generator=g) for g in generators]
            return nn.Parameter(torch.stack(weights) * variance**0.5)

        self.w1 = draw(64, hidden, 2 / 64)
        self.b1 = nn.Parameter(torch.zeros(len(self.seeds), 1, hidden))
        self.w2 = draw(hidden, 10, 1 / hidden)
        self.b2 = nn.Parameter(torch.zeros(len(self.seeds), 1, 10))

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (seeds, n, 64), or (n, 64) for all alike, to logits (seeds, n, 10)."""
        pixels = pixels.expand(len(self.w1), -1, -1)
        return torch.baddbmm(self.b2, torch.relu(torch.baddbmm(self.b1, pixels, self.w1)), self.w2)


def loss(networks: Networks, images: Images) -> Tensor:
    """Each network's mean cross-entropy on the images, shape (seeds,)."""
    logits = networks(images.pixels)
    return loss_of_logits(logits, images.labels)


def loss_of_logits(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean cross-entropy of logits (m, n, 10) against labels, (n,) or (m, n): shape (m,)."""
    return F.cross_entropy(logits.transpose(1, 2), labels.expand(logits.shape[:2]), reduction="none").mean(dim=1)


def vectors(networks: Networks) -> Tensor:
    """All weights of each network in a row, (seeds, n): a copy."""
    return torch.cat([p.detach().flatten(1) for p in networks.parameters()], dim=1)


def loss_at(networks: Networks, x: Tensor, images: Images) -> Tensor:
    """The mean cross-entropy of networks of this shape at other weights, rows of x, (m, n): shape (m,)."""
    parts = x.split([p[0].numel() for p in networks.parameters()], dim=1)
    named = zip(networks.named_parameters(), parts, strict=True)
    logits = functional_call(networks, {k: part.view(-1, *p.shape[1:]) for (k, p), part in named}, (images.pixels,))
    return loss_of_logits(logits, images.labels)


def alone(networks: Networks, x: Tensor) -> nn.Sequential:
    """One network of this shape by itself, at the weights x, (n,)."""
    inputs, hidden = networks.w1.shape[1:]
    network = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, 10))
    w1, b1, w2, b2 = x.split([p[0].numel() for p in networks.parameters()])
    for layer, w, b in ((network[0], w1, b1), (network[2], w2, b2)):
        layer.weight = nn.Parameter(w.view(layer.in_features, -1).T.clone())
        layer.bias = nn.Parameter(b.clone())
    return network


@torch.no_grad()
def error(networks: Networks, images: Images) -> Tensor:
    """Each network's share of wrong answers, in percent, shape (seeds,)."""
    return 100 * (networks(images.pixels).argmax(dim=2) != images.labels).float().mean(dim=1)


def train(
    networks: Networks,
    optimizer: Optimizer,
    images: Images,
    gradients: int,
    *,
    batch_size: int = 32,
    seed: int = 0,
    watch: Callable[[], Any] | None = None,
    every: int = 100,
) -> list[Any]:
    """Spend `gradients` mini-batch gradients on each network; return what `watch` said after every `every` of them.

    Each network draws its own batches, with replacement; the same `seed` gives every optimizer the same ones.
    Whenever `watch` is called, and at the end, the networks hold the weights to be judged: x, not x′.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = images.labels.expand(len(networks.seeds), -1)
    if isinstance(optimizer, EntropySGD):
        optimizer.train()
    seen = []
    for count in range(1, gradients + 1):
        batch = torch.randint(len(images.pixels), (len(networks.seeds), batch_size), generator=generator)
        optimizer.zero_grad()
        loss(networks, Images(images.pixels[batch], labels.gather(1, batch))).sum().backward()
        optimizer.step()
        if watch is not None and count % every == 0:
            with weights_in_place(optimizer):
                seen.append(watch())
    if isinstance(optimizer, EntropySGD):
        optimizer.eval()
    return seen


@contextmanager
def weights_in_place(optimizer: Optimizer):
    """For the time of a `with`, the parameters hold the weights x, whatever the optimizer keeps there in between."""
    if isinstance(optimizer, EntropySGD):
        optimizer.eval()
    try:
        yield
    finally:
        if isinstance(optimizer, EntropySGD):
            optimizer.train()


def norm(networks: Networks) -> Tensor:
    """The Euclidean norm of all of a network's weights, shape (seeds,)."""
    return _length([p.detach() for p in networks.parameters()])


@torch.no_grad()
def displaced(networks: Networks, distance: float | Tensor, seed: int) -> Networks:
    """A copy, each network gone `distance` (one, or one each) in a random direction."""
    moved = copy.deepcopy(networks)
    weights = list(moved.parameters())
    generator = torch.Generator().manual_seed(seed)
    direction = [torch.randn(p.shape, generator=generator) for p in weights]
    scale = (distance / _length(direction)).reshape(-1, 1, 1)
    for p, d in zip(weights, direction, strict=True):
        p.add_(scale * d)
    return moved


def _length(tensors: list[Tensor]) -> Tensor:
    return torch.cat([t.flatten(1) for t in tensors], dim=1).norm(dim=1)
