"""The checker of the chapter on Entropy-SGD on toy landscapes: right answers, near misses, and nonsense."""

import numpy as np
import pytest

from esgd_minimal.exercises.entropy_sgd_on_toy_landscapes import check_disguise


@pytest.mark.parametrize(("lr", "averaging", "langevin_lr", "noise"), [(0.5, 0.75, 0.1, 1.4), (1.0, 0.1, 0.02, 0.3)])
def test_langevin_in_disguise(lr, averaging, langevin_lr, noise):
    def check(step, temperature):
        return check_disguise(lr, averaging, langevin_lr, noise, step, temperature)

    step, temperature = lr * averaging * langevin_lr, lr * averaging * noise**2 / 2
    assert check(step, temperature).startswith("Yes.")
    assert check(step * 1.01, temperature).startswith("Not the step yet")
    assert check(step, temperature * 1.01).startswith("The step is right. For the temperature")
    assert check(step, noise**2 / 2).startswith("The step is right. That is the temperature at which x′")
    assert check(step, 2 * temperature).startswith("The step is right. In the temperature a factor of 2")
    assert check(langevin_lr, temperature).startswith("That is the step of x′")
    if lr < 1:
        assert check(lr * langevin_lr, temperature).startswith("Nearly")
    for nonsense in ((-1.0, 1.0), (0.1, -1.0), (np.nan, 1.0), (0.1, np.inf)):
        assert check(*nonsense).startswith("A step is a positive number")


def test_without_averaging_the_weights_follow_the_chain():
    assert check_disguise(1.0, 1.0, 0.1, np.sqrt(2), 0.1, 1.0).startswith("Yes.")


def test_without_noise_the_temperature_is_zero():
    assert check_disguise(1.0, 1.0, 0.1, 0.0, 0.1, 0.0).startswith("Yes.")
