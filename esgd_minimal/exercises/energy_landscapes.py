"""Checkers for the exercises of the chapter on energy landscapes."""

import numpy as np

from esgd_minimal.toy.curvature import curvatures, stationary_points
from esgd_minimal.toy.grids import Box
from esgd_minimal.toy.landscapes import Energy, gradient


def check_largest_step(energy: Energy, minimum: np.ndarray, answer: float) -> str:
    """Is `answer` the step above which gradient descent no longer settles at this minimum?"""
    smallest, largest = curvatures(energy, np.asarray(minimum, dtype=float))[0]
    if np.isclose(answer, 2 / largest, rtol=1e-3):
        return f"Yes. The largest curvature there is {largest:.4g}, and 2 over that is {2 / largest:.4g}."
    if np.isclose(answer, 1 / largest, rtol=1e-3):
        return "Half of it: a step of 1/λ lands on the bottom, and one of twice that length just fails to come nearer."
    if np.isclose(answer, 2 / smallest, rtol=1e-3):
        return "That is the limit along the gentlest direction. The steepest one decides."
    if np.isclose(answer, 2 / (smallest + largest), rtol=1e-3):
        return "That is the step that shrinks the worst direction fastest, not the longest that still shrinks it."
    if np.isclose(answer, largest, rtol=1e-3):
        return "That is the curvature. What step does it allow?"
    return "Not yet. Take the Hessian at the minimum, its largest eigenvalue, and the proposition on the step."


def check_stationary_points(energy: Energy, box: Box, answer: np.ndarray) -> str:
    """Does `answer`, (2, k), hold every zero of the gradient in the box, once each?"""
    points = np.asarray(answer, dtype=float)
    if points.ndim != 2 or len(points) != len(box):
        return f"Give the points as the columns of an array of shape ({len(box)}, k); yours has shape {points.shape}."
    moving = np.max(np.abs(gradient(energy)(points)), axis=0) > 1e-6
    if np.any(moving):
        return f"At {np.round(points[:, moving][:, 0], 3)} the gradient is not zero: Newton's method had not arrived."
    distances = np.linalg.norm(points[:, :, None] - points[:, None, :], axis=0) + np.eye(points.shape[1])
    if np.any(distances < 1e-4):
        return "A point is there more than once: round the points, and keep one of each."
    truth = stationary_points(energy, box)
    negative = np.sum(curvatures(energy, truth)[0] < 0, axis=0)
    missing = np.min(np.linalg.norm(truth[:, :, None] - points[:, None, :], axis=0), axis=1, initial=np.inf) > 1e-4
    if np.any(missing):
        kind = ("minimum", "saddle", "maximum")[negative[missing][0]]
        return f"{np.sum(missing)} still to find, a {kind} among them: start Newton's method from more places."
    if points.shape[1] > truth.shape[1]:
        return "There are points outside the box among yours."
    minima, saddles, maxima = (int(np.sum(negative == k)) for k in range(3))
    return f"Yes. Minima, saddles, maxima: {minima} − {saddles} + {maxima} = {minima - saddles + maxima}."
