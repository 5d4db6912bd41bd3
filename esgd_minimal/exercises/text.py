"""Checkers for the chapter on text."""

import numpy as np

from esgd_minimal.deep.experiments import EXPERIMENTS

WAR = EXPERIMENTS["char-lstm"].methods


def check_gain(percent: float) -> str:
    """By how many percent is Entropy-Adam's true test perplexity lower than Adam's, if Table 1 is in nats?"""
    if not (np.isfinite(percent) and percent > 0):
        return "It is lower, so the answer is a percentage above 0."
    ours, adam = _published("entropy-adam").value, _published("adam").value
    true = 100 * (1 - np.exp(ours - adam))
    if _is(percent, true):
        return "Yes. Perplexities are compared by their ratio, which is the exponential of the difference in nats."
    if _is(percent, true / 100):
        return "This is a share; a percentage is asked for."
    if _is(percent, 100 * (1 - ours / adam)):
        return "This is the ratio of the two numbers in nats. A perplexity is e to the nats."
    if _is(percent, 100 * (1 - 2 ** (ours - adam))):
        return "This takes 2 to the nats. 2 goes with bits, e with nats."
    if _is(percent, 100 * (np.exp(adam - ours) - 1)):
        return "This is by how much Adam's is the higher, in percent of Entropy-Adam's. Turn it round."
    return f"Too {'much' if percent > true else 'little'}. First both perplexities, e to the nats; then their ratio."


def check_factor(factor: float) -> str:
    """How many times Entropy-Adam's gradients are Adam's, by Table 1's epochs, if all that were taken are counted?"""
    if not (np.isfinite(factor) and factor > 0):
        return "A factor is a number above 0."
    L = WAR["entropy-adam"].settings["langevin_steps"]
    ours, adam = _published("entropy-adam").epochs, _published("adam").epochs
    run = WAR["adam"].epochs
    true = adam / (ours * (L + 1) / L)
    if _is(factor, true):
        return f"Yes. Counting what was thrown away makes {ours:g} epochs {ours * (L + 1) / L:g}."
    if _is(factor, adam / ours):
        return "Nearly. The program takes one gradient more before each chain, and throws it away. Count it."
    if _is(factor, run / ours) or _is(factor, run / ours * L / (L + 1)):
        return f"This takes the length of Adam's run, {run:g} epochs. Table 1 gives where its best value was reached."
    if _is(factor, adam / ours * (L + 1) / L):
        return "You gave the extra gradient to the wrong side."
    if _is(factor, 1 / true):
        return "This is the inverse: Adam's gradients over Entropy-Adam's are asked for."
    return f"Table 1 has {ours:g} effective epochs and {adam:g}. How many gradients does a chain of {L} really take?"


def _published(method: str):
    return WAR[method].published


def _is(value: float, wanted: float) -> bool:
    return abs(value / wanted - 1) < 0.005
