"""Checkers for the chapter on smoothing, envelopes and their equation."""

import numpy as np

from esgd_minimal.toy.convolution import smooth
from esgd_minimal.toy.grids import grid
from esgd_minimal.toy.landscapes import wide_and_sharp
from esgd_minimal.toy.two_wells import round_wells, saturated

# What is asked: does smoothing have its minimum on the barrier, and does local entropy?
ASKED = {
    "only smoothing": (True, False),
    "only local entropy": (False, True),
    "both": (True, True),
    "neither": (False, False),
}


def check_swallowed(gamma: float) -> str:
    """Is this the scope at which the left minimum of `wide_and_sharp`, on the line, leaves the Moreau envelope?"""
    if not (np.isfinite(gamma) and gamma > 0):
        return "A scope is a positive number."
    z = np.linspace(-4.5, 4.5, 90_001)
    values = wide_and_sharp(z[None])
    left = np.argmin(np.where(z < 0, values, np.inf))
    right = np.argmin(values)
    far = np.abs(z - z[left]) > 0.1
    exact = np.max(2 * (values[left] - values[far]) / (z[far] - z[left]) ** 2)
    floors = 2 * (values[left] - values[right]) / (z[right] - z[left]) ** 2
    if abs(gamma / exact - 1) < 1e-3:
        return "Yes. Below this scope no descent on the envelope stops in the left valley."
    if abs(gamma / floors - 1) < 1e-3:
        return "Right for the deepest point. Is that the point z from which the parabola is hardest to hold up?"
    if abs(2 * gamma / exact - 1) < 0.02:
        return "Half of it: the pull is γ/2 |x − z|²."
    if abs(gamma * exact - 1) < 0.02:
        return "This is the time t = 1/γ; the scope is asked for."
    return f"Too {'large' if gamma > exact else 'small'}. Which parabola, hung from the left floor, just touches f?"


def check_knobs(asked: str, depth: float, barrier: float, half: float, width: float) -> str:
    """Do `round_wells` with these knobs do what is asked, at β = 1 and a reach of 1?

    `asked` says which of the two puts its minimum on the barrier: one of the keys of ASKED.
    """
    if asked not in ASKED:
        return f"The question is one of: {', '.join(ASKED)}."
    if not (min(depth, barrier, half, width) > 0 and width <= half / 2 and half <= 4 and max(depth, barrier) <= 50):
        return "Take positive knobs: heights of at most 50, half the distance at most 4, a width of at most half / 2."
    line = grid(((-12.0, 12.0),), 1201)
    values = round_wells(line.points, depth, barrier, half, width)
    middle = line.axes[0].size // 2
    merged = tuple(
        bool(relaxed[middle] < relaxed[middle + 1])
        for relaxed in (smooth(values, line, 1.0), smooth(saturated(values), line, 1.0))
    )
    if merged == ASKED[asked]:
        return f"Yes. On the barrier: {asked}."
    found = next(case for case, each in ASKED.items() if each == merged)
    if asked == "only smoothing" and barrier >= depth:
        hint = "This needs a barrier below the surroundings."
    elif asked == "only local entropy" and barrier <= depth:
        hint = "This needs a barrier above the surroundings."
    elif asked == "only smoothing" and merged[1]:
        hint = "Local entropy merges too: move the wells apart, beyond the reach, or deepen them."
    elif asked == "only local entropy" and not merged[1]:
        hint = "Local entropy does not merge: bring the wells within the reach, or deepen both."
    else:
        hint = "Only the ratio of the heights counts for smoothing; change the barrier."
    return f"On the barrier here: {found}. {hint}"
