"""How fast Entropy-SGD converges on a quadratic, and how far from the minimum its noise keeps it: exactly.

On ½ Σ λᵢ xᵢ² every direction goes its own way, and an outer step of Algorithm 1 of Chaudhari et al. (2017), with the
last line x ← x − η (x − μ) of its §4.3, is x ← ρ x + noise. Both come from one sequence, the `influence` c_j: the
share of what step j of the inner loop did to x' that is still in μ when the loop ends. Then

    ρ = 1 − η η' λ Σ c_j    and the noise has the variance    η² v Σ c_j²,

with v the variance of the noise of one inner step. Gradient descent is the case γ = 0, L = 1, α = 1, η = 1.
"""

from math import ceil, log, log1p
from typing import NamedTuple

import numpy as np


class Settings(NamedTuple):
    """What an outer step is made of, by the names of `optimizers.entropy_sgd`; the defaults are the paper's."""

    gamma: float
    lr: float = 1.0
    langevin_steps: int = 20
    langevin_lr: float = 0.1
    averaging: float = 0.75


def influence(curvature: np.ndarray | float, settings: Settings) -> np.ndarray:
    """c_j = α Σ_k r^k b^(L−j−k), k = 0 … L − j: shape (…) → (…, L).

    Here r = 1 − η'(λ + γ) and b = 1 − α. The move of step j reaches x'_ℓ multiplied
    by r^(ℓ−j), and x'_ℓ has the weight α b^(L−ℓ) in μ. As a geometric sum this is
    α (rⁿ − bⁿ)/(r − b), n = L − j + 1; the recursion has no exception at r = b.
    """
    lr, b = settings.langevin_lr, 1 - settings.averaging
    r = 1 - lr * (np.asarray(curvature, dtype=float) + settings.gamma)
    c = np.empty((*np.shape(r), settings.langevin_steps))
    c[..., -1] = settings.averaging
    for n in range(1, settings.langevin_steps):
        c[..., -1 - n] = r * c[..., -n] + settings.averaging * b**n
    return c


def outer_factor(curvature: np.ndarray | float, settings: Settings) -> np.ndarray:
    """ρ = 1 − η η' λ Σ c_j, by which one outer step multiplies x along a direction of curvature λ: (…) → (…)."""
    c = influence(curvature, settings)
    return 1 - settings.lr * settings.langevin_lr * np.asarray(curvature) * np.sum(c, axis=-1)


def speed(curvature: np.ndarray | float, settings: Settings) -> np.ndarray:
    """−log|ρ|/L: by how much each gradient evaluation lowers the logarithm of |x|. Negative where it diverges."""
    with np.errstate(divide="ignore"):  # ρ = 0: there at once
        return -np.log(np.abs(outer_factor(curvature, settings))) / settings.langevin_steps


def kick_variance(settings: Settings, noise: float = 0.0, scale: float = 0.0) -> float:
    """v = η' ε² + η'² s²: thermal noise ε, and gradients with noise of standard deviation s."""
    return settings.langevin_lr * noise**2 + (settings.langevin_lr * scale) ** 2


def mean_variance(curvature: np.ndarray | float, settings: Settings, kick: float) -> np.ndarray:
    """Var μ = v Σ c_j², after one inner loop from a known x: (…) → (…)."""
    return kick * np.sum(influence(curvature, settings) ** 2, axis=-1)


def noise_floor(curvature: np.ndarray | float, settings: Settings, kick: float) -> np.ndarray:
    """η² Var μ / (1 − ρ²), the variance of x at which the outer steps settle: (…) → (…).

    Raises:
        ValueError: along some direction they do not settle, as |ρ| ≥ 1.
    """
    rho = outer_factor(curvature, settings)
    if not np.all(np.abs(rho) < 1):
        raise ValueError(f"The outer steps settle only where |ρ| < 1; the largest is {np.max(np.abs(rho)):.4g}.")
    return settings.lr**2 * mean_variance(curvature, settings, kick) / (1 - rho**2)


def steps_until_unstable(curvature: float, gamma: float, scoping: float, langevin_lr: float) -> int:
    """The first outer step t at which η' (λ + γ(t)) ≥ 2, for γ(t) = γ₀ (1 + γ₁)^t: from then on x' runs away from ⟨x'⟩.

    Raises:
        ValueError: γ₀ or γ₁ is not positive, so that the day never comes, or it came before the first step.
    """
    if not (gamma > 0 and scoping > 0):
        raise ValueError(f"Only a growing scope becomes unstable; got gamma = {gamma:g}, scoping = {scoping:g}.")
    room = 2 / langevin_lr - curvature
    if not gamma < room:
        raise ValueError(
            f"It is unstable from the start: langevin_lr (λ + γ) = {langevin_lr * (curvature + gamma):.3g}."
        )
    return ceil(log(room / gamma) / log1p(scoping))
