"""A PAC-Bayes bound that is the local free energy plus two constants, and a problem on which to break it.

Let R̂(w) be the mean over N examples of a loss in [0, 1], R(w) its expectation, P a law chosen before the data. With
probability 1 − δ, for all laws Q at once: R(Q) ≤ R̂(Q) + (KL(Q ‖ P) + log 1/δ)/τ + τ/8N. The Q with the least right
side is the Gibbs posterior ∝ P exp(−τ R̂), and with P = N(x, I/(τγ)) that least value is φ(x) + log(1/δ)/τ + τ/8N:
the local free energy of R̂ at β = τ. Dziugaite and Roy (2018) show this for another bound of the same kind.

The problem: classify u in [0, 1] by the sign of sin(w u). One parameter, and it can fit any labels.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

FARTHEST = 6.0  # standard deviations of the prior that are kept


def best_tau(examples: int, delta: float) -> float:
    """The τ at which log(1/δ)/τ + τ/8N is least."""
    return float(np.sqrt(8 * examples * np.log(1 / delta)))


def allowance(tau: float, examples: int, delta: float) -> float:
    """log(1/δ)/τ + τ/8N: what the bound adds to the local free energy, whatever the data.

    Raises:
        ValueError: τ or the number of examples is not positive, or δ is not between 0 and 1.
    """
    if not (tau > 0 and examples >= 1 and 0 < delta < 1):
        raise ValueError(f"tau > 0, examples ≥ 1 and 0 < delta < 1 are needed; got {tau}, {examples} and {delta}.")
    return np.log(1 / delta) / tau + tau / (8 * examples)


def classify(w: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The classes sin(w u) ≥ 0, for frequencies w (k,) and inputs u (N,): booleans (k, N)."""
    return np.floor(np.multiply.outer(w / np.pi, u)) % 2 == 0


def empirical_risks(w: np.ndarray, u: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """R̂: the share of wrong labels in each data set, for each frequency.

    (k,), (sets, N) and booleans (sets, N) → (k, sets).
    """
    return np.stack([np.mean(classify(w, each) != y, axis=1) for each, y in zip(u, labels, strict=True)], axis=1)


def local_free_energies(risks: np.ndarray, spacing: float, tau: float, width: float) -> np.ndarray:
    """φ = −(1/τ) log E_P exp(−τ R̂), for a prior P around each frequency: (k, sets) → (k, sets).

    P is a normal of standard deviation `width` on the frequencies themselves, which are `spacing` apart; a prior cut
    off at either end is reflected there.
    """
    floor = risks.min(axis=0)
    return floor - np.log(_mean_under_prior(np.exp(-tau * (risks - floor)), spacing, width)) / tau


def gibbs_risks(true_risks: np.ndarray, risks: np.ndarray, spacing: float, tau: float, width: float) -> np.ndarray:
    """R(Q) of the Gibbs posterior ∝ P exp(−τ R̂), for a prior P around each frequency: (k,) and (k, sets) → (k, sets).

    `true_risks` are R at the frequencies, and `local_free_energies` says which priors.
    """
    weights = np.exp(-tau * (risks - risks.min(axis=0)))
    total = _mean_under_prior(weights, spacing, width)
    return _mean_under_prior(weights * true_risks[:, None], spacing, width) / total


def _mean_under_prior(values: np.ndarray, spacing: float, width: float) -> np.ndarray:
    return gaussian_filter1d(values, width / spacing, axis=0, mode="reflect", truncate=FARTHEST)
