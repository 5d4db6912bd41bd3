"""Diagnostics of chains: against direct sums, closed forms of AR(1) chains, and chains that are known to be bad."""

import inspect

import numpy as np
import pytest
from scipy.signal import lfilter

from esgd_minimal.toy import diagnostics
from esgd_minimal.toy.diagnostics import autocorrelation, effective_sample_size, split_rhat


def ar1(phi: float, steps: int, chains: int, seed: int) -> np.ndarray:
    """x ← φ x + ξ, started from its own law: autocorrelations φᵗ, and N (1 − φ)/(1 + φ) effective draws."""
    xi = np.random.default_rng(seed).standard_normal((steps, chains))
    xi[0] /= np.sqrt(1 - phi**2)
    return lfilter([1], [1, -phi], xi, axis=0)


def mutant(function, old, new):
    source = inspect.getsource(function)
    assert source.count(old) == 1
    names = dict(vars(diagnostics))
    exec(source.replace(old, new), names)
    return names[function.__name__]


def direct_autocorrelation(chain):
    x = chain - chain.mean()
    return np.array([np.sum(x[: len(x) - lag] * x[lag:]) for lag in range(len(x))]) / np.sum(x**2)


@pytest.mark.parametrize("steps", [4, 5, 64, 241])
def test_autocorrelation_is_the_direct_sum(steps):
    chains = ar1(0.6, steps, 3, seed=1) + 5
    found = autocorrelation(chains)
    wrapped = mutant(autocorrelation, "next_fast_len(2 * n, real=True)", "n")(chains)  # not padded
    for c in range(3):
        direct = direct_autocorrelation(chains[:, c])
        assert np.max(np.abs(found[:, c] - direct)) < 1e-12
        assert np.max(np.abs(wrapped[:, c] - direct)) > 1e-3


# An estimate of 1 + 2 Σ ρ that sums W lags has relative variance of about 2 (2 W + 1) / N (Sokal 1997). With
# N = 256,000 and at most 70 lags (φ = 0.9) that is a standard deviation of 3.3 %; the band is five of these.
BAND = 0.17


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, -0.5])
def test_effective_sample_size_of_ar1(phi):
    chains = ar1(phi, 4000, 64, seed=2)
    exact = chains.size * (1 - phi) / (1 + phi)
    assert effective_sample_size(chains) == pytest.approx(exact, rel=BAND)
    # Planted errors: the lags counted once, or the first pair left out.
    if phi:
        wrong = mutant(effective_sample_size, "2 * np.sum(pairs) - 1", "np.sum(pairs)")(chains)
        assert wrong != pytest.approx(exact, rel=BAND)


def test_effective_sample_size_says_what_the_mean_is_worth():
    """The definition: the variance of the mean of all draws is the variance of one, divided by the size."""
    groups = ar1(0.8, 1000, 4 * 500, seed=3).reshape(1000, 500, 4)
    variance_of_mean = np.var(groups.mean(axis=(0, 2)), ddof=1)  # known to 6 %
    size = np.mean([effective_sample_size(groups[:, g]) for g in range(0, 500, 10)])
    assert size == pytest.approx(1 / (1 - 0.8**2) / variance_of_mean, rel=0.3)


def test_chains_that_disagree_are_worth_little():
    chains = ar1(0.0, 2000, 4, seed=4)
    assert effective_sample_size(chains) > 6000
    chains[:, 0] += 3
    assert effective_sample_size(chains) < 30
    blind = mutant(
        effective_sample_size, "1 - (within - np.mean(spread, axis=1)) / total", "np.mean(spread, axis=1) / within"
    )
    assert blind(chains) > 6000


def test_an_antithetic_chain_is_worth_more_than_independent_draws_but_not_without_bound():
    assert effective_sample_size(ar1(-0.5, 1000, 4, seed=5)) > 4000
    alternating = np.tile([1.0, -1.0], 500)[:, None] + 1e-3 * ar1(0, 1000, 1, seed=6)
    assert effective_sample_size(alternating) == pytest.approx(1000 * 3)  # capped at N log₁₀ N


def test_rhat_of_chains_that_agree():
    assert split_rhat(ar1(0.5, 4000, 8, seed=7)) == pytest.approx(1, abs=0.005)


@pytest.mark.parametrize("shift", [0.5, 2.0])
def test_rhat_of_shifted_chains_has_its_closed_form(shift):
    """Half of the chains moved by s standard deviations: the means vary by s²/4 · M/(M − 1), with M half-chains."""
    chains = ar1(0.0, 4000, 8, seed=8)
    chains[:, :4] += shift
    exact = np.sqrt(1 + shift**2 / 4 * 16 / 15)
    assert split_rhat(chains) == pytest.approx(exact, rel=0.01)
    assert exact > 1.03


def test_rhat_sees_a_drift_that_all_chains_share():
    chains = ar1(0.0, 1000, 4, seed=9) + np.linspace(0, 2, 1000)[:, None]
    exact = np.sqrt(1 + 1**2 / 4 * 8 / 7 / (1 + 1**2 / 12))  # the halves' means differ by 1, as each half drifts by
    assert split_rhat(chains) == pytest.approx(exact, rel=0.02)
    unsplit = mutant(split_rhat, "np.concatenate([chains[:half], chains[-half:]], axis=1)", "chains")
    assert unsplit(chains) < 1.01


def test_scale_and_place_do_not_matter():
    chains = ar1(0.7, 500, 4, seed=10)
    for f in (effective_sample_size, split_rhat):
        assert f(1e6 + 50 * chains) == pytest.approx(f(chains), rel=1e-6)


@pytest.mark.parametrize("f", [autocorrelation, effective_sample_size, split_rhat])
def test_what_is_refused(f):
    with pytest.raises(ValueError, match=r"must have shape \(steps ≥ 4, chains\); got \(100,\)"):
        f(np.zeros(100))
    with pytest.raises(ValueError, match=r"must have shape \(steps ≥ 4, chains\); got \(3, 2\)"):
        f(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="not finite"):
        f(np.full((10, 2), np.nan))
    stuck = ar1(0, 10, 3, seed=11)
    stuck[:, 1] = 2.0
    with pytest.raises(ValueError, match="Chain 1 never moves"):
        f(stuck)
