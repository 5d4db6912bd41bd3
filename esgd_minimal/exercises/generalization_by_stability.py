"""Checker for an exercise of the chapter on uniform stability."""

from collections.abc import Callable

import numpy as np


def check_decay(bound: Callable) -> str:
    """Does bound(steps, lr, decay, examples, lipschitz) bound E|x − x̃| for SGD with weight decay on convex losses?

    The step is x ← x − η (∇f(x) + λ x), with η (λ + B/2) ≤ 1; from a common start.
    """
    cases = [(1, 0.5, 0.1, 50, 1.0), (40, 0.5, 0.1, 50, 1.0), (400, 0.2, 0.3, 20, 3.0), (7, 1.0, 0.5, 10, 2.0)]
    try:
        found = np.array([float(bound(*case)) for case in cases])
    except (TypeError, ValueError) as problem:
        return f"One number is wanted for each call; got an error: {problem}"
    exact = np.array([_recursion(*case) for case in cases])

    def same(others: np.ndarray) -> bool:
        return np.allclose(found, others, rtol=1e-6)

    if same(exact):
        return "Yes. It agrees with the recursion, step for step, and it stops growing at 2G/(λN)."
    if same(exact / 2):
        return "Half of it: the two members' gradients on the odd example may point in opposite directions."
    if same(np.array([G for *_, G in cases]) * exact):
        return "This is the bound on the loss; the distance is asked for, without the last factor G."
    if same(np.array([2 * G * lr * steps / N for steps, lr, _, N, G in cases])):
        return "This is the bound without decay. With it, a step shrinks every difference by the factor 1 − ηλ."
    if same(np.array([2 * G / (decay * N) for _, _, decay, N, G in cases])):
        return "This is the limit of many steps. How is it approached?"
    if same(np.array([_recursion(steps, lr, -decay, N, G) for steps, lr, decay, N, G in cases])):
        return "The decay pulls the members together: 1 − ηλ, not 1 + ηλ."
    if np.all(found >= exact - 1e-12):
        return "True, but not the best: follow δ ← (1 − ηλ) δ + 2ηG/N from δ = 0."
    return "Too small somewhere to be a bound. Write δ after a step in terms of δ before it, then sum."


def _recursion(steps: int, lr: float, decay: float, examples: int, lipschitz: float) -> float:
    apart = 0.0
    for _ in range(steps):
        apart = (1 - lr * decay) * apart + 2 * lr * lipschitz / examples
    return apart
