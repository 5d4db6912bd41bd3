"""Checkers for the exercises of the chapter on Langevin dynamics."""

import numpy as np
from scipy.optimize import brentq

from esgd_minimal.toy.chain_laws import effective_beta, stationary_variance


def check_longest_step(curvatures: np.ndarray, excess: float, answer: float) -> str:
    """Is `answer` the longest step at which no variance exceeds the Gibbs measure's by more than `excess`, a share?"""
    curvatures = np.asarray(curvatures, dtype=float)
    limit = 2 / np.max(curvatures)

    def surplus(step: float) -> float:
        return float(np.max(stationary_variance(curvatures, step) * curvatures)) - 1

    truth = brentq(lambda step: surplus(step) - excess, 1e-12 * limit, (1 - 1e-12) * limit)
    if np.isclose(answer, truth, rtol=1e-3):
        return f"Yes. At η = {truth:.4g} the steepest direction has {100 * surplus(truth):.3g} % too much variance."
    if not 0 < answer < limit:
        return f"With that step the chain has no stationary law: it must lie between 0 and 2/λ = {limit:.4g}."
    if np.isclose(answer, truth * np.max(curvatures) / np.min(curvatures), rtol=1e-3):
        return "That is right for the gentlest direction. The steepest one has the largest share of bias."
    if np.isclose(answer, 2 * excess / np.max(curvatures), rtol=1e-3):
        return "Very near: that is the first order in η. Solve 1/(1 − ηλ/2) = 1 + excess exactly."
    if answer > truth:
        return f"Too long: the variance is {100 * surplus(answer):.3g} % too large along one direction."
    return f"The bias is within bounds there, {100 * surplus(answer):.3g} %. A longer step would do."


def check_step_for_temperature(scale: float, temperature: float, answer: float) -> str:
    """Is `answer` the step at which descent with gradient noise of standard deviation `scale` has this temperature?"""
    if not answer > 0:
        return "A step is positive."
    reached = 1 / effective_beta(np.inf, answer, scale)
    if np.isclose(reached, temperature, rtol=1e-3):
        return f"Yes. With the step {answer:.4g} the gradient's noise alone makes the temperature {reached:.4g}."
    if np.isclose(2 * reached, temperature, rtol=1e-3):
        return "A factor of 2 is missing: thermal noise of temperature T has the variance 2ηT in each step."
    if np.isclose(answer, 2 * temperature / scale, rtol=1e-3):
        return "Noise adds up by its variance, so the scale comes in squared."
    return f"That step gives the temperature {reached:.4g}. Compare what a step adds in variance: η² s² against 2ηT."
