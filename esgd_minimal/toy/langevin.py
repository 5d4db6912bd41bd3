"""Langevin dynamics: gradient descent plus noise, and so a sampler of the Gibbs measure exp(−β f).

Many chains run at once: positions are (d, n), one column for each chain, and the recorded samples
(records, d, n). Random numbers come from an explicit generator, or are given as `draws`.
"""

from collections.abc import Callable, Iterator

import numpy as np

from esgd_minimal.toy.landscapes import Energy

Gradient = Callable[[np.ndarray], np.ndarray]

FAR = 1e8  # no Gibbs measure in two dimensions that anyone wants reaches so far: a chain out here does not return


class ChainDiverged(ValueError):
    """A chain ran away: its step is too long for the curvature that it met."""


def langevin(
    gradient: Gradient,
    x0: np.ndarray,
    step: float,
    n_steps: int,
    beta: float = 1.0,
    *,
    rng: np.random.Generator | None = None,
    draws: np.ndarray | None = None,
    record_every: int = 1,
    burn_in: int = 0,
) -> np.ndarray:
    """Unadjusted Langevin chains: x ← x − η ∇f(x) + √(2η/β) ξ, ξ normal.

    Stochastic-gradient Langevin dynamics (Welling and Teh, 2011) is this with
    a `noisy` gradient, and β = ∞ is gradient descent.

    Args:
        gradient: ∇f, (d, n) → (d, n).
        x0: where the chains start, (d, n).
        step: η.
        n_steps: how many steps each chain takes, `burn_in` included.
        beta: the inverse temperature β.
        rng: the generator of the normals ξ; or
        draws: the normals themselves, (n_steps, d, n).
        record_every: after `burn_in` steps, one position in so many is kept.

    Returns:
        The positions kept, (records, d, n); the start is not among them.

    Raises:
        ChainDiverged: a chain ran away; it says when, and which step to try.
        ValueError: an argument has the wrong shape, sign, or size, or rng and
            draws are both given or both missing.
    """
    x, samples = _start(x0, step, n_steps, beta, record_every, burn_in)
    scale = np.sqrt(2 * step / beta)
    move = np.empty_like(x)
    # In place: with many chains the normals are nearly all of the cost.
    with np.errstate(over="ignore", invalid="ignore"):  # divergence is reported
        for k, xi in enumerate(_normals(x.shape, n_steps, rng, draws), start=1):
            slope = gradient(x)
            _check_shape(slope, x)
            x -= np.multiply(slope, step, out=move)
            x += np.multiply(xi, scale, out=move)
            if not (x.min() > -FAR and x.max() < FAR):  # true of nan as well
                raise _diverged(gradient, x, x0, step, k)
            if k > burn_in and (k - burn_in) % record_every == 0:
                samples[(k - burn_in) // record_every - 1] = x
    return samples


def metropolis(
    energy: Energy,
    gradient: Gradient,
    x0: np.ndarray,
    step: float,
    n_steps: int,
    beta: float = 1.0,
    *,
    rng: np.random.Generator,
    record_every: int = 1,
    burn_in: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Metropolis-adjusted Langevin chains (MALA): each step of `langevin` is a proposal, accepted or refused.

    The proposal y is accepted with probability min(1, e^{−β f(y)} q(x|y) / e^{−β f(x)} q(y|x)), where
    q(y|x) is the density of the step from x to y. This makes exp(−β f) exactly stationary for every step η.

    Args: as for `langevin`, and the energy f, (d, n) → (n,).

    Returns:
        The positions kept, (records, d, n), and for each chain the share of proposals accepted, (n,).

    Raises:
        ValueError: an argument has the wrong shape, sign, or size, or the energy of a start is not finite.
    """
    x, samples = _start(x0, step, n_steps, beta, record_every, burn_in)
    scale = np.sqrt(2 * step / beta)
    if not scale > 0:
        raise ValueError(f"Metropolis's rule needs a finite beta; got {beta}.")
    f, slope = energy(x), gradient(x)
    _check_shape(slope, x)
    if not np.all(np.isfinite(f)):
        raise ValueError(f"A chain must start where the energy is finite; it is {f[~np.isfinite(f)][0]} at a start.")
    accepted = np.zeros(x.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):  # a proposal where the energy overflows is refused
        for k, xi in enumerate(_normals(x.shape, n_steps, rng, None), start=1):
            y = x - step * slope + scale * xi
            f_y, slope_y = energy(y), gradient(y)
            # q(y|x) is the density of ξ; q(x|y) that of the normal which would have led from y to x.
            xi_back = (x - y + step * slope_y) / scale
            log_ratio = -beta * (f_y - f) + 0.5 * np.sum(xi**2 - xi_back**2, axis=0)
            accept = np.log1p(-rng.random(len(f))) < log_ratio  # false where the ratio is NaN
            x, slope, f = (np.where(accept, new, old) for new, old in ((y, x), (slope_y, slope), (f_y, f)))
            accepted += accept
            if k > burn_in and (k - burn_in) % record_every == 0:
                samples[(k - burn_in) // record_every - 1] = x
    return samples, accepted / n_steps


def noisy(gradient: Gradient, scale: float, rng: np.random.Generator) -> Gradient:
    """A stochastic gradient: ∇f(x) + s ξ, with fresh standard normals ξ at each call, as if from a mini-batch."""
    if not scale >= 0:
        raise ValueError(f"The scale of the gradient's noise must not be negative; got {scale}.")

    def stochastic_gradient(x: np.ndarray) -> np.ndarray:
        return gradient(x) + scale * rng.standard_normal(np.shape(x))

    return stochastic_gradient


def _start(
    x0: np.ndarray, step: float, n_steps: int, beta: float, record_every: int, burn_in: int
) -> tuple[np.ndarray, np.ndarray]:
    """Check the arguments; a copy of the start, and room for the samples."""
    x = np.array(x0, dtype=float, order="C")
    if x.ndim != 2:
        raise ValueError(f"The chains' starts must have shape (d, n), one column for each chain; got {x.shape}.")
    if not np.all(np.abs(x) < FAR):
        raise ValueError(f"The chains must start at finite points with |x| < {FAR:g}.")
    if not (0 < step < np.inf):
        raise ValueError(f"The step must be positive and finite; got {step}.")
    if not beta > 0:
        raise ValueError(f"beta must be positive; got {beta}.")
    if not 0 <= burn_in < n_steps:
        raise ValueError(f"burn_in must leave some of the {n_steps} steps; got {burn_in}.")
    if not 1 <= record_every <= n_steps - burn_in:
        raise ValueError(f"record_every must lie between 1 and the {n_steps - burn_in} steps left; got {record_every}.")
    return x, np.empty(((n_steps - burn_in) // record_every, *x.shape))


def _check_shape(slope: np.ndarray, x: np.ndarray) -> None:
    if np.shape(slope) != x.shape:
        raise ValueError(f"The gradient must keep the shape of the points, {x.shape}; got {np.shape(slope)}.")


def _normals(
    shape: tuple[int, ...], n_steps: int, rng: np.random.Generator | None, draws: np.ndarray | None
) -> Iterator[np.ndarray]:
    """The standard normals of each step, from the generator (into one buffer) or as they were given."""
    if (rng is None) == (draws is None):
        raise ValueError("Give either a generator, rng, or the standard normals themselves, draws.")
    if rng is not None:
        buffer = np.empty(shape)
        for _ in range(n_steps):
            yield rng.standard_normal(out=buffer)
    elif draws is not None:
        if np.shape(draws) != (n_steps, *shape):
            raise ValueError(f"draws must have shape (n_steps, d, n) = {(n_steps, *shape)}; got {np.shape(draws)}.")
        yield from draws


def _diverged(gradient: Gradient, x: np.ndarray, x0: np.ndarray, step: float, k: int) -> ChainDiverged:
    """The error to raise when a chain is far out, or not finite any more."""
    gone = np.count_nonzero(~np.all(np.abs(x) < FAR, axis=0))
    return ChainDiverged(
        f"{gone} of {x.shape[1]} chains diverged by step {k}: the step {step:g} is too long for "
        f"the curvature they met. Try a step of {_calm_step(gradient, x0, step):.2g}."
    )


def _calm_step(gradient: Gradient, x0: np.ndarray, step: float) -> float:
    """A quarter of `step`, and halved until plain gradient descent from x0 comes no farther out than it began."""
    step /= 4
    reach = 2 * np.max(np.abs(x0)) + 1
    while step > 1e-15:
        x = np.array(x0, dtype=float)
        for _ in range(20):
            x -= step * gradient(x)
        if np.all(np.abs(x) < reach):
            break
        step /= 2
    return step
