"""How far to trust a chain: autocorrelation, effective sample size, and R-hat.

All take one quantity followed along the chains, an array (steps, chains). The formulas are those of
Gelman et al., Bayesian Data Analysis (3rd edition, 2013), chapter 11, without the later rank-normalization.
"""

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft


def autocorrelation(chains: np.ndarray) -> np.ndarray:
    """The autocorrelation of each chain at the lags 0, 1, …, steps − 1, by the fast Fourier transform: (steps, chains).

    Each lag's sum is divided by `steps`, as at lag 0: a little small at long lags, and far less noisy there.

    Raises:
        ValueError: the array is not (steps, chains) with at least 4 steps, or a chain does not move or is not finite.
    """
    centred = _checked(chains) - np.mean(chains, axis=0)
    n = len(centred)
    length = next_fast_len(2 * n, real=True)  # padded with zeros, so that the end does not wrap around to the start
    power = np.abs(rfft(centred, length, axis=0)) ** 2
    covariance = irfft(power, length, axis=0)[:n]
    return covariance / covariance[0]


def effective_sample_size(chains: np.ndarray) -> float:
    """How many independent draws would give a mean as accurate as that of all these: N / (1 + 2 Σ ρ_t).

    The autocorrelations ρ_t of the chains are averaged, corrected for chains that disagree on the mean, and
    summed by Geyer's (1992) rule: in pairs ρ_2t + ρ_2t+1, as long as these are positive, and never growing.

    Raises:
        ValueError: as for `autocorrelation`.
    """
    n = len(_checked(chains))
    within, total = _variances(chains)
    spread = np.var(chains, axis=0, ddof=1)[None, :] * autocorrelation(chains)
    rho = 1 - (within - np.mean(spread, axis=1)) / total
    pairs = rho[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs <= 0)
    pairs = np.minimum.accumulate(pairs[: ends[0]] if len(ends) else pairs)
    return float(np.size(chains) / max(2 * np.sum(pairs) - 1, 1 / np.log10(np.size(chains))))


def split_rhat(chains: np.ndarray) -> float:
    """R-hat: how much wider all the chains together are than each one's halves; near 1 where they agree.

    Each chain is cut in two, so that one chain that drifts is caught as well as two that differ.

    Raises:
        ValueError: as for `autocorrelation`.
    """
    half = len(_checked(chains)) // 2
    within, total = _variances(np.concatenate([chains[:half], chains[-half:]], axis=1))
    return float(np.sqrt(total / within))


def _variances(chains: np.ndarray) -> tuple[float, float]:
    """The variance within the chains, and the estimate of the whole that also counts how their means differ."""
    n, m = chains.shape
    within = np.mean(np.var(chains, axis=0, ddof=1))
    between = np.var(np.mean(chains, axis=0), ddof=1) if m > 1 else 0.0
    return within, (n - 1) / n * within + between


def _checked(chains: np.ndarray) -> np.ndarray:
    if np.ndim(chains) != 2 or len(chains) < 4:
        raise ValueError(f"One quantity along the chains must have shape (steps ≥ 4, chains); got {np.shape(chains)}.")
    if not np.all(np.isfinite(chains)):
        raise ValueError("The chains hold values that are not finite.")
    if np.any(np.ptp(chains, axis=0) == 0):
        raise ValueError(f"Chain {np.flatnonzero(np.ptp(chains, axis=0) == 0)[0]} never moves.")
    return chains
