"""The checkers of the chapter on the gradient of local entropy: the truth passes, and each slip gets its own hint."""

import numpy as np
import pytest

from esgd_minimal.exercises.gradient_of_local_entropy import check_best_averaging, check_steps_in_average
from esgd_minimal.toy.estimator import averaging_weights


@pytest.mark.parametrize(("averaging", "steps"), [(0.25, 5), (0.75, 20), (0.1, 12)])
def test_the_steps_in_the_average(averaging, steps):
    count = np.arange(steps + 1)
    truth = averaging_weights(averaging, steps) @ count
    assert check_steps_in_average(averaging, steps, truth).startswith("Yes.")
    slips = (averaging_weights(1 - averaging, steps) @ count, truth + averaging_weights(averaging, steps)[0] - 1, 99.0)
    hints = [check_steps_in_average(averaging, steps, slip) for slip in slips]
    assert len(set(hints)) == 3
    assert not any(hint.startswith("Yes") for hint in hints)


def test_the_long_loop_formula_is_nearly_right_and_said_to_be():
    assert "Nearly" in check_steps_in_average(0.25, 5, 5 - 3)
    assert check_steps_in_average(0.75, 40, 40 - 1 / 3).startswith("Yes.")


def test_the_best_averaging():
    setting = {"curvature": 1.0, "gamma": 1.0, "beta": 1.0, "langevin_steps": 20, "langevin_lr": 0.1, "distance": 0.7}
    assert check_best_averaging(**setting, answer=0.0661).startswith("Yes.")  # found on a grid of α
    assert check_best_averaging(**setting, answer=0.75).startswith("Smaller")
    assert check_best_averaging(**setting, answer=0.01).startswith("Larger")
    assert check_best_averaging(**setting, answer=1.5).startswith("α lies in")
    cold = {**setting, "beta": 1e8}
    assert check_best_averaging(**cold, answer=1.0).startswith("Yes.")  # with no noise, forget as fast as you can
    assert check_best_averaging(**cold, answer=0.0661).startswith("Larger")
