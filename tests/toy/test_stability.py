"""Uniform stability: the pairs, the identity of gap and replacement, and the bounds.

Statistical checks are at five standard errors or more, a false alarm below 1e-6 each; planted errors are caught.
"""

import numpy as np
import pytest
from scipy import stats

from esgd_minimal.toy import stability
from esgd_minimal.toy.classifiers import LOGISTIC, NETWORK
from esgd_minimal.toy.optimizers import entropy_sgd, gradient_descent

BOTH = pytest.mark.parametrize("classifier", [LOGISTIC, NETWORK], ids=["logistic", "network"])
INNER = {"langevin_steps": 5, "langevin_lr": 0.3, "averaging": 0.6}


def paired(classifier, n=1000, examples=10, seed=0):
    rng = np.random.default_rng(seed)
    pairs = stability.neighbors(classifier, n, examples, rng)
    x0 = stability.twice(0.5 * rng.standard_normal((classifier.dimension, n)))
    return pairs, x0, classifier.sample(n, 30, rng)


def sgd(classifier, pairs, x0, steps=60, lr=1.0, batch=3, seed=1):
    slope = stability.minibatch_gradient(classifier, pairs, batch, np.random.default_rng(seed))
    return gradient_descent(slope, x0, lr, steps).x[-1]


@BOTH
def test_neighbors_differ_in_example_0_and_in_nothing_else(classifier):
    (inputs, labels), _, _ = paired(classifier, n=7)
    np.testing.assert_array_equal(inputs[:, :7, 1:], inputs[:, 7:, 1:])
    np.testing.assert_array_equal(labels[:7, 1:], labels[7:, 1:])
    assert np.all(np.any(inputs[:, :7, 0] != inputs[:, 7:, 0], axis=0))
    assert labels.shape == (14, 10)


@BOTH
def test_members_stay_together_while_the_odd_example_is_not_drawn(classifier):
    pairs, x0, fresh = paired(classifier, n=400)

    class Recorded:
        """A generator that counts how often number 0 came up for each pair."""

        def __init__(self):
            self.rng, self.met = np.random.default_rng(0), np.zeros(400, bool)

        def integers(self, *a, **k):
            drawn = self.rng.integers(*a, **k)
            self.met |= np.any(drawn == 0, axis=0)
            return drawn

    source = Recorded()
    x = gradient_descent(stability.minibatch_gradient(classifier, pairs, 2, source), x0, 0.5, 4).x[-1]
    apart = stability.measure(classifier, pairs, x, fresh).distance
    assert 0 < source.met.sum() < 400
    np.testing.assert_array_equal(apart > 0, source.met)


@BOTH
def test_a_minibatch_gradient_is_unbiased(classifier):
    pairs, x0, _ = paired(classifier, n=3)
    slope = stability.minibatch_gradient(classifier, pairs, 2, np.random.default_rng(0))
    drawn = np.stack([slope(x0) for _ in range(4000)])
    z = (drawn.mean(axis=0) - classifier.gradient(x0, *pairs)) / stats.sem(drawn, axis=0)
    assert np.abs(z).max() < 6.5  # 144 of them


def agree(a, b):
    return abs(np.mean(a - b)) < 5 * stats.sem(a - b)


@BOTH
def test_the_gap_is_the_cost_of_a_replacement(classifier):
    pairs, x0, fresh = paired(classifier, n=3000)
    seen = stability.measure(classifier, pairs, sgd(classifier, pairs, x0), fresh)
    gap = seen.risk - seen.training
    assert gap.mean() > 20 * stats.sem(gap)  # there is something to agree on
    assert agree(gap, seen.replaced)
    assert not agree(gap, 1.5 * seen.replaced)
    assert not agree(gap, seen.change)
    assert np.all(seen.replaced <= seen.change + 1e-12)
    assert np.all(seen.change <= classifier.lipschitz * seen.distance + 1e-12)


def test_measure_by_hand():
    pairs, _, fresh = paired(LOGISTIC, n=2)
    x = np.random.default_rng(3).standard_normal((10, 4))
    seen = stability.measure(LOGISTIC, pairs, x, fresh)
    inputs, labels = pairs

    def loss(member, u, y):
        return np.log1p(np.exp(-y * (x[:, member] @ u)))

    for k in range(2):
        mine, other = (inputs[:, k, 0], labels[k, 0]), (inputs[:, k + 2, 0], labels[k + 2, 0])
        new = [(fresh[0][:, k, j], fresh[1][k, j]) for j in range(30)]
        changes = [abs(loss(k, *z) - loss(k + 2, *z)) for z in [mine, other, *new]]
        assert seen.change[k] == pytest.approx(max(changes))
        dearer = loss(k + 2, *mine) - loss(k, *mine) + loss(k, *other) - loss(k + 2, *other)
        assert seen.replaced[k] == pytest.approx(dearer / 2)
        own = [loss(m, inputs[:, m, j], labels[m, j]) for m in (k, k + 2) for j in range(10)]
        assert seen.training[k] == pytest.approx(np.mean(own))
        assert seen.risk[k] == pytest.approx(np.mean([loss(m, *z) for m in (k, k + 2) for z in new]))
        assert seen.distance[k] == pytest.approx(np.linalg.norm(x[:, k] - x[:, k + 2]))


def test_sgd_bound_is_its_recursion_and_holds():
    apart = 0.0
    for _ in range(9):
        apart = (1 + 0.2 * 0.7) * apart + 2 * 0.2 * 3.0 / 40
    assert stability.sgd_bound(9, 0.2, 40, 3.0, 0.7) == pytest.approx(apart)
    assert stability.sgd_bound(9, 0.2, 40, 3.0, 1e-9) == pytest.approx(stability.sgd_bound(9, 0.2, 40, 3.0))
    pairs, x0, fresh = paired(LOGISTIC, n=2000)
    x = sgd(LOGISTIC, pairs, x0, steps=1, lr=1.0, batch=1)
    once = stability.measure(LOGISTIC, pairs, x, fresh).distance
    bound = stability.sgd_bound(1, 1.0, 10, 1.0)
    assert once.mean() < bound
    assert once.mean() > bound / 4  # tight enough after one step that a bound without N would be seen through


def test_sgd_bound_is_reached_by_linear_losses():
    """With f = ±G x·v nothing pulls back, and the odd examples push in opposite directions: equality."""
    n, steps, lr, examples, batch = 4000, 30, 0.1, 10, 3
    rng = np.random.default_rng(0)
    met = rng.binomial(batch, 1 / examples, size=(steps, n)).sum(axis=0)
    distance = 2 * lr * met / batch
    bound = stability.sgd_bound(steps, lr, examples, 1.0)
    assert abs(distance.mean() - bound) < 5 * stats.sem(distance)


def test_entropy_sgd_bound_has_sgd_as_its_special_case():
    alone = {"langevin_steps": 1, "langevin_lr": 0.2, "averaging": 1.0}
    for concavity in (0.0, 0.5):
        bound = stability.entropy_sgd_bound(30, 1.0, 0.0, 40, 3.0, concavity, **alone)
        np.testing.assert_allclose(bound, stability.sgd_bound(np.arange(31), 0.2, 40, 3.0, concavity))


def test_entropy_sgd_bound_for_convex_losses_is_below_sgd_s():
    for gamma, lr in ((0.0, 1.0), (0.3, 0.5), (3.0, 1.0)):
        bound = stability.entropy_sgd_bound(20, lr, gamma, 40, 1.0, **INNER)
        assert np.all(bound <= stability.sgd_bound(5 * np.arange(21), 0.3, 40, 1.0) + 1e-12)
        assert np.all(np.diff(bound) > 0)


@pytest.mark.parametrize(("lr", "gamma", "noise"), [(1.0, 0.03, 1e-4), (0.5, 1.0, 1.0), (1.0, 2.0, 0.0)])
def test_entropy_sgd_bound_is_reached_by_linear_losses_and_holds_for_logistic(lr, gamma, noise):
    """On linear losses the mean difference of the two members is the recursion; on logistic ones it is below."""
    n, steps, examples = 3000, 10, 10
    rng = np.random.default_rng(0)
    push = np.zeros((1, 2 * n))

    def linear(x):
        push[0, :n] = rng.binomial(2, 1 / examples, size=n) / 2
        push[0, n:] = -push[0, :n]
        return push

    draws = stability.twice(rng.standard_normal((steps, 5, 1, n)))
    x = entropy_sgd(linear, np.zeros((1, 2 * n)), lr, steps, gamma, noise=noise, draws=draws, **INNER).x[-1, 0]
    apart = np.abs(x[:n] - x[n:])
    bound = stability.entropy_sgd_bound(steps, lr, gamma, examples, 1.0, **INNER)[-1]
    assert abs(apart.mean() - bound) < 5 * stats.sem(apart)
    assert abs(apart.mean() - 1.1 * bound) > 5 * stats.sem(apart)  # power: ten percent would be seen

    pairs, x0, fresh = paired(LOGISTIC, n=500)
    slope = stability.minibatch_gradient(LOGISTIC, pairs, 2, rng)
    draws = stability.twice(rng.standard_normal((steps, 5, 10, 500)))
    x = entropy_sgd(slope, x0, lr, steps, gamma, noise=noise, draws=draws, **INNER).x[-1]
    apart = stability.measure(LOGISTIC, pairs, x, fresh).distance
    assert 0 < apart.mean() <= bound


def test_hardt_bound_by_its_two_parts():
    """The published form is the least of t₀/N + (2G²/BN)(T/t₀)^q over t₀, with N − 1 for N."""
    a, N, G, B, T = 0.7, 50, 1.5, 2.0, 300
    t0 = np.linspace(0.01, 300, 2_000_000)
    least = np.min(t0 / N + 2 * G**2 / (B * N) * (T / t0) ** (a * B))
    assert stability.hardt_bound(T, a, N, G, B) * (N - 1) / N == pytest.approx(least, rel=1e-6)


def test_a_run_is_followed_and_read_off_at_a_training_loss():
    pairs, x0, fresh = paired(LOGISTIC, n=100)
    slope = stability.minibatch_gradient(LOGISTIC, pairs, 5, np.random.default_rng(0))
    seen = stability.follow(lambda x: gradient_descent(slope, x, 1.0, 5).x[-1], x0, 8, LOGISTIC, pairs, fresh)
    assert seen.distance.shape == (9, 100)
    assert np.all(seen.distance[0] == 0)
    target = 0.55
    level = stability.at_training_loss(seen, target, blocks=4)
    np.testing.assert_allclose(level.training, target)
    for k, block in enumerate(np.split(np.arange(100), 4)):
        training, distance = seen.training[:, block].mean(axis=1), seen.distance[:, block].mean(axis=1)
        first = int(np.argmax(training <= target))
        between = sorted([distance[first - 1], distance[first]])
        assert between[0] <= level.distance[k] <= between[1]
        expected = np.interp(-target, -training[first - 1 : first + 1], distance[first - 1 : first + 1])
        assert level.distance[k] == pytest.approx(expected)
    for unreached in (0.01, 5.0):
        with pytest.raises(ValueError, match="not passed by every block"):
            stability.at_training_loss(seen, unreached, blocks=4)
