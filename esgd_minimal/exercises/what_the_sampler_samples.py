"""Checker for the chapter on what the sampler really samples."""

from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from esgd_minimal.toy.released import PRESETS, Settings


def check_noise(noise: float) -> str:
    """Does this ε make the released inner loop, without momentum, run at temperature 1 (η' = 0.1, s = 3)?"""
    if not (np.isfinite(noise) and noise >= 0):
        return "ε is a number, and not negative."
    released = PRESETS["released_lua"]
    if _is(noise, _noise_for_one(released, 3.0)):
        return "Yes. Thermal noise and mini-batches together are worth temperature 1."
    if _is(noise, _noise_for_one(replace(released, kick=1.0), 3.0)):
        return "This is right for the text's line 5; the released program adds √2 times as much noise."
    if _is(noise, _noise_for_one(released, 0.0)):
        return "Right if gradients were exact. These have errors, which heat the chain too: by η' s²/2."
    if _is(noise, np.sqrt(2)):
        return "This is the text's ε for exact gradients: count the released program's √2, and the gradients' errors."
    here = _temperature(released, noise, 3.0)
    return f"Too {'hot' if here > 1 else 'cold'}: at this ε the chain's temperature is {here:.2f}. Two noises add up."


def _temperature(kind: Settings, noise: float, scale: float, langevin_lr: float = 0.1) -> float:
    return kind.temperature(noise) + langevin_lr * scale**2 / 2


def _noise_for_one(kind: Settings, scale: float) -> float:
    return brentq(lambda noise: _temperature(kind, noise, scale) - 1, 0.0, 10.0)


def _is(noise: float, wanted: float) -> bool:
    return abs(noise / wanted - 1) < 0.01
