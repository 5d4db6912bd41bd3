"""Checkers for the exercises of the chapter on Entropy-SGD on toy landscapes."""

from typing import Any

import numpy as np

from esgd_minimal.toy.optimizers import entropy_sgd


def check_disguise(
    lr: float, averaging: float, langevin_lr: float, noise: float, step: float, temperature: float
) -> str:
    """With L = 1, is Entropy-SGD with these parameters Langevin dynamics with this step and this temperature?

    The truth is measured: what one outer step makes of a gradient of 1, and of a draw of 1.
    """

    def moved(slope: float, draw: float) -> float:
        start, draws = np.zeros((1, 1)), np.full((1, 1, 1, 1), draw)
        loop: dict[str, Any] = {"langevin_steps": 1, "langevin_lr": langevin_lr, "averaging": averaging, "noise": noise}
        run = entropy_sgd(lambda x: np.full_like(x, slope), start, lr, 1, gamma=1.0, draws=draws, **loop)
        return float(run.x[-1, 0, 0])

    true_step = -moved(1.0, 0.0)
    true_temperature = moved(0.0, 1.0) ** 2 / (2 * true_step)
    if not (np.isfinite(step) and np.isfinite(temperature) and step > 0 and temperature >= 0):
        return "A step is a positive number, and a temperature one that is not negative."
    if not np.isclose(step, true_step, rtol=1e-6):
        if np.isclose(step, langevin_lr, rtol=1e-6):
            return "That is the step of x′. The weights x follow only a part of it: count both lines that come after."
        if np.isclose(step, lr * langevin_lr, rtol=1e-6):
            return "Nearly: μ begins at x, and line 6 takes it only a part of the way to x′."
        return "Not the step yet. How far does x move, in all, where the gradient is 1 and the draw 0?"
    if np.isclose(temperature, true_temperature, rtol=1e-6):
        return f"Yes. It is Langevin dynamics with the step {true_step:.4g}, at the temperature {true_temperature:.4g}."
    if np.isclose(temperature, noise**2 / 2, rtol=1e-6):
        return "The step is right. That is the temperature at which x′ moves; x takes a smaller share of the kick."
    if np.isclose(temperature, 2 * true_temperature, rtol=1e-6):
        return "The step is right. In the temperature a factor of 2 is missing: the kick is √(2hT) ξ."
    return "The step is right. For the temperature, set the kick that x gets from a draw equal to √(2hT)."
