"""Uniform stability: algorithms run on pairs of data sets that differ in one example.

Hardt, Recht and Singer (2016). Thousands of pairs run at once, as the columns of one array of points (d, 2n): column
k is the first member of pair k, column n + k the second. Both members of a pair start at the same point and see the
same batches and the same noise. Whatever sets them apart comes from the one example that differs, number 0.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from esgd_minimal.toy.classifiers import Classifier, Examples
from esgd_minimal.toy.langevin import Gradient


def neighbors(classifier: Classifier, n: int, examples: int, rng: np.random.Generator) -> Examples:
    """n pairs of data sets of N examples each, which differ in example 0: inputs (p, 2n, N), labels (2n, N)."""
    inputs, labels = classifier.sample(n, examples + 1, rng)
    first = np.arange(examples)
    second = np.r_[examples, first[1:]]
    inputs = np.concatenate([inputs[..., first], inputs[..., second]], axis=1)
    return inputs, np.concatenate([labels[:, first], labels[:, second]])


def twice(a: np.ndarray) -> np.ndarray:
    """The same columns for the second members as for the first: (…, n) → (…, 2n)."""
    return np.concatenate([a, a], axis=-1)


def minibatch_gradient(
    classifier: Classifier,
    pairs: Examples,
    batch: int,
    rng: np.random.Generator,
) -> Gradient:
    """A gradient (d, 2n) → (d, 2n) of batches that both members of a pair share.

    A batch is drawn with replacement: number 0 is in it batch/N times on average.
    """
    inputs, labels = pairs
    members, examples = labels.shape
    by_row = np.moveaxis(inputs, 0, -1).reshape(labels.size, -1)

    def gradient(x: np.ndarray) -> np.ndarray:
        drawn = rng.integers(examples, size=(batch, members // 2))
        rows = twice(drawn).T + examples * np.arange(members)[:, None]
        batches = np.ascontiguousarray(np.moveaxis(by_row.take(rows, axis=0), -1, 0))
        return classifier.gradient(x, batches, labels.take(rows))

    return gradient


class Measured(NamedTuple):
    """What n pairs show: each an array (n,) at one moment, (moments, n) along a run."""

    distance: np.ndarray  # |x − x̃| between the two members
    change: np.ndarray  # the largest |f(x, z) − f(x̃, z)| over the fresh examples z and the two that were swapped
    replaced: np.ndarray  # how much more an example costs the member that has not seen it, over the two swapped
    training: np.ndarray  # mean loss over a member's own data set, the mean of both members
    risk: np.ndarray  # mean loss over the fresh examples, the mean of both members


def measure(classifier: Classifier, pairs: Examples, x: np.ndarray, fresh: Examples) -> Measured:
    """Compare the members of each pair at the weights x, (d, 2n); `fresh` are m new examples for each of n pairs."""
    inputs, labels = pairs
    n = len(labels) // 2
    swapped = np.stack([inputs[:, :n, 0], inputs[:, n:, 0]], axis=-1), np.stack([labels[:n, 0], labels[n:, 0]], axis=-1)
    probes = [np.concatenate(both, axis=-1) for both in zip(swapped, fresh, strict=True)]
    losses = classifier.losses(x, np.concatenate([probes[0]] * 2, axis=1), np.concatenate([probes[1]] * 2))
    gone = losses[n:] - losses[:n]
    training = classifier.losses(x, inputs, labels).mean(axis=1)
    risk = losses[:, 2:].mean(axis=1)
    return Measured(
        distance=np.linalg.norm(x[:, :n] - x[:, n:], axis=0),
        change=np.abs(gone).max(axis=1),
        replaced=(gone[:, 0] - gone[:, 1]) / 2,
        training=(training[:n] + training[n:]) / 2,
        risk=(risk[:n] + risk[n:]) / 2,
    )


def follow(
    advance: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    rounds: int,
    classifier: Classifier,
    pairs: Examples,
    fresh: Examples,
) -> Measured:
    """Measure at the start and after each of `rounds` rounds x ← advance(x): arrays of shape (rounds + 1, n)."""
    seen = [measure(classifier, pairs, x, fresh)]
    for _ in range(rounds):
        x = advance(x)
        seen.append(measure(classifier, pairs, x, fresh))
    return Measured(*(np.stack(values) for values in zip(*seen, strict=True)))


def at_training_loss(seen: Measured, target: float, blocks: int = 20) -> Measured:
    """A run read off where its training loss first reaches `target`: arrays (blocks,), one entry a block of pairs.

    The mean over a block's pairs is followed, and interpolated between moments.

    Raises:
        ValueError: the target is not reached, or the run starts below it.
    """
    means = Measured(*(np.stack([b.mean(axis=1) for b in np.array_split(a, blocks, axis=1)]) for a in seen))
    lowest = np.minimum.accumulate(means.training, axis=1)
    if not (np.all(lowest[:, -1] <= target) and np.all(lowest[:, 0] >= target)):
        raise ValueError(
            f"A training loss of {target:g} is not passed by every block: they start at {lowest[:, 0].min():.3g} "
            f"or above, and reach {lowest[:, -1].max():.3g}."
        )
    after = np.maximum(np.argmax(lowest <= target, axis=1), 1)
    rows, before = np.arange(blocks), after - 1
    above, below = means.training[rows, before], means.training[rows, after]
    share = (above - target) / (above - below)
    return Measured(*((1 - share) * a[rows, before] + share * a[rows, after] for a in means))


def sgd_bound(steps: np.ndarray, lr: float, examples: int, lipschitz: float, concavity: float = 0.0) -> np.ndarray:
    """E|x − x̃| after `steps` steps of SGD is at most (2G/bN) ((1 + ηb)^T − 1), or 2GηT/N for b = 0.

    For losses with gradients of length at most G and Hessians between −bI and BI, and η ≤ 2/B; any batch size.
    """
    steps = np.asarray(steps, dtype=float)
    grown = np.expm1(steps * np.log1p(lr * concavity)) / concavity if concavity > 0 else lr * steps
    return 2 * lipschitz / examples * grown


def entropy_sgd_bound(
    steps: int,
    lr: float,
    gamma: float,
    examples: int,
    lipschitz: float,
    concavity: float = 0.0,
    *,
    langevin_steps: int = 20,
    langevin_lr: float = 0.1,
    averaging: float = 0.75,
) -> np.ndarray:
    """Bounds on E|x − x̃| for `optimizers.entropy_sgd`, after 0, 1, …, `steps` outer steps.

    For η'(γ + B/2) ≤ 1 and η ≤ 1. The noise, common to both members, does not matter.
    """
    bound = np.zeros(steps + 1)
    growth = 1 + langevin_lr * (concavity - gamma)
    push = 2 * langevin_lr * lipschitz / examples
    for t in range(steps):
        apart = mean = bound[t]
        for _ in range(langevin_steps):
            apart = growth * apart + langevin_lr * gamma * bound[t] + push
            mean = (1 - averaging) * mean + averaging * apart
        bound[t + 1] = (1 - lr) * bound[t] + lr * mean
    return bound


def hardt_bound(steps: np.ndarray, a: float, examples: int, lipschitz: float, smoothness: float) -> np.ndarray:
    """Uniform stability of SGD with one example a step and η_t ≤ a/t, for a loss between 0 and 1 (not convex).

    (1 + 1/(Ba))/(N − 1) · (2aG²)^(1/(Ba+1)) · T^(Ba/(Ba+1)), Hardt, Recht and Singer (2016).
    """
    p = 1 / (smoothness * a + 1)
    steps = np.asarray(steps, dtype=float)
    return (1 + 1 / (smoothness * a)) / (examples - 1) * (2 * a * lipschitz**2) ** p * steps ** (1 - p)
