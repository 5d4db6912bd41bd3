"""Rescaled networks: the same function, and what the measures of flatness say."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from esgd_minimal.toy import rescaling
from esgd_minimal.toy.grids import grid
from esgd_minimal.toy.landscapes import gradient, hessian
from esgd_minimal.toy.local_entropy import local_entropy

POINTS = np.random.default_rng(0).uniform(0.2, 2, (2, 20))
FACTORS = np.geomspace(0.3, 4, 20)
ACTIVE = np.maximum(rescaling.INPUTS, 0)


@pytest.mark.parametrize("energy", [rescaling.product, rescaling.relu_network])
def test_the_loss_is_the_same_and_the_hessian_is_not(energy):
    there = rescaling.rescale(POINTS, FACTORS)
    assert_allclose(energy(there), energy(POINTS), rtol=1e-12)
    before, after = hessian(energy)(POINTS), hessian(energy)(there)
    assert_allclose(after[0, 0], before[0, 0] / FACTORS**2, rtol=1e-9)  # T⁻ᵀ H T⁻¹
    assert_allclose(after[1, 1], before[1, 1] * FACTORS**2, rtol=1e-9)
    assert_allclose(after[0, 1], before[0, 1], rtol=1e-9, atol=1e-12)
    assert np.abs(after[0, 0] / before[0, 0] - 1).max() > 1


def test_the_rectifier_network_is_the_loop_over_its_data():
    u, v = -0.7, 1.3
    loss = [0.5 * (v * max(u * z, 0) - y) ** 2 for z, y in zip(rescaling.INPUTS, rescaling.ANSWERS, strict=True)]
    assert_allclose(rescaling.relu_network(np.array([u, v])), np.mean(loss), rtol=1e-14)


def test_a_negative_factor_changes_the_rectifier_network():
    assert np.abs(rescaling.relu_network(-POINTS) - rescaling.relu_network(POINTS)).min() > 1e-3
    with pytest.raises(ValueError, match="positive"):
        rescaling.rescale(POINTS, -1.0)


@pytest.mark.parametrize(
    ("energy", "m", "kappa"),
    [
        (rescaling.product, 1.0, 1.0),
        (rescaling.relu_network, ACTIVE @ rescaling.ANSWERS / (ACTIVE @ ACTIVE), ACTIVE @ ACTIVE / 5),
    ],
)
def test_the_sharpness_of_a_minimum_is_its_squared_norm(energy, m, kappa):
    for u in (0.3, 1.0, 5.0):
        x = np.array([u, m / u])
        assert_allclose(gradient(energy)(x), 0, atol=1e-12)
        assert_allclose(rescaling.sharpness(energy, x), kappa * (x @ x), rtol=1e-10)


def test_in_its_own_units_nothing_changes():
    box = grid(((-3, 5), (-3, 5)), 201)
    x = np.array([0.8, 1.1])
    there = rescaling.rescale(x, 3.0)
    own = [rescaling.in_own_units(rescaling.product, point) for point in (x, there)]
    assert_allclose(own[1](box.points), own[0](box.points), rtol=1e-9, atol=1e-12)
    ones = np.ones((2, 1))
    relative = [local_entropy(f, ones, 1.0, box, 5.0)[0] for f in own]
    plain = [local_entropy(rescaling.product, p[:, None], 1.0, box, 5.0)[0] for p in (x, there)]
    assert abs(relative[0] - relative[1]) < 1e-10
    assert abs(plain[0] - plain[1]) > 0.1


def test_points_in_rows_are_refused():
    with pytest.raises(ValueError, match="one a column"):
        rescaling.product(np.zeros((5, 2)))
