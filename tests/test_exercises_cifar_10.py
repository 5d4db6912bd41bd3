"""The checker of the chapter on CIFAR-10 says yes to what is right, and gives the hint that fits what is wrong."""

import pytest

from esgd_minimal.exercises.cifar_10 import check_steps

SGD, SAM, OUTER = 70_200, 35_100, 3_510  # 45,000 images make 351 full batches of 128


@pytest.mark.parametrize(
    ("steps", "answer"),
    [
        ((SGD, SAM, OUTER), "Yes. For 70,200 gradients, Entropy-SGD moves x 3,510 times."),
        ((78_000, SAM, OUTER), "validation images"),
        ((70_400, SAM, OUTER), "not full waits"),
        ((1, SAM, OUTER), "one step a gradient"),
        ((SGD, SGD, OUTER), "two gradients for each"),
        ((SGD, 2 * SGD, OUTER), "budget is gradients"),
        ((SGD, 1, OUTER), "How many gradients does one step of SAM"),
        ((SGD, SAM, 3_342), "spare gradient"),
        ((SGD, SAM, 10), "moves once after 20"),
    ],
)
def test_steps(steps, answer):
    assert answer in check_steps(*steps)
