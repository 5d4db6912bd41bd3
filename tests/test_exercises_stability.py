"""The checker of the chapter on uniform stability says yes to what is right, and gives the hint that fits."""

import pytest

from esgd_minimal.exercises.generalization_by_stability import check_decay


def right(steps, lr, decay, examples, lipschitz):
    return 2 * lipschitz / (decay * examples) * (1 - (1 - lr * decay) ** steps)


@pytest.mark.parametrize(
    ("bound", "answer"),
    [
        (right, "Yes."),
        (lambda *a: right(*a) / 2, "Half of it"),
        (lambda *a: right(*a) * a[-1], "bound on the loss"),
        (lambda T, lr, decay, N, G: 2 * G * lr * T / N, "without decay"),
        (lambda T, lr, decay, N, G: 2 * G / (decay * N), "limit of many steps"),
        (lambda T, lr, decay, N, G: right(T, lr, -decay, N, G), "1 − ηλ, not 1 + ηλ"),
        (lambda *a: 1.5 * right(*a), "not the best"),
        (lambda *a: 0.1, "Too small somewhere"),
        (lambda *a: "far", "got an error"),
        (lambda steps: steps, "got an error"),
    ],
)
def test_decay(bound, answer):
    assert answer in check_decay(bound)
