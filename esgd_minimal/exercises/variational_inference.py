"""Checker for an exercise of the chapter on variational inference."""

from collections.abc import Callable

import numpy as np

from esgd_minimal.toy.landscapes import double_well_gradient
from esgd_minimal.toy.variational import Gaussian, reparameterized_gradient


def check_gradient(estimate: Callable) -> str:
    """Does estimate(gradient, m, s, x, gamma, beta, xi) return the slopes of J by m and by log s, from the draws xi?

    All of m, s, x and xi have shape (d, n), one draw a column, and so do both slopes.
    """
    rng = np.random.default_rng(0)
    m, x, xi = rng.normal(size=(3, 1, 6))
    s, gamma, beta = rng.uniform(0.3, 1.2, (1, 6)), 1.7, 2.5
    try:
        by_mean, by_log_std = (np.asarray(a) for a in estimate(double_well_gradient, m, s, x, gamma, beta, xi))
    except (TypeError, ValueError) as problem:
        return f"Two arrays are wanted, the slope by m and the slope by log s; got an error: {problem}"
    if by_mean.shape != m.shape or by_log_std.shape != m.shape:
        return f"Both slopes should have the shape of m, {m.shape}; got {by_mean.shape} and {by_log_std.shape}."
    right = reparameterized_gradient(double_well_gradient, Gaussian(m, s), x, gamma, xi[..., None], beta)
    pull, width = gamma * (m - x), gamma * s**2 - 1 / beta

    def same(first: np.ndarray, second: np.ndarray) -> bool:
        return np.allclose(by_mean, first) and np.allclose(by_log_std, second)

    if same(*right):
        return "Yes. Both slopes agree with those of the package, draw for draw."
    if same(-right[0], -right[1]):
        return "These are the slopes of the ELBO, which goes up; J = −ELBO goes down. Turn the signs."
    if same(right[0] - pull, right[1] - width):
        return "The divergence from the prior is missing: it adds γ (m − x) and γ s² − 1/β."
    if np.allclose(by_mean, right[0]) and np.allclose(by_log_std, right[1] / s):
        return "The second slope is by s. By log s it is s times that, since ds = s d(log s)."
    if np.allclose(by_mean, right[0]) and np.allclose(by_log_std, right[1] + 1 / beta - 1):
        return "Right at β = 1. The entropy of q has the weight 1/β in J."
    if np.allclose(by_mean, right[0]):
        return "The slope by m is right. For log s, differentiate f(m + s ξ): the draw itself comes in as a factor."
    if np.allclose(by_mean, double_well_gradient(m) + pull):
        return "The gradient is to be taken at the draw x' = m + s ξ, not at the mean."
    return "Not yet. Write x' = m + s ξ, differentiate f(x') by the chain rule, and add the slopes of KL/β."
