"""The PAC-Bayes bound: its identity with the local free energy, and how often it holds.

A share of n data sets is compared with its probability by the exact binomial tail, at a false alarm of 1e-6.
"""

import numpy as np
import pytest
from scipy import stats

from esgd_minimal.toy import pac_bayes as pb

EXAMPLES, DELTA, SPACING, WIDTH = 50, 0.05, 0.5, 1.0
TAU = pb.best_tau(EXAMPLES, DELTA)
W = np.arange(10.0, 510.0, SPACING)


@pytest.fixture(scope="module")
def random_labels():
    rng = np.random.default_rng(0)
    u, labels = rng.random((300, EXAMPLES)), rng.random((300, EXAMPLES)) < 0.5
    return pb.empirical_risks(W, u, labels)


def prior_weights(k):
    """The prior around frequency k, by hand: a normal cut at six deviations."""
    steps = np.arange(len(W)) - k
    weights = np.exp(-0.5 * (steps * SPACING / WIDTH) ** 2) * (np.abs(steps) <= 6 * WIDTH / SPACING)
    return weights / weights.sum()


def test_classes_and_risks_by_a_second_way(random_labels):
    rng = np.random.default_rng(0)
    u, labels = rng.random((300, EXAMPLES)), rng.random((300, EXAMPLES)) < 0.5
    for k, j in ((0, 0), (400, 17), (999, 299)):
        wrong = [(np.sin(W[k] * point) >= 0) != y for point, y in zip(u[j], labels[j], strict=True)]
        assert random_labels[k, j] == pytest.approx(np.mean(wrong))


def test_the_free_energy_is_the_least_bound(random_labels):
    risks = random_labels[:, :5]
    phi = pb.local_free_energies(risks, SPACING, TAU, WIDTH)
    k = 300
    p = prior_weights(k)[:, None]
    gibbs = p * np.exp(-TAU * risks)
    gibbs /= gibbs.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        kl = np.nansum(gibbs * np.log(gibbs / p), axis=0)
    np.testing.assert_allclose(phi[k], np.sum(gibbs * risks, axis=0) + kl / TAU, atol=1e-9)
    other = np.sum(p * risks, axis=0)  # Q = P, with no divergence to pay
    assert np.all(phi[k] < other)
    true = np.sin(W / 50)
    by_hand = np.sum(gibbs * true[:, None], axis=0)
    np.testing.assert_allclose(pb.gibbs_risks(true, risks, SPACING, TAU, WIDTH)[k], by_hand, atol=1e-9)


def test_the_allowance_is_least_at_the_best_tau():
    here = pb.allowance(TAU, EXAMPLES, DELTA)
    assert here == pytest.approx(np.sqrt(np.log(1 / DELTA) / (2 * EXAMPLES)))
    assert all(pb.allowance(TAU * c, EXAMPLES, DELTA) > here for c in (0.9, 1.1))


def test_the_bound_covers_with_a_fixed_prior_and_fails_with_a_chosen_one(random_labels):
    bounds = pb.local_free_energies(random_labels, SPACING, TAU, WIDTH) + pb.allowance(TAU, EXAMPLES, DELTA)
    sets = bounds.shape[1]

    def fails_too_often(bound):
        failures = int(np.sum(bound < 0.5))  # with random labels every classifier's risk is ½
        return stats.binom.sf(failures - 1, sets, DELTA) < 1e-6

    assert not fails_too_often(bounds[500])
    assert not fails_too_often(bounds.min(axis=0) + np.log(len(W)) / TAU)  # the choice is paid for
    assert fails_too_often(bounds.min(axis=0))
    assert fails_too_often(bounds[500] - 0.17)  # a planted error: no allowance


def test_what_is_refused():
    for tau, examples, delta in ((0.0, 5, 0.1), (1.0, 0, 0.1), (1.0, 5, 1.0)):
        with pytest.raises(ValueError, match="0 < delta < 1"):
            pb.allowance(tau, examples, delta)
