"""Checkers for the chapter on convergence rate and stability."""

import numpy as np

from esgd_minimal.toy.quadratic_rates import Settings, influence, steps_until_unstable


def check_last_epoch(
    answer: float, updates: int, *, curvature: float, gamma: float, scoping: float, langevin_lr: float
) -> str:
    """After how many epochs, of so many outer steps, does a growing scope make a direction unstable?"""
    steps = steps_until_unstable(curvature, gamma, scoping, langevin_lr)
    truth = steps / updates
    if not (np.isfinite(answer) and answer > 0):
        return "A positive number of epochs is wanted."
    if np.isclose(answer, truth, rtol=2e-3):
        return f"Yes. It takes {steps} outer steps, {truth:.2f} epochs."
    if np.isclose(answer, steps, rtol=2e-3):
        return "That is the number of outer steps. How many epochs are they?"
    slips = {
        "You left out the curvature: it takes its part of the room, 2/η' − λ.": (0.0, 2 / langevin_lr),
        "The chain is unstable from η'(λ + γ) = 2 on; from 1 on it only changes sides.": (curvature, 1 / langevin_lr),
        "The spring adds to the curvature: the limit on γ is 2/η' − λ.": (-curvature, 2 / langevin_lr),
    }
    for hint, (taken, limit) in slips.items():
        room = (limit - taken) / gamma
        if room > 1 and np.isclose(answer, np.log(room) / np.log1p(scoping) / updates, rtol=2e-3):
            return hint
    return f"Too {'early' if answer < truth else 'late'}. Solve η'(λ + γ₀ (1 + γ₁)^t) = 2 for t."


def check_loop_length(answer: int, share: float, *, gamma: float, langevin_lr: float, averaging: float) -> str:
    """Is this the shortest loop whose μ is, without noise, at least so far on the way to ⟨x'⟩?

    In every direction with λ ≥ 0 and η'(λ + γ) ≤ 1; beyond, where the chain overshoots, it can be slow again.
    """

    def reached(length: int) -> float:
        settings = Settings(gamma, 1.0, length, langevin_lr, averaging)
        return langevin_lr * gamma * float(np.sum(influence(0.0, settings)))  # 1 − s, where λ = 0

    if not (np.isfinite(answer) and answer >= 1 and answer == int(answer)):
        return "A loop has a whole number of steps, 1 or more."
    here = reached(int(answer))
    if here < share:
        return f"Too short: in a flat direction μ has gone {here:.0%} of the way. That is where the chain is slowest."
    if answer > 1 and (shorter := reached(int(answer) - 1)) >= share:
        return f"Long enough, but one step less gets to {shorter:.1%} already."
    return f"Yes. In a flat direction, the slowest, μ has gone {here:.1%} of the way."
