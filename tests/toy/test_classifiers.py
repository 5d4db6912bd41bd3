"""The two classifiers: losses by a second way, gradients against autograd, and the constants of the theory."""

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import elementwise_grad
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from esgd_minimal.toy.classifiers import HIDDEN, LOGISTIC, NETWORK, OUTER

BOTH = pytest.mark.parametrize("classifier", [LOGISTIC, NETWORK], ids=["logistic", "network"])


def loss_by_hand(classifier, x, inputs, labels):
    """The loss of one data set's weights x (d,) on one example."""
    if classifier is LOGISTIC:
        return anp.log(1 + anp.exp(-labels * anp.dot(x, inputs)))
    output = sum(OUTER[j] * anp.tanh(anp.dot(x[3 * j : 3 * j + 3], inputs)) for j in range(HIDDEN))
    return 1 / (1 + anp.exp(labels * output))


def drawn(classifier, n, m, seed=0):
    rng = np.random.default_rng(seed)
    return 2 * rng.standard_normal((classifier.dimension, n)), *classifier.sample(n, m, rng)


@BOTH
def test_losses_and_gradients_against_one_at_a_time(classifier):
    x, inputs, labels = drawn(classifier, 3, 4)
    losses, gradient = classifier.losses(x, inputs, labels), classifier.gradient(x, inputs, labels)
    for k in range(3):

        def mean(w, k=k):
            return sum(loss_by_hand(classifier, w, inputs[:, k, j], labels[k, j]) for j in range(4)) / 4

        by_hand = [loss_by_hand(classifier, x[:, k], inputs[:, k, j], labels[k, j]) for j in range(4)]
        np.testing.assert_allclose(losses[k], by_hand, atol=1e-12)
        np.testing.assert_allclose(gradient[:, k], elementwise_grad(mean)(x[:, k]), atol=1e-12)


@BOTH
@given(seed=st.integers(0, 10_000), spread=st.floats(0.01, 5.0))
@settings(deadline=None, max_examples=30)
def test_no_gradient_and_no_curvature_is_beyond_its_constant(classifier, seed, spread):
    x, inputs, labels = drawn(classifier, 200, 1, seed)
    x = spread * x
    slope = classifier.gradient(x, inputs, labels)
    assert np.linalg.norm(slope, axis=0).max() <= classifier.lipschitz
    near = x + 1e-4 * np.random.default_rng(seed).standard_normal(x.shape)
    change = np.linalg.norm(classifier.gradient(near, inputs, labels) - slope, axis=0)
    assert np.max(change / np.linalg.norm(near - x, axis=0)) <= classifier.smoothness * (1 + 1e-6)


def test_the_constants_are_not_loose_where_they_can_be_reached():
    inputs, labels = np.eye(10)[:, :1, None], np.ones((1, 1))
    far = np.eye(10)[:, :1] * -50.0
    assert np.linalg.norm(LOGISTIC.gradient(far, inputs, labels)) == pytest.approx(LOGISTIC.lipschitz)
    step = 1e-5 * np.eye(10)[:, :1]
    curvature = (LOGISTIC.gradient(step, inputs, labels) - LOGISTIC.gradient(-step, inputs, labels))[0, 0] / 2e-5
    assert curvature == pytest.approx(LOGISTIC.smoothness, rel=1e-6)
    # All units at tanh's steepest place and the output at the loss's: x = 0, an input of length 1.
    aligned = np.array([0.0, 0.0, 1.0])[:, None, None]
    slope = NETWORK.gradient(np.zeros((NETWORK.dimension, 1)), aligned, labels)
    assert np.linalg.norm(slope) == pytest.approx(NETWORK.lipschitz)


def test_the_network_is_not_convex_and_its_loss_is_a_probability():
    x, inputs, labels = drawn(NETWORK, 500, 1)
    y = np.roll(x, 1, axis=1)
    ends = NETWORK.losses(x, inputs, labels), NETWORK.losses(y, inputs, labels)
    middle = NETWORK.losses((x + y) / 2, inputs, labels)
    assert np.any(middle > (ends[0] + ends[1]) / 2 + 0.1)
    assert np.all((middle >= 0) & (middle <= 1))


def test_what_the_samples_are():
    rng = np.random.default_rng(0)
    inputs, labels = LOGISTIC.sample(100, 500, rng)
    np.testing.assert_allclose(np.linalg.norm(inputs, axis=0), 1.0)
    right = (labels > 0).ravel()
    p = 1 / (1 + np.exp(-6 * inputs[0].ravel()))
    for weight in (1.0, inputs[0].ravel()):  # the level, and the steepness
        z = np.sum(weight * (right - p)) / np.sqrt(np.sum(weight**2 * p * (1 - p)))
        assert abs(z) < 4.9  # false alarm 1e-6
    inputs, labels = NETWORK.sample(100, 500, rng)
    assert np.linalg.norm(inputs, axis=0).max() <= 1
    wrong = int(np.sum(labels * inputs[0] * inputs[1] < 0))
    assert 5e-7 < stats.binom.cdf(wrong, 50_000, 0.1) < 1 - 5e-7
    assert abs(np.mean(labels)) < 4.9 / np.sqrt(50_000)
