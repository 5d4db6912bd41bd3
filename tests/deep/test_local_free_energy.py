"""Annealed importance sampling against closed forms: a flat loss, a quadratic, a network's bounds."""

import math

import pytest
import torch

from esgd_minimal.deep import digits
from esgd_minimal.deep.local_entropy import local_free_energy


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def quadratic(curvatures, center):
    """½ Σ λ (x − c)², and its exact φ at x for γ and β."""

    def energy(x):
        return (curvatures * (x - center) ** 2).sum(dim=1) / 2

    def exact(x, gamma, beta):
        moved = (curvatures * gamma / (curvatures + gamma) * (x - center) ** 2).sum(dim=1) / 2
        return moved + torch.log1p(curvatures / gamma).sum() / (2 * beta)

    return energy, exact


@pytest.fixture(scope="module")
def bowl():
    """200 directions with curvatures as a network has them, and three points."""
    curvatures = torch.cat([torch.logspace(-6, -2, 190), torch.logspace(-1, 1, 10)]).double()
    center = torch.randn(200, generator=generator(1), dtype=torch.double)
    x = center + 0.1 * torch.randn(3, 200, generator=generator(2), dtype=torch.double)
    return (*quadratic(curvatures, center), x)


def test_a_flat_loss_is_its_own_local_free_energy():
    found = local_free_energy(lambda x: 0 * x.sum(dim=1) + 1.5, torch.zeros(2, 5), 0.1, 3.0, generator())
    torch.testing.assert_close(found.value, torch.full((2,), 1.5))
    assert (found.error < 1e-6).all()


# The estimate of exp(−βφ) has no bias, and its relative error is below 0.1 here, so that φ's bias, half the square of
# it, is far below its standard error. Six comparisons, each within 7 standard errors of 64 chains: for Student's t with
# 63 degrees of freedom, 2e-9 each; much of it is left for weights that are not normal.


@pytest.fixture(scope="module", params=[(1.0, 100.0), (1.0, 20.0)])
def estimated(bowl, request):
    energy, exact, x = bowl
    found = local_free_energy(energy, x, *request.param, generator(), chains=64, temperatures=200, steps=6, step=0.15)
    return found, exact, x, *request.param


def test_a_quadratic_in_closed_form(estimated):
    found, exact, x, gamma, beta = estimated
    assert (beta * found.error < 0.1).all()
    assert ((found.value - exact(x, gamma, beta)).abs() < 7 * found.error).all()


def test_a_wrong_spring_or_a_wrong_temperature_is_seen(estimated):
    found, exact, x, gamma, beta = estimated
    for wrong in ((2 * gamma, beta), (gamma, 2 * beta)):
        assert ((found.value - exact(x, *wrong)).abs() > 14 * found.error).any()


def test_a_network_lies_between_its_bounds():
    """E f over the ball is never below φ (Jensen); and φ is at least the least loss there is, here 0."""
    training, _, _ = digits.split()
    networks = digits.Networks([0, 1])
    x = digits.vectors(networks)

    def energy(w):
        return digits.loss_at(networks, w, training)

    found = local_free_energy(energy, x, 1.0, 500.0, generator(), chains=4, temperatures=20)
    ball = x[:, None] + torch.randn(2, 64, x.shape[1], generator=generator()) / math.sqrt(500)
    smoothed = energy(ball.flatten(0, 1)).detach().view(2, 64).mean(dim=1)
    assert (found.value < smoothed).all() and (found.value > 0).all()


def test_it_repeats_with_the_seed_and_refuses_what_has_no_ball():
    def bowl(x):
        return (x**2).sum(dim=1)

    one, two = (local_free_energy(bowl, torch.ones(1, 3), 1.0, 1.0, generator(5)) for _ in range(2))
    assert torch.equal(one.value, two.value)
    for gamma, beta in ((0.0, 1.0), (1.0, -1.0)):
        with pytest.raises(ValueError, match="a positive γ and β"):
            local_free_energy(bowl, torch.ones(1, 3), gamma, beta, generator())
    with pytest.raises(ValueError, match="two chains or more; got 1"):
        local_free_energy(bowl, torch.ones(1, 3), 1.0, 1.0, generator(), chains=1)


def test_it_draws_where_x_is_and_not_on_the_default_device():
    def bowl(x):
        return (x**2).sum(dim=1)

    x = torch.ones(1, 3)
    there = local_free_energy(bowl, x, 1.0, 1.0, generator(5), temperatures=5)
    with torch.device("meta"):
        assert torch.equal(local_free_energy(bowl, x, 1.0, 1.0, generator(5), temperatures=5).value, there.value)
