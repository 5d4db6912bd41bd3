"""The checkers of the chapter on Langevin dynamics: right answers, near misses, and nonsense."""

import numpy as np
import pytest

from esgd_minimal.exercises.langevin_dynamics import check_longest_step, check_step_for_temperature


@pytest.mark.parametrize("curvatures", [(1.0, 10.0), (3.0,), (0.5, 7.0, 2.0)])
@pytest.mark.parametrize("excess", [0.01, 0.5])
def test_the_longest_step(curvatures, excess):
    top = max(curvatures)
    right = 2 * excess / ((1 + excess) * top)
    assert check_longest_step(curvatures, excess, right).startswith("Yes.")
    assert check_longest_step(curvatures, excess, right * 1.05).startswith("Too long")
    assert check_longest_step(curvatures, excess, right * 0.9).startswith("The bias is within bounds")
    assert "first order" in check_longest_step(curvatures, excess, 2 * excess / top)
    for nonsense in (-1.0, 0.0, 2 / top, 100.0, np.nan):
        assert check_longest_step(curvatures, excess, nonsense).startswith("With that step the chain has no")
    if len(curvatures) > 1 and excess == 0.01:
        gentle = 2 * excess / ((1 + excess) * min(curvatures))
        assert "gentlest" in check_longest_step(curvatures, excess, gentle)


def test_the_step_for_a_temperature():
    right = 2 * 0.3 / 4**2
    assert check_step_for_temperature(4.0, 0.3, right).startswith("Yes.")
    assert "factor of 2" in check_step_for_temperature(4.0, 0.3, right / 2)
    assert "squared" in check_step_for_temperature(4.0, 0.3, 2 * 0.3 / 4)
    assert "gives the temperature 0.6." in check_step_for_temperature(4.0, 0.3, 2 * right)
    assert check_step_for_temperature(4.0, 0.3, -1.0) == "A step is positive."
