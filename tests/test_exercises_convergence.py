"""The checkers of the chapter on convergence: right answers, near misses, and nonsense."""

import numpy as np
import pytest

from esgd_minimal.exercises.convergence_and_stability import check_last_epoch, check_loop_length
from esgd_minimal.toy.optimizers import entropy_sgd

MNIST = {"gamma": 1e-4, "scoping": 1e-3, "langevin_lr": 0.1}


def epochs(limit, updates=468):
    return np.log(limit / 1e-4) / np.log(1.001) / updates


def test_the_last_epoch():
    def ask(answer):
        return check_last_epoch(answer, 468, curvature=15.0, **MNIST)

    assert ask(epochs(5.0)).startswith("Yes.")
    assert "outer steps. How many" in ask(epochs(5.0) * 468)
    assert "left out the curvature" in ask(epochs(20.0))
    assert "adds to the curvature" in ask(epochs(35.0))
    assert ask(epochs(4.0)).startswith("Too early")
    assert ask(epochs(6.0)).startswith("Too late")
    for nonsense in (0.0, -1.0, np.nan, np.inf):
        assert ask(nonsense).startswith("A positive number")
    gentle = check_last_epoch(epochs(7.0), 468, curvature=3.0, **MNIST)
    assert "only changes sides" in gentle


@pytest.mark.parametrize("gamma, averaging", [(0.5, 0.75), (2.0, 0.25), (1.0, 1.0)])
def test_the_loop_length_against_the_loop(gamma, averaging):
    """A chain that starts away from its mean, held by the spring alone: only the mean's place is different."""

    def share(length):
        # The slope of a constant tilt moves ⟨x'⟩ to −1/γ, in a flat direction.
        mu = entropy_sgd(np.ones_like, np.zeros((1, 1)), 1.0, 1, gamma, langevin_steps=length, averaging=averaging).x[
            -1, 0, 0
        ]
        return -mu * gamma

    right = next(length for length in range(1, 200) if share(length) >= 0.9)
    ask = {"share": 0.9, "gamma": gamma, "langevin_lr": 0.1, "averaging": averaging}
    assert check_loop_length(right, **ask).startswith("Yes.")
    assert check_loop_length(right - 1, **ask).startswith("Too short")
    assert check_loop_length(right + 1, **ask).startswith("Long enough")
    for nonsense in (0, 2.5, np.nan):
        assert check_loop_length(nonsense, **ask).startswith("A loop has")
