"""Local entropy without quadrature: by thermodynamic integration, by Langevin sampling, by Laplace's method.

This is what is left in a million dimensions; in two, each estimate stands beside the exact value. The chains are
independent, so the standard errors need no autocorrelation: they come from the spread of the chains' averages.
"""

import numpy as np

from esgd_minimal.toy.grids import Grid
from esgd_minimal.toy.landscapes import Energy, gradient, hessian
from esgd_minimal.toy.langevin import Gradient, langevin, metropolis
from esgd_minimal.toy.local_entropy import kernel_width
from esgd_minimal.toy.relaxations import prox

LOWEST_ACCEPTANCE = 0.05


def thermodynamic_integration(
    energy: Energy,
    x: np.ndarray,
    gamma: float,
    beta: float = 1.0,
    *,
    step: float,
    n_steps: int,
    burn_in: int,
    rng: np.random.Generator,
    chains: int = 50,
    nodes: int = 8,
) -> tuple[np.ndarray, np.ndarray]:
    """F(x, γ) at the points x (d, n), and its standard error: two arrays (n,).

    Let the energy in by a coupling λ: F_λ is the local entropy of λ f. At λ = 0 it is a Gaussian's, known; at λ = 1
    it is F; and dF_λ/dλ = −β ⟨f⟩_λ is a mean, which chains can estimate. So F = F_0 − β ∫ ⟨f⟩_λ dλ: Gauss–Legendre
    nodes in λ, Metropolis-adjusted Langevin chains at each, all started from the Gaussian at λ = 0.

    Args:
        step: the chains' step η; n_steps and burn_in: how many steps they take, and how many of them are not counted.
        chains: for each point and node; the error is that of their average.
        nodes: of Gauss and Legendre; their own error falls exponentially, and is not in the standard error.

    Raises:
        ValueError: γ or β is not positive, x is not (d, n), or the step is so long that nearly all are refused.
    """
    width = kernel_width(gamma, beta)
    x = _points(x)
    d, n = x.shape
    coupling, weights = np.polynomial.legendre.leggauss(nodes)
    coupling, weights = (coupling + 1) / 2, weights / 2
    # One column a chain: all chains of all nodes of all points, in one run.
    strength = np.broadcast_to(coupling[:, None], (n, nodes, chains)).ravel()
    centre = np.repeat(x, nodes * chains, axis=1)
    slope = gradient(energy)
    samples, acceptance = metropolis(
        lambda u: strength * energy(u) + 0.5 * gamma * np.sum((u - centre) ** 2, axis=0),
        lambda u: strength * slope(u) + gamma * (u - centre),
        centre + width * rng.standard_normal(centre.shape),
        step,
        n_steps,
        beta,
        rng=rng,
        burn_in=burn_in,
    )
    rates = acceptance.reshape(-1, chains).mean(axis=1)
    if rates.min() < LOWEST_ACCEPTANCE:
        raise ValueError(f"Only {rates.min():.0%} of the steps of {step:g} are accepted somewhere; try {step / 4:.2g}.")
    f = energy(np.moveaxis(samples, 1, 0)).mean(axis=0).reshape(n, nodes, chains)
    start = 0.5 * d * np.log(2 * np.pi * width**2)
    error = beta * np.sqrt(np.sum(weights**2 * f.var(axis=-1, ddof=1) / chains, axis=-1))
    return start - beta * f.mean(axis=-1) @ weights, error


def langevin_gradient(
    gradient: Gradient,
    x: np.ndarray,
    gamma: float,
    beta: float = 1.0,
    *,
    step: float,
    n_steps: int,
    burn_in: int,
    rng: np.random.Generator,
    chains: int = 50,
) -> tuple[np.ndarray, np.ndarray]:
    """∇(−F/β) = γ (x − ⟨x'⟩) with ⟨x'⟩ from Langevin chains started at x, and its standard error: two arrays (d, n).

    The standard error knows the noise, not the bias of a short chain or of a long step. Only ∇f is needed, which may
    be a noisy one.

    Raises:
        ValueError: γ or β is not positive, or x is not (d, n); ChainDiverged: the step is too long.
    """
    kernel_width(gamma, beta)
    x = _points(x)
    centre = np.repeat(x, chains, axis=1)
    samples = langevin(
        lambda u: gradient(u) + gamma * (u - centre), centre, step, n_steps, beta, rng=rng, burn_in=burn_in
    )
    means = samples.mean(axis=0).reshape(*x.shape, chains)
    return gamma * (x - means.mean(axis=-1)), gamma * means.std(axis=-1, ddof=1) / np.sqrt(chains)


def laplace_local_entropy(energy: Energy, x: np.ndarray, gamma: float, grid: Grid, beta: float = 1.0) -> np.ndarray:
    """F(x, γ) by Laplace's method, a Gaussian at the minimum x* of f(x') + γ/2 |x − x'|²: (d, n) → (n,).

    −β (f(x*) + γ/2 |x − x*|²) + (d/2) log(2π/β) − ½ log det(∇²f(x*) + γI). The grid only helps to find x*.

    Raises:
        ValueError: γ or β is not positive, x is not (d, n), or the curvature at x* is not positive.
    """
    kernel_width(gamma, beta)
    x_star = prox(energy, x, gamma, grid)
    stiffness = np.moveaxis(hessian(energy)(x_star), -1, 0) + gamma * np.eye(len(x_star))
    curvatures = np.linalg.eigvalsh(stiffness)
    if np.any(curvatures[:, 0] <= 1e-9 * curvatures[:, -1]):
        flat = np.round(x_star[:, np.argmin(curvatures.min(axis=1))], 4).tolist()
        raise ValueError(f"Laplace's method needs a positive curvature; at x' = {flat} it is {curvatures.min():.3g}.")
    lowest = energy(x_star) + 0.5 * gamma * np.sum((np.asarray(x) - x_star) ** 2, axis=0)
    return -beta * lowest + 0.5 * np.sum(np.log(2 * np.pi / (beta * curvatures)), axis=1)


def _points(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, dtype=float)
    if x.ndim != 2:
        raise ValueError(f"Points must have shape (d, n), one column a point; got {x.shape}.")
    return x
