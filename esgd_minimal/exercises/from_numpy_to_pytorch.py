"""Checkers for the chapter on the way from NumPy to PyTorch."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from esgd_minimal.deep.entropy_sgd import EntropySGD
from esgd_minimal.toy.optimizers import entropy_sgd

SETTINGS: dict[str, Any] = {"langevin_lr": 0.05, "langevin_steps": 4, "gamma": 0.5, "averaging": 0.75, "noise": 0.1}
LR = 0.8

Step = Callable[[dict[str, Any], np.ndarray, np.ndarray], None]


def check_clock(outer: int, inner: int, calls: int = 1234, langevin_steps: int = 20) -> str:
    """Are these the outer steps made, and the inner steps of the next chain, after so many calls of `step()`?"""
    weight = nn.Parameter(torch.zeros(1))
    optimizer = EntropySGD([weight], langevin_steps=langevin_steps)
    weight.grad = torch.zeros(1)
    for _ in range(calls):
        optimizer.step()
    run = optimizer.param_groups[0]
    if (outer, inner) == (run["outer"], run["inner"]):
        return f"Yes. {inner} of the {calls} gradients have not reached x."
    if outer * langevin_steps + inner != calls:
        return f"These are {outer} · {langevin_steps} + {inner} = {outer * langevin_steps + inner} calls, not {calls}."
    if inner == langevin_steps:
        return "The call that ends a chain also makes the outer step: the minute hand is back at 0."
    return f"The minute hand goes from 0 to {langevin_steps - 1}."


def check_step(step: Step) -> str:
    """Is step(state, gradient, draw) Entropy-SGD, one gradient a call?

    `state` is a dictionary, at first {"x_prime": the start}, and the step keeps there whatever it needs; after
    each call state["x_prime"] is where the next gradient is wanted. The numbers are in `SETTINGS` and `LR`.
    """
    truth = _walk()
    state: dict[str, Any] = {"x_prime": _START.copy()}
    calls = len(_DRAWS.reshape(-1, *_START.shape))
    places = []
    for k in range(calls):
        places.append(np.array(state["x_prime"], dtype=float))
        if places[-1].shape != _START.shape:
            return f'state["x_prime"] had the shape {_START.shape} and now has {places[-1].shape}.'
        if k == calls // 2:
            try:
                state = copy.deepcopy(state)  # as a checkpoint would
            except TypeError as problem:
                return f"The state cannot be saved ({problem}): keep numbers and arrays in it."
        gradient = _slope(places[-1])
        kept = gradient.copy()
        step(state, gradient, _DRAWS.reshape(-1, *_START.shape)[k])
        if not np.array_equal(gradient, kept):
            return "Your step changes the gradient that it is given, which is not its own."
    return _judgement(np.array(places), truth)


def _judgement(places: np.ndarray, truth: np.ndarray) -> str:
    L = SETTINGS["langevin_steps"]
    if _same(places, truth):
        return "Yes. It asks for every gradient where the two loops do."
    if np.array_equal(places[0], places[-1]):
        return 'Nothing moves: the step must change state["x_prime"].'
    for sentence, slip in {
        "Your noise is √2 too large: the text's line 5 has √η′ ε.": {"noise": SETTINGS["noise"] * 2**0.5},
        "Your noise has η′ ε where line 5 has √η′ ε.": {"noise": SETTINGS["noise"] * SETTINGS["langevin_lr"] ** 0.5},
        "There is no noise in it.": {"noise": 0.0},
        "α is read the other way: the newest place has the weight α.": {"averaging": 1 - SETTINGS["averaging"]},
        "There is no spring in it.": {"gamma": 0.0},
        "The chain is one step too long: count first, then compare with L.": {"langevin_steps": L + 1},
        "The chain is one step too short.": {"langevin_steps": L - 1},
    }.items():
        if _same(places, _walk(**slip)):
            return sentence
    if _same(places[:L], truth[:L]):
        return "The first chain is right. After it: does the outer step use μ, and do x′ and μ both start again from x?"
    wrong = next(k for k in range(L) if not _same(places[k], truth[k]))
    return f"The place for gradient {wrong + 1} is not where the two loops have it. Look at one Langevin step."


def _walk(**slip: Any) -> np.ndarray:
    """The places where the two loops ask for a gradient, one after the other."""
    settings = SETTINGS | slip
    places: list[np.ndarray] = []

    def watched(x: np.ndarray) -> np.ndarray:
        places.append(np.array(x))
        return _slope(x)

    flat = _DRAWS.reshape(-1, *_START.shape)
    outer = len(flat) // settings["langevin_steps"]
    draws = flat[: outer * settings["langevin_steps"]].reshape(outer, settings["langevin_steps"], *_START.shape)
    entropy_sgd(watched, _START, LR, outer, draws=draws, **settings)
    return np.array(places)


def _slope(x: np.ndarray) -> np.ndarray:
    """Of ¼ x² − log(1 + x²): two wells."""
    return x / 2 - 2 * x / (1 + x**2)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    n = min(len(a), len(b))
    return bool(np.allclose(a[:n], b[:n], rtol=0, atol=1e-10))


_START = np.array([[1.0, -2.0], [3.0, 0.25]])
_DRAWS = np.random.default_rng(0).standard_normal((6, SETTINGS["langevin_steps"], *_START.shape))
