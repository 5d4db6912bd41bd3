"""What a network is trained on: batches picked by index from tensors that stay on the device, and a score."""

import hashlib
import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy

from esgd_minimal.deep import augmentation, datasets, fetching, preprocessing, text
from esgd_minimal.deep.datasets import Corpus, Images

HELD_OUT = 5000  # images of the training set that only validate
SCORED = 5000  # training images that a score is taken on, and batch normalization's statistics, along the way
AT_ONCE = 500  # images in a forward pass without gradient: no larger is faster on a CPU


class Task(Protocol):
    """Training batches by the number of the step, and scores on the parts "train", "valid" and "test"."""

    digest: str  # SHA-256 of the data
    steps: int  # in a pass
    network: dict[str, Any]  # what the data tells the network's builder

    def loss(self, network: nn.Module, step: int) -> Tensor:
        """The mean loss of the batch of this step, for its gradient."""

    def inputs(self, everything: bool) -> Iterator[Tensor]:
        """Batches to estimate batch normalization's statistics from: of the whole training set, or of a part."""

    def score(self, network: nn.Module, part: str, everything: bool) -> dict[str, float]:
        """The mean loss, and more, of a network in eval mode."""

    def state_dict(self) -> dict[str, Any]:
        """What the next batch needs from the last."""

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Classification:
    """Images and their classes. A pass takes every image once, in an order that the seed and the pass give.

    What does not fill a batch waits for the next pass. The validation set is `HELD_OUT` images of the training set,
    the same for every seed. Images lie channels-last, which is the faster layout for convolutions. In the place of an
    image there may be a line of text, (characters,), with a class for each of them: labels (n, characters).
    """

    def __init__(self, train: Images, test: Images, batch: int, seed: int, device: torch.device, augment: bool = False):
        held_out = min(HELD_OUT, len(train.labels) // 10)
        self.steps = (len(train.labels) - held_out) // batch
        if not self.steps:
            some = len(train.labels) - held_out
            raise ValueError(f"{some} training images do not fill one batch of {batch}: take more examples.")
        kept, valid = datasets.hold_out(train, held_out)
        self.parts = {
            name: Images(_laid_out(part.pixels).to(device), part.labels.to(device))
            for name, part in {"train": kept, "valid": valid, "test": test}.items()
        }
        self.digest = _sha256(train.pixels, train.labels, test.pixels, test.labels)
        self.batch, self.seed, self.augment = batch, seed, augment
        self.network: dict[str, Any] = {}
        self._pass: tuple[int, Tensor, Tensor] | None = None

    def of_pass(self, number: int) -> tuple[Tensor, Tensor]:
        """The order of a pass, and its crops: they depend on nothing that a checkpoint would have to keep."""
        if self._pass is None or self._pass[0] != number:
            labels = self.parts["train"].labels
            rng = np.random.default_rng([self.seed, number])
            drawn = rng.permutation(len(labels)), augmentation.crops(rng, len(labels))
            order, crops = (torch.from_numpy(array).to(labels.device) for array in drawn)
            self._pass = number, order, crops
        return self._pass[1:]

    def loss(self, network: nn.Module, step: int) -> Tensor:
        number, k = divmod(step, self.steps)
        order, crops = (drawn[k * self.batch : (k + 1) * self.batch] for drawn in self.of_pass(number))
        images, labels = (part[order] for part in self.parts["train"])
        if self.augment:
            images = augmentation.crop_and_flip(images, crops)
        return cross_entropy(network(images), labels)

    def inputs(self, everything: bool) -> Iterator[Tensor]:
        pixels = self.parts["train"].pixels
        yield from (pixels if everything else pixels[:SCORED]).split(self.batch)

    @torch.no_grad()
    def score(self, network: nn.Module, part: str, everything: bool) -> dict[str, float]:
        """The mean cross-entropy, and the error in percent."""
        pixels, labels = self.parts[part]
        n = len(labels) if everything else min(len(labels), SCORED)
        loss = torch.zeros((), dtype=torch.double, device=labels.device)
        wrong = torch.zeros((), dtype=torch.long, device=labels.device)
        for images, truth in zip(pixels[:n].split(AT_ONCE), labels[:n].split(AT_ONCE), strict=True):
            logits = network(images).float()
            loss += cross_entropy(logits, truth, reduction="sum")
            wrong += (logits.argmax(dim=1) != truth).sum()
        places = labels[:n].numel()
        return {"loss": loss.item() / places, "error": 100 * wrong.item() / places}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class NextToken:
    """A text in `batch` columns side by side, read from the top; each token is predicted from those above it.

    The hidden state is carried from window to window, and starts at zero at the top of every pass. What is trained on
    is the mean over a window's tokens, or, if `summed`, the sum over time of the means over the columns.
    """

    def __init__(self, corpus: Corpus, batch: int, unroll: int, device: torch.device, summed: bool = False):
        tokens = {"train": corpus.train, "valid": corpus.valid, "test": corpus.test}
        self.digest = _sha256(*tokens.values())
        self.columns = {part: text.side_by_side(t, batch).to(device) for part, t in tokens.items()}
        self.unroll, self.summed = unroll, summed
        self.steps = len(list(text.windows(self.columns["train"], unroll)))
        self.network = {"vocabulary": len(corpus.vocabulary)}
        self.hidden: tuple[Tensor, Tensor] | None = None

    def loss(self, network: nn.Module, step: int) -> Tensor:
        k = step % self.steps
        if k == 0:
            self.hidden = None
        window = self.columns["train"][k * self.unroll : (k + 1) * self.unroll + 1]
        logits, (h, c) = network(window[:-1], self.hidden)
        self.hidden = h.detach(), c.detach()
        mean = cross_entropy(logits.flatten(0, 1), window[1:].flatten())
        return mean * (len(window) - 1) if self.summed else mean

    def inputs(self, everything: bool) -> Iterator[Tensor]:
        windows = list(text.windows(self.columns["train"], self.unroll))
        yield from (inputs for inputs, _ in (windows if everything else windows[:: max(1, len(windows) // 50)]))

    @torch.no_grad()
    def score(self, network: nn.Module, part: str, everything: bool) -> dict[str, float]:
        """The mean cross-entropy of a token, in nats. Of the training text, a part is its first tenth."""
        columns = self.columns[part]
        if part == "train" and not everything:
            columns = columns[: max(2, len(columns) // 10)]
        total, hidden, n = 0.0, None, 0
        for inputs, targets in text.windows(columns, self.unroll):
            logits, hidden = network(inputs, hidden)
            total += cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="sum").item()
            n += targets.numel()
        return {"loss": total / n}

    def state_dict(self) -> dict[str, Any]:
        return {"hidden": self.hidden}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.hidden = state["hidden"]


def digits() -> tuple[Images, Images]:
    """Scikit-learn's 1,797 digits of 8 × 8 pixels from −1 to 1, shuffled once; the last 400 are the test set.

    Raises:
        ValueError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ValueError("The digits come with scikit-learn, which is not here: pip install scikit-learn") from None
    pixels, labels = (torch.from_numpy(array) for array in load_digits(return_X_y=True))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    images = Images((pixels[order].view(-1, 1, 8, 8) / 8 - 1).float(), labels[order])
    return Images(*(part[:-400] for part in images)), Images(*(part[-400:] for part in images))


def mnist() -> tuple[Images, Images]:
    """MNIST with pixels from −1 to 1.02, as in the code released in Lua."""
    train, test = (Images(preprocessing.scale_mnist(part.pixels), part.labels) for part in datasets.mnist())
    return train, test


def mnist_black() -> tuple[Images, Images]:
    """MNIST with pixels from 0 to 1, as in the research code's Hessian scripts: black is 0."""
    train, test = (Images(part.pixels.float() / 255, part.labels) for part in datasets.mnist())
    return train, test


def mnist_halved() -> tuple[Images, Images]:
    """The same at 14 × 14 pixels, each the mean of four."""
    train, test = (Images(avg_pool2d(part.pixels, 2), part.labels) for part in mnist_black())
    return train, test


def cifar10() -> tuple[Images, Images]:
    """CIFAR-10 with the contrast normalized and whitened (§5.3), by what the training images teach.

    That takes a minute or two of a processor, so it is kept, in the user's cache, for these very images.
    """
    train, test = datasets.cifar10()
    images, others = (preprocessing.normalize_contrast(part.pixels.float()) for part in (train, test))
    kept = fetching.cache() / f"whitening-{_sha256(train.pixels)[:16]}.pt"
    learned = preprocessing.kept_whitening(kept, images)
    return (
        Images(preprocessing.whiten(images, learned), train.labels),
        Images(preprocessing.whiten(others, learned), test.labels),
    )


def lines() -> tuple[Images, Images]:
    """War and Peace cut every 32 characters, as long as the lines of the paper's char-LSTM (§5.1)."""
    novel = datasets.war_and_peace()
    train, test = (part[: len(part) // 32 * 32].view(-1, 32) for part in (novel.train, novel.test))
    return Images(train, train), Images(test, test)


DATA: dict[str, Callable[[], Any]] = {
    "digits": digits,
    "mnist": mnist,
    "mnist-black": mnist_black,
    "mnist-14x14": mnist_halved,
    "cifar10": cifar10,
    "penn-treebank": datasets.penn_treebank,
    "war-and-peace": datasets.war_and_peace,
    "war-and-peace-lines": lines,
}


@lru_cache(maxsize=1)
def loaded(data: str, given: str | None) -> Any:
    """A data set, loaded once for all runs of a process. `given` is $ESGD_DATA, where the data may come from."""
    return DATA[data]()


def task(
    data: str,
    batch: int,
    unroll: int,
    seed: int,
    device: torch.device,
    examples: int | None = None,
    augment: bool = False,
    summed: bool = False,
) -> Task:
    """The task of a data set, of all of it or of its first `examples` training images or tokens.

    Raises:
        ValueError, ConnectionError: the data is not here, or not right; or it does not fill one batch.
    """
    whole = loaded(data, os.environ.get("ESGD_DATA"))
    if isinstance(whole, Corpus):
        return NextToken(whole._replace(train=whole.train[:examples]), batch, unroll, device, summed)
    train, test = whole
    some = Images(train.pixels[:examples], train.labels[:examples])
    return Classification(some, test, batch, seed, device, augment)


def _laid_out(pixels: Tensor) -> Tensor:
    return pixels.contiguous(memory_format=torch.channels_last) if pixels.dim() == 4 else pixels


def _sha256(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
