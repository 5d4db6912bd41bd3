"""How good the inner loop's estimate of ⟨x'⟩ is: its weights, and on a quadratic its bias and variance exactly.

The loop is lines 1 to 6 of Algorithm 1 of Chaudhari et al. (2017): x' = μ = x, and then L times
x' ← x' − η' (∇f(x') − γ (x − x')) + √η' ε ξ, μ ← (1 − α) μ + α x'. So μ is a weighted mean of the positions
x'₀ = x, x'₁, …, x'_L, and any other weights make an estimate of ⟨x'⟩ too.
"""

import numpy as np

from esgd_minimal.toy.langevin import Gradient
from esgd_minimal.toy.optimizers import entropy_sgd


def noise_for(beta: float) -> float:
    """ε = √(2/β), the noise with which line 5 samples at the inverse temperature β: √η' ε = √(2 η'/β)."""
    return float(np.sqrt(2 / beta))


def averaging_weights(averaging: float, langevin_steps: int) -> np.ndarray:
    """The weight in μ of each position, shape (L + 1,): (1 − α)^L for the start, then α (1 − α)^(L − ℓ)."""
    weights = averaging * (1 - averaging) ** np.arange(langevin_steps, -1, -1.0)
    weights[0] = (1 - averaging) ** langevin_steps
    return weights


def uniform_weights(burn_in: int, langevin_steps: int) -> np.ndarray:
    """Equal weights for the positions after the first `burn_in` steps, shape (L + 1,)."""
    weights = np.zeros(langevin_steps + 1)
    weights[burn_in + 1 :] = 1 / (langevin_steps - burn_in)
    return weights


def estimated_mean(
    gradient: Gradient,
    x: np.ndarray,
    gamma: float,
    *,
    langevin_steps: int,
    langevin_lr: float,
    averaging: float,
    noise: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """μ after one inner loop from each of the points, (d, n) → (d, n): one outer step with η = 1 ends there."""
    trajectory = entropy_sgd(
        gradient,
        x,
        lr=1.0,
        steps=1,
        gamma=gamma,
        langevin_steps=langevin_steps,
        langevin_lr=langevin_lr,
        averaging=averaging,
        noise=noise,
        rng=rng,
    )
    return trajectory.x[-1]


def quadratic_estimate(
    curvatures: np.ndarray, gamma: float, weights: np.ndarray, *, langevin_lr: float, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """On ½ Σ λᵢ xᵢ²: the share b of x − ⟨x'⟩ that the mean of μ still keeps, and the variance of μ; both (d,).

    With a = 1 − η'(λ + γ) the mean of x'_ℓ − ⟨x'⟩ is a^ℓ (x − ⟨x'⟩), so b = Σ w_ℓ a^ℓ. The noise of step j enters
    x'_ℓ with the factor a^(ℓ − j), so the variance is η' ε² Σ_j (Σ_{ℓ ≥ j} w_ℓ a^(ℓ − j))².
    """
    a = 1 - langevin_lr * (np.asarray(curvatures, dtype=float)[:, None] + gamma)
    powers = a ** np.arange(len(weights))  # (d, L + 1)
    passed_on = [powers[:, : len(weights) - j] @ weights[j:] for j in range(1, len(weights))]
    return powers @ weights, langevin_lr * noise**2 * np.sum(np.square(passed_on), axis=0)


def quadratic_error(
    curvature: float, gamma: float, weights: np.ndarray, *, langevin_lr: float, noise: float, distance: float
) -> float:
    """√(b² |x − ⟨x'⟩|² + Var μ), the root mean squared error of μ along one direction; `distance` is |x − ⟨x'⟩|."""
    kept, variance = quadratic_estimate(np.array([curvature]), gamma, weights, langevin_lr=langevin_lr, noise=noise)
    return float(np.sqrt(kept[0] ** 2 * distance**2 + variance[0]))


def best_weights(
    curvature: float, gamma: float, langevin_steps: int, *, langevin_lr: float, noise: float, distance: float
) -> np.ndarray:
    """The weights, of sum 1, with the least `quadratic_error`, shape (L + 1,).

    They need |x − ⟨x'⟩|, which no loop knows: this is a bound for what averaging can do, not a recipe.
    """
    a = 1 - langevin_lr * (curvature + gamma)
    steps = np.arange(langevin_steps + 1)
    # Cov(x'_k, x'_l) = η'ε² Σ_{j ≤ min(k, l)} a^(k − j) a^(l − j), as a product of triangular matrices.
    factor = np.tril(a ** np.maximum(steps[:, None] - steps, 0.0))[:, 1:]
    squares = langevin_lr * noise**2 * factor @ factor.T + distance**2 * np.outer(a**steps, a**steps)
    weights = np.linalg.solve(squares, np.ones(langevin_steps + 1))
    return weights / np.sum(weights)
