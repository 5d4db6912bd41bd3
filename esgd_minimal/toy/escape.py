"""How long a chain stays in a well: by simulation, exactly in one dimension, and by Kramers' formula."""

from collections.abc import Callable

import numpy as np
from scipy.interpolate import CubicSpline

from esgd_minimal.toy.grids import Grid
from esgd_minimal.toy.landscapes import Energy, hessian
from esgd_minimal.toy.langevin import Gradient


def arrival_steps(
    gradient: Gradient,
    x0: np.ndarray,
    step: float,
    arrived: Callable[[np.ndarray], np.ndarray],
    beta: float = 1.0,
    *,
    rng: np.random.Generator,
    max_steps: int = 10**6,
) -> np.ndarray:
    """How many steps each chain of `langevin` takes until `arrived`, (d, m) → (m,), is true of it for the first time.

    Returns:
        The numbers of steps, (n,); times the step η, they are times.

    Raises:
        ValueError: some chains have not arrived after `max_steps`.
    """
    x = np.array(x0, dtype=float)
    scale = np.sqrt(2 * step / beta)
    steps = np.zeros(x.shape[1], dtype=int)
    waiting = np.arange(x.shape[1])  # which chains the columns of x are
    for k in range(1, max_steps + 1):
        x += scale * rng.standard_normal(x.shape) - step * gradient(x)
        done = arrived(x)
        if np.any(done):
            steps[waiting[done]] = k
            x, waiting = x[:, ~done], waiting[~done]
            if len(waiting) == 0:
                return steps
    raise ValueError(f"{len(waiting)} of {len(steps)} chains have not arrived after {max_steps} steps.")


def mean_first_passage_time(energy: Energy, line: Grid, start: float, target: float, beta: float = 1.0) -> float:
    """The mean time until dX = −f′(X) dt + √(2/β) dW first reaches `target`, from `start`, in one dimension.

    For target > start it is β ∫_start^target e^{βf(y)} ∫_{−∞}^y e^{−βf(z)} dz dy; the inner integral
    begins where the grid does, which should be where the Gibbs measure has no mass left.

    Raises:
        ValueError: the grid is not one-dimensional, or start or target lies outside it.
    """
    if line.dimension != 1:
        raise ValueError(f"The mean first passage time is for one dimension; the grid has {line.dimension}.")
    low, high = line.box[0]
    if not (low <= start <= high and low <= target <= high):
        raise ValueError(f"start and target must lie in the grid's box, [{low}, {high}]; got {start} and {target}.")
    mirror = 1 if start <= target else -1
    z = mirror * line.axes[0][::mirror]  # so that the target lies to the right
    f = energy(mirror * z[None])
    mass_below = CubicSpline(z, np.exp(-beta * (f - np.min(f)))).antiderivative()
    y = np.linspace(mirror * start, mirror * target, 4 * len(z) + 1)
    resistance = np.exp(beta * (energy(mirror * y[None]) - np.min(f))) * mass_below(y)
    return float(beta * CubicSpline(y, resistance).integrate(y[0], y[-1])) if start != target else 0.0


def kramers_rate(energy: Energy, minimum: np.ndarray, saddle: np.ndarray, beta: float = 1.0) -> float:
    """Escapes per unit of time from a well over a saddle, by the formula of Kramers (1940) and Eyring.

    |λ₋|/2π · √(det H(minimum) / |det H(saddle)|) · e^{−β (f(saddle) − f(minimum))}, with H the Hessian and
    λ₋ its one negative eigenvalue at the saddle. It is right to a factor 1 + O(1/β).

    Args:
        minimum, saddle: the two points, (d,) each.

    Raises:
        ValueError: the Hessian's signs are not those of a minimum and of a saddle with one way down.
    """
    ends = np.stack([minimum, saddle], axis=1).astype(float)
    f = energy(ends)
    at_minimum, at_saddle = np.linalg.eigvalsh(np.moveaxis(hessian(energy)(ends), -1, 0))
    if not np.all(at_minimum > 0):
        raise ValueError(f"{tuple(minimum)} is not a minimum: the curvatures there are {at_minimum}.")
    if not (at_saddle[0] < 0 and np.all(at_saddle[1:] > 0)):
        raise ValueError(f"{tuple(saddle)} is not a saddle with one way down: the curvatures there are {at_saddle}.")
    prefactor = -at_saddle[0] / (2 * np.pi) * np.sqrt(np.prod(at_minimum) / -np.prod(at_saddle))
    return float(prefactor * np.exp(-beta * (f[1] - f[0])))
