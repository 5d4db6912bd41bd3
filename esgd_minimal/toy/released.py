"""Entropy-SGD as the paper's text has it, and as the two released programs have it: their differences as settings.

Read in Chaudhari et al. (2017), §4.2 and 4.3, and in ucla-vision/entropy-sgd: entropyoptim.lua and python/optim.py.
`optimizers.entropy_sgd` is Algorithm 1 itself; here are the programs that were run. Weight decay is left out: the
PyTorch program applies it in both loops, the Lua program in the inner loop only.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from esgd_minimal.toy.estimator import averaging_weights
from esgd_minimal.toy.langevin import Gradient
from esgd_minimal.toy.optimizers import Trajectory, iterate, require


@dataclass(frozen=True)
class Settings:
    """What the three versions disagree on; by default, the text's."""

    averaging: float = 0.75  # α in μ ← (1 − α) μ + α x'
    kick: float = 1.0  # x' gets kick · √η' ε ξ
    inner_momentum: float = 0.9  # Nesterov's, from rest in each inner loop
    spring_in_momentum: bool = True  # False: −γ(x − x') is added past the momentum
    outer_momentum: float = 0.9  # Nesterov's, on x − μ
    # ∇f(x), before the inner loop:
    first_gradient: Literal["not taken", "discarded", "starts momentum"] = "not taken"
    # t in γ₀ (1 + γ₁)^t at the first outer step; None: t stays 0
    clock: int | None = 0

    @property
    def spare(self) -> int:
        """Gradient evaluations of an outer step besides those of the inner loop."""
        return int(self.first_gradient != "not taken")

    def temperature(self, noise: float) -> float:
        """(kick · ε)² / 2, which the noise of line 5 is worth without momentum."""
        return (self.kick * noise) ** 2 / 2


_RELEASED = Settings(averaging=0.25, kick=np.sqrt(2), spring_in_momentum=False)  # what both programs have

PRESETS = {
    "paper": Settings(),
    "released_lua": replace(_RELEASED, outer_momentum=0.0, first_gradient="discarded", clock=1),
    "released_pytorch": replace(_RELEASED, first_gradient="starts momentum", clock=None),
}


def inner_loop(
    gradient: Gradient,
    x: np.ndarray,
    gamma: float,
    settings: Settings,
    *,
    langevin_lr: float,
    kicks: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """One inner loop from x: the positions x', and the momentum v at each of them.

    With g = ∇f(x') and v ← m v + g, the step is
    x' ← x' − η' (g + m v − γ (x − x')) + kick.
    If the spring is in the momentum, its pull is in g and not added again.

    Args:
        kicks: what the noise adds at each step, (L, d, n).

    Returns:
        Positions, the start included, and momenta: (L + 1, d, n) each.
    """
    positions, momenta = np.empty((2, len(kicks) + 1, *x.shape))
    positions[0], momenta[0] = x, 0
    m = settings.inner_momentum
    for k, kick in enumerate(kicks):
        x_prime = positions[k]
        g, pull = gradient(x_prime), gamma * (x - x_prime)
        if settings.spring_in_momentum:
            g, pull = g - pull, 0
        momenta[k + 1] = m * momenta[k] + g
        step = g + m * momenta[k + 1] - pull
        positions[k + 1] = x_prime - langevin_lr * step + kick
    return positions, momenta


def entropy_sgd_as(
    settings: Settings,
    gradient: Gradient,
    x0: np.ndarray,
    lr: float,
    steps: int,
    gamma: float,
    *,
    langevin_steps: int = 20,
    langevin_lr: float = 0.1,
    noise: float = 1e-4,
    scoping: float = 0.0,
    rng: np.random.Generator | None = None,
    draws: np.ndarray | None = None,
) -> Trajectory:
    """`steps` outer steps of the program with these settings, x ← x − η (d + m v) with d = x − μ and v ← m v + d.

    Arguments as for `optimizers.entropy_sgd`; the noise comes from `rng`, or from `draws`, (steps, L, d, n). The
    evaluations count every gradient that the program takes, also the one that it throws away.

    Raises:
        ValueError: a parameter out of its range, draws of the wrong shape, or noise with nothing to draw it from.
    """
    require("gamma", gamma, gamma >= 0, "0 or more")
    require("langevin_lr", langevin_lr, langevin_lr > 0, "positive")
    require("langevin_steps", langevin_steps, langevin_steps >= 1, "1 or more")
    require("noise", noise, noise >= 0, "0 or more")
    require("scoping", scoping, scoping >= 0, "0 or more")
    shape = (langevin_steps, *np.shape(x0))
    if draws is not None and draws.shape != (steps, *shape):
        raise ValueError(f"draws must have shape (steps, langevin_steps, d, n) = {(steps, *shape)}; got {draws.shape}.")
    if noise > 0 and draws is None and rng is None:
        raise ValueError(f"noise = {noise:g} needs an rng, or draws, to come from.")
    weights = averaging_weights(settings.averaging, langevin_steps)
    scale = settings.kick * np.sqrt(langevin_lr) * noise

    def normals(t: int) -> np.ndarray:
        if draws is not None:
            return draws[t]
        return rng.standard_normal(shape) if rng is not None else np.zeros(shape)

    def update(t: int, x: np.ndarray, v: np.ndarray):
        if settings.spare:
            first = gradient(x)
            if t == 0 and settings.first_gradient == "starts momentum":
                v = first
        scope = gamma * (1 + scoping) ** (0 if settings.clock is None else settings.clock + t)
        kicks = scale * normals(t)
        positions, _ = inner_loop(gradient, x, scope, settings, langevin_lr=langevin_lr, kicks=kicks)
        d = x - np.tensordot(weights, positions, 1)
        v = settings.outer_momentum * v + d
        return x - lr * (d + settings.outer_momentum * v), v

    return iterate(update, x0, lr, steps, cost=langevin_steps + settings.spare)
