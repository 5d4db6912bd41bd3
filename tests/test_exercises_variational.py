"""The checker of the chapter on variational inference says yes to what is right, and gives the fitting hint."""

import numpy as np
import pytest

from esgd_minimal.exercises.variational_inference import check_gradient


def right(gradient, m, s, x, gamma, beta, xi):
    slope = gradient(m + s * xi)
    return slope + gamma * (m - x), s * xi * slope + gamma * s**2 - 1 / beta


def changed(change):
    def estimate(gradient, m, s, x, gamma, beta, xi):
        return change(*right(gradient, m, s, x, gamma, beta, xi), m, s, x, gamma, beta)

    return estimate


def at_the_mean(gradient, m, s, x, gamma, beta, xi):
    return gradient(m) + gamma * (m - x), s * xi * gradient(m) + gamma * s**2 - 1 / beta


@pytest.mark.parametrize(
    ("estimate", "answer"),
    [
        (right, "Yes."),
        (changed(lambda a, b, m, s, x, g, beta: (-a, -b)), "Turn the signs"),
        (changed(lambda a, b, m, s, x, g, beta: (a - g * (m - x), b - g * s**2 + 1 / beta)), "prior is missing"),
        (changed(lambda a, b, m, s, x, g, beta: (a, b / s)), "by log s it is s times that"),
        (changed(lambda a, b, m, s, x, g, beta: (a, b + 1 / beta - 1)), "Right at β = 1"),
        (changed(lambda a, b, m, s, x, g, beta: (a, 2 * b)), "the draw itself"),
        (at_the_mean, "not at the mean"),
        (changed(lambda a, b, m, s, x, g, beta: (2 * a, b)), "Not yet"),
        (changed(lambda a, b, m, s, x, g, beta: a), "Two arrays"),
        (changed(lambda a, b, m, s, x, g, beta: (a.mean(), b.mean())), "the shape of m"),
    ],
)
def test_check_gradient(estimate, answer):
    reply = check_gradient(estimate)
    assert answer.lower() in reply.lower()


def test_only_what_is_right_is_told_yes():
    rng = np.random.default_rng(1)
    noisy = changed(lambda a, b, *_: (a + 1e-3 * rng.normal(size=a.shape), b))
    assert not check_gradient(noisy).startswith("Yes")
