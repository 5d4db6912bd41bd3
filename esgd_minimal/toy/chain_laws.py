"""What Langevin chains do exactly: on quadratics, in one dimension, and anywhere to first order in the step.

The estimates of `langevin` are held against these laws.
"""

import numpy as np

from esgd_minimal.toy.grids import Grid
from esgd_minimal.toy.landscapes import Energy, gradient, hessian
from esgd_minimal.toy.langevin import Gradient


def quadratic_law(
    curvatures: np.ndarray, x0: np.ndarray, step: float, k: int, beta: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """The law of `langevin` on ½ Σ λᵢ xᵢ² after k steps: independent normals, their means and variances.

    With a = 1 − ηλ the mean is aᵏ x₀ and the variance (2η/β)(1 + a² + … + a²⁽ᵏ⁻¹⁾). It holds for every
    step η, also for one that is too long.

    Args:
        curvatures: λ, (d,); zero and negative ones are allowed.
        x0: the starts, (d, n).

    Returns:
        The means (d, n) and the variances (d,).
    """
    a = 1 - step * np.asarray(curvatures, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.where(a**2 == 1, k, (1 - a ** (2 * k)) / (1 - a**2))  # the geometric sum
    return a[:, None] ** k * x0, 2 * step / beta * powers


def stationary_variance(curvatures: np.ndarray, step: float, beta: float = 1.0) -> np.ndarray:
    """The limit of `quadratic_law`'s variance, 1/(βλ (1 − ηλ/2)): the exact 1/(βλ) and the bias of the step.

    Raises:
        ValueError: the chain has no stationary law, because λ ≤ 0 or ηλ ≥ 2.
    """
    stiffness = step * np.asarray(curvatures, dtype=float)
    if not np.all((stiffness > 0) & (stiffness < 2)):
        raise ValueError(f"A stationary law needs 0 < ηλ < 2 in every direction; got ηλ = {stiffness}.")
    return step / (beta * stiffness * (1 - stiffness / 2))


def effective_beta(beta: float, step: float, scale: float) -> float:
    """The inverse temperature at which `langevin` runs when its gradient carries noise of standard deviation s.

    A step then adds noise of variance 2η/β + η² s² = 2η (1/β + η s²/2), so the temperature is 1/β + η s²/2.
    This is exact where the gradient's noise is normal, has the same size everywhere, and is fresh at each step.
    """
    return 1 / (1 / beta + step * scale**2 / 2)


def modified_energy(energy: Energy, step: float, beta: float = 1.0) -> Energy:
    """The energy whose Gibbs measure `langevin` samples up to O(η²): f − η (¼ |∇f|² − Δf / 2β)."""
    slope, curvature = gradient(energy), hessian(energy)

    def modified(x: np.ndarray) -> np.ndarray:
        laplacian = np.trace(curvature(x))
        return energy(x) - step * (0.25 * np.sum(slope(x) ** 2, axis=0) - laplacian / (2 * beta))

    return modified


def transition_matrix(gradient: Gradient, line: Grid, step: float, beta: float = 1.0) -> np.ndarray:
    """One step of `langevin` in one dimension: row i is the law of the next position, given the grid's i-th point.

    The trapezoid rule is all but exact here, as the law is normal and the grid finer than its width.

    Returns:
        Probabilities, (n, n). A row sums to less than 1 where the chain may leave the grid's box.

    Raises:
        ValueError: the grid is not one-dimensional, or its spacing exceeds the noise of a step.
    """
    if line.dimension != 1:
        raise ValueError(f"The transition matrix is for one dimension; the grid has {line.dimension}.")
    width = np.sqrt(2 * step / beta)
    if line.spacing[0] > width:
        low, high = line.box[0]
        enough = int(np.ceil((high - low) / width)) // 2 * 2 + 3
        raise ValueError(
            f"The grid's spacing {line.spacing[0]:.2g} exceeds a step's noise {width:.2g}; use n = {enough}."
        )
    (x,) = line.axes
    centres = x - step * gradient(line.points)[0]
    z = (x - centres[:, None]) / width
    return np.exp(-0.5 * z**2) / (np.sqrt(2 * np.pi) * width) * line.weights


def stationary_density(gradient: Gradient, line: Grid, step: float, beta: float = 1.0) -> np.ndarray:
    """The density that `langevin` samples in one dimension, with the bias of its step: (n,) on the grid.

    A chain that may leave the box for good has none; this is then the law of a chain that is kept inside.

    Raises:
        ValueError: as for `transition_matrix`.
    """
    moves = transition_matrix(gradient, line, step, beta)
    moves /= moves.sum(axis=1, keepdims=True)
    # p = p P, and the p sum to 1: as many equations as unknowns once one of the first kind, which are dependent, goes.
    equations = moves.T - np.eye(len(moves))
    equations[0] = 1
    right = np.zeros(len(moves))
    right[0] = 1
    return np.linalg.solve(equations, right) / line.weights
