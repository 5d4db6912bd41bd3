"""The checkers of the chapter from NumPy to PyTorch say yes to what is right, and hint at what is wrong."""

import numpy as np
import pytest

from esgd_minimal.exercises.from_numpy_to_pytorch import LR, SETTINGS, check_clock, check_step


@pytest.mark.parametrize(
    ("hands", "answer"),
    [
        ((61, 14), "Yes. 14 of the 1234"),
        ((61, 15), "1235 calls, not 1234"),
        ((60, 34), "from 0 to 19"),
        ((62, 0), "1240 calls"),
    ],
)
def test_clock(hands, answer):
    assert answer in check_clock(*hands)


def test_clock_at_an_outer_step():
    assert "back at 0" in check_clock(4, 5, calls=25, langevin_steps=5)
    assert "Yes. 0 of" in check_clock(5, 0, calls=25, langevin_steps=5)


def make(restart=("x_prime", "mu"), end="mu", kick=np.sqrt, at_once=False, keep=None, touch=False, **slip):
    """A solution with a slip."""
    s = SETTINGS | slip

    def step(state, gradient, draw):
        if "x" not in state:
            state.update(x=state["x_prime"], mu=state["x_prime"], inner=0, extra=keep)
        x, x_prime = state["x"], state["x_prime"]
        if touch:
            gradient += 1e-12
        x_prime = x_prime - s["langevin_lr"] * (gradient - s["gamma"] * (x - x_prime))
        x_prime = x_prime + kick(s["langevin_lr"]) * s["noise"] * draw
        state["mu"] = (1 - s["averaging"]) * state["mu"] + s["averaging"] * x_prime
        state["x_prime"] = x_prime
        state["inner"] += 1
        if state["inner"] == s["langevin_steps"]:
            state["x"] = x - LR * (x - state[end])
            for name in restart:
                state[name] = state["x"]
            state["inner"] = 0

    return step


@pytest.mark.parametrize(
    ("slip", "answer"),
    [
        ({}, "Yes. It asks for every gradient"),
        ({"noise": SETTINGS["noise"] * 2**0.5}, "√2 too large"),
        ({"kick": lambda eta: eta}, "has η′ ε"),
        ({"noise": 0.0}, "no noise"),
        ({"averaging": 0.25}, "other way"),
        ({"gamma": 0.0}, "no spring"),
        ({"gamma": -SETTINGS["gamma"]}, "gradient 3 is not"),  # the first step starts at x, where the spring is slack
        ({"langevin_steps": 5}, "one step too long"),
        ({"langevin_steps": 3}, "one step too short"),
        ({"restart": ("mu",)}, "The first chain is right"),
        ({"restart": ("x_prime",)}, "The first chain is right"),
        ({"end": "x_prime"}, "The first chain is right"),
        ({"keep": (k for k in range(3))}, "cannot be saved"),
        ({"touch": True}, "changes the gradient"),
    ],
)
def test_step(slip, answer):
    assert answer in check_step(make(**slip))


def test_step_that_does_nothing_or_changes_the_shape():
    assert "Nothing moves" in check_step(lambda state, gradient, draw: None)
    assert "shape" in check_step(lambda state, gradient, draw: state.update(x_prime=state["x_prime"].sum()))


def test_step_in_place_is_fine():
    """The same step, written as the PyTorch optimizer is."""

    def step(state, gradient, draw):
        y = state["x_prime"]
        if "x" not in state:
            state.update(x=y.copy(), mu=y.copy(), inner=0)
        y -= SETTINGS["langevin_lr"] * (gradient - SETTINGS["gamma"] * (state["x"] - y))
        y += np.sqrt(SETTINGS["langevin_lr"]) * SETTINGS["noise"] * draw
        state["mu"] += SETTINGS["averaging"] * (y - state["mu"])
        state["inner"] = (state["inner"] + 1) % SETTINGS["langevin_steps"]
        if state["inner"] == 0:
            state["x"] -= LR * (state["x"] - state["mu"])
            y[:] = state["x"]
            state["mu"][:] = state["x"]

    assert "Yes." in check_step(step)
