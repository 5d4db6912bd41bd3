"""Checkers for the exercises of the chapter on the gradient of local entropy."""

import numpy as np
from scipy.optimize import minimize_scalar

from esgd_minimal.toy.estimator import averaging_weights, noise_for, quadratic_error


def check_steps_in_average(averaging: float, langevin_steps: int, answer: float) -> str:
    """Is `answer` the mean number of steps Σ w_ℓ ℓ that the positions in μ have behind them?"""
    weights = averaging_weights(averaging, langevin_steps)
    mean = float(weights @ np.arange(langevin_steps + 1))
    if np.isclose(answer, mean, rtol=1e-3):
        return f"Yes. It is {mean:.4g} of {langevin_steps} steps; the start alone has the weight {weights[0]:.3g}."
    swapped = averaging_weights(1 - averaging, langevin_steps) @ np.arange(langevin_steps + 1)
    if np.isclose(answer, swapped, rtol=1e-3):
        return "That is the answer for 1 − α: in μ ← (1 − α) μ + α x' the new position has the weight α."
    if np.isclose(answer, weights[1:] @ np.arange(langevin_steps), rtol=1e-3):
        return "One off: the first position that enters μ has one step behind it, not none."
    if np.isclose(answer, langevin_steps - (1 - averaging) / averaging, rtol=1e-3):
        return "Nearly: that is L − (1 − α)/α, right for a long loop. In a short one the start still counts."
    return "Not yet. Weigh each position's number of steps by its weight in μ, (1 − α)^L for the start."


def check_best_averaging(
    curvature: float, gamma: float, beta: float, langevin_steps: int, langevin_lr: float, distance: float, answer: float
) -> str:
    """Is `answer` the α with the least mean squared error of μ on a quadratic, where |x − ⟨x'⟩| is `distance`?"""

    def error(averaging: float) -> float:
        weights = averaging_weights(averaging, langevin_steps)
        setting = {"langevin_lr": langevin_lr, "noise": noise_for(beta), "distance": distance}
        return quadratic_error(curvature, gamma, weights, **setting)

    if not 0 < answer <= 1:
        return f"α lies in (0, 1]; yours is {answer:g}."
    best = minimize_scalar(lambda log: error(np.exp(log)), bounds=(np.log(1e-4), 0.0), method="bounded")
    alpha = float(np.exp(best.x))
    if error(answer) <= 1.001 * best.fun:
        return f"Yes. The best is α = {alpha:.3g}, and your error is within a thousandth of its error."
    if answer > alpha:
        return "Smaller: your average forgets the start faster than it must, and pays in variance."
    return "Larger: your average is quieter than it must be, and too much of the start is still in it."
