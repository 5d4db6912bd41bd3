"""Replicas against quadrature, closed forms on quadratics, and the optimizers that they contain.

Each statistical check fails by chance about once in 1e6 runs.
"""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from esgd_minimal.toy import local_entropy as exact
from esgd_minimal.toy import replicas
from esgd_minimal.toy.grids import grid
from esgd_minimal.toy.landscapes import (
    double_well,
    double_well_gradient,
    gradient,
    quadratic,
    quadratic_gradient,
    wide_and_sharp,
    wide_and_sharp_gradient,
)
from esgd_minimal.toy.langevin import metropolis
from esgd_minimal.toy.optimizers import entropy_sgd, gradient_descent

LINE = grid(((-5.0, 5.0),), 161)
FINE = grid(((-6.0, 6.0),), 601)
bowl, bowl_gradient = partial(quadratic, curvatures=(2.0,)), partial(quadratic_gradient, curvatures=(2.0,))


def mass(density, line=FINE):
    return line.weights @ density


@pytest.mark.parametrize("y", [1, 2, 3])
@pytest.mark.parametrize("beta", [0.7, 1.6])
@pytest.mark.parametrize("energy", [wide_and_sharp, double_well])
def test_the_integral_over_centres_is_that_over_replicas(energy, beta, y):
    left = replicas.log_robust_partition(energy, LINE, 3.0, y, beta)
    right = replicas.log_replica_partition(energy, LINE, 3.0, y, beta)
    assert_allclose(left, right, atol=3e-5 if y == 1 else 1e-6)  # with one, the box cuts off a little of the centre
    assert abs(left - replicas.log_replica_partition(energy, LINE, 3.1, y, beta)) > 1e-4
    assert abs(left - replicas.log_robust_partition(energy, LINE, 3.0, y + 0.01, beta)) > 1e-4


def test_both_sides_on_a_bowl_have_their_closed_form():
    """∫ e^{yF}: F(x) = ½ log(2π/β(λ+γ)) − ½ β m x², with m = λγ/(λ+γ)."""
    lam, gamma, beta, y = 2.0, 3.0, 0.8, 3
    m = lam * gamma / (lam + gamma)
    closed = y / 2 * np.log(2 * np.pi / (beta * (lam + gamma))) + 0.5 * np.log(2 * np.pi / (y * beta * m))
    assert_allclose(replicas.log_robust_partition(bowl, LINE, gamma, y, beta), closed, atol=1e-8)
    assert_allclose(replicas.log_replica_partition(bowl, LINE, gamma, y, beta), closed, atol=1e-8)


@pytest.mark.parametrize("y", [1, 2, 7])
def test_the_laws_on_a_bowl_are_gaussian(y):
    """The centre has the variance 1/(yβm); a replica, given the centre, γ/(λ+γ) times it plus 1/(β(λ+γ))."""
    lam, gamma, beta = 2.0, 3.0, 1.3
    centre = (lam + gamma) / (y * beta * lam * gamma)
    replica = (gamma / (lam + gamma)) ** 2 * centre + 1 / (beta * (lam + gamma))
    for law, variance in ((replicas.centre_density, centre), (replicas.replica_density, replica)):
        density = law(bowl, FINE, gamma, y, beta)
        assert_allclose(density, stats.norm.pdf(FINE.axes[0], 0, np.sqrt(variance)), atol=1e-7)


@pytest.mark.parametrize("y", [1, 2.5, 8])
def test_the_laws_are_probability_densities(y):
    for law in (replicas.centre_density, replicas.replica_density):
        assert_allclose(mass(law(wide_and_sharp, FINE, 2.0, y)), 1, atol=1e-5)


def test_the_law_of_a_single_replica_is_the_gibbs_measure():
    p = np.exp(-1.4 * wide_and_sharp(FINE.points))
    assert_allclose(replicas.replica_density(wide_and_sharp, FINE, 2.0, 1, 1.4), p / mass(p), atol=1e-6)


def test_more_replicas_put_more_mass_where_local_entropy_is_high():
    F = exact.local_entropy_on_grid(wide_and_sharp, FINE, 2.0)
    for level in np.quantile(F, [0.6, 0.9, 0.98]):
        shares = [mass(replicas.centre_density(wide_and_sharp, FINE, 2.0, y) * (level <= F)) for y in (1, 2, 5, 20)]
        assert np.all(np.diff(shares) > -1e-12)
        assert shares[-1] > shares[0] + 0.05


@pytest.mark.parametrize("d", [1, 2])
def test_the_coupled_gradient_is_the_gradient_of_the_coupled_energy(d):
    y, h = 3, 1e-5
    x = np.random.default_rng(0).normal(size=(d * y, 4))
    energy = replicas.coupled_energy(wide_and_sharp, 1.7, y)
    slope = replicas.coupled_gradient(wide_and_sharp_gradient, 1.7, y)(x)
    for k in range(d * y):
        step = np.zeros_like(x)
        step[k] = h
        assert_allclose(slope[k], (energy(x + step) - energy(x - step)) / (2 * h), atol=1e-6)


def test_metropolis_on_the_coupled_energy_samples_the_centre():
    """On a bowl: mean 0 and the exact variance, within 4.9 standard errors over independent chains."""
    lam, gamma, y, rng = 2.0, 3.0, 3, np.random.default_rng(3)
    x, _ = metropolis(
        replicas.coupled_energy(bowl, gamma, y),
        replicas.coupled_gradient(bowl_gradient, gamma, y),
        rng.normal(size=(y, 300)),
        0.2,
        700,
        rng=rng,
        burn_in=100,
        record_every=4,
    )
    centre = replicas.draw_centre(x, gamma, y, rng=rng)[:, 0]
    variance = (lam + gamma) / (y * lam * gamma)

    def off(values, wanted):
        each = values.mean(axis=0)
        return abs(each.mean() - wanted) / stats.sem(each)

    assert off(centre, 0.0) < 4.9
    assert off(centre**2, variance) < 4.9
    mean = x.mean(axis=1)
    assert off(mean**2, variance) > 10  # the mistake of taking the replicas' mean for the centre is seen


def test_elastic_averaging_is_descent_on_the_energy_of_replicas_and_centre():
    rng, lr, gamma = np.random.default_rng(5), 0.02, 1.5
    x = rng.normal(size=(2, 3, 6))
    centre = x.mean(axis=1)
    run = replicas.elastic_sgd(wide_and_sharp_gradient, x, lr, 25, lr * gamma)
    for _ in range(25):
        pull = gamma * (x - centre[:, None])
        x, centre = x - lr * (wide_and_sharp_gradient(x) + pull), centre + lr * pull.sum(axis=1)
    assert_allclose(run.centre.x[-1], centre, atol=1e-12)
    assert_allclose(np.stack([each.x[-1] for each in run.replicas], axis=1), x, atol=1e-12)


def test_a_period_skips_the_springs_in_between():
    x = np.random.default_rng(6).normal(size=(2, 3, 4))
    run = replicas.elastic_sgd(np.zeros_like, x, 1.0, 4, 0.1, period=3)
    moved = np.abs(np.diff(run.replicas[0].x, axis=0)).max(axis=(1, 2)) > 0
    assert moved.tolist() == [True, False, False, True]


def test_stiff_springs_leave_only_the_resting_places_of_the_energy():
    x = np.random.default_rng(7).uniform(-1.5, 1.5, (1, 4, 40))

    def spread(gamma):
        run = replicas.elastic_sgd(double_well_gradient, x, 0.02, 3000, 0.02 * gamma)
        return np.ptp(np.stack([each.x[-1] for each in run.replicas], axis=1), axis=1)

    assert spread(4.5).max() < 1e-6  # above 4, the most negative curvature's size
    assert spread(0.5).max() > 1


def test_one_replica_of_parle_is_entropy_sgd():
    x = np.random.default_rng(8).normal(size=(2, 1, 9))
    chain = {"langevin_steps": 7, "langevin_lr": 0.02, "averaging": 0.6, "noise": 0.8}
    run = replicas.parle(wide_and_sharp_gradient, x, 0.7, 12, 1.5, 0.9, **chain, rng=np.random.default_rng(1))
    alone = entropy_sgd(wide_and_sharp_gradient, x[:, 0], 0.7, 12, 1.5, **chain, rng=np.random.default_rng(1))
    assert_allclose(run.centre.x, alone.x, atol=1e-12)
    assert_allclose(run.replicas[0].x, alone.x, atol=1e-12)
    assert run.centre.evaluations.tolist() == alone.evaluations.tolist()


def test_without_rho_parle_is_independent_runs_of_entropy_sgd():
    x = np.random.default_rng(9).normal(size=(2, 4, 5))
    chain = {"langevin_steps": 7, "langevin_lr": 0.02, "averaging": 0.6}

    def ends(rho):
        run = replicas.parle(wide_and_sharp_gradient, x, 0.7, 12, 1.5, rho, **chain, rng=np.random.default_rng(1))
        return np.stack([each.x[-1] for each in run.replicas], axis=1)

    alone = [entropy_sgd(wide_and_sharp_gradient, x[:, a], 0.7, 12, 1.5, **chain).x[-1] for a in range(4)]
    assert_allclose(ends(0.0), np.stack(alone, axis=1), atol=1e-12)
    assert np.abs(ends(0.1) - np.stack(alone, axis=1)).max() > 1e-3


@pytest.mark.parametrize("gamma", [0.0, 4.0])
def test_with_one_inner_step_parle_is_elastic_averaging_around_the_mean(gamma):
    x = np.random.default_rng(10).normal(size=(2, 3, 5))
    chain = {"langevin_steps": 1, "langevin_lr": 0.02, "averaging": 0.5, "rng": np.random.default_rng(1)}
    for rho in (0.0, 0.4):
        run = replicas.parle(wide_and_sharp_gradient, x, 0.8, 20, gamma, rho, **chain)
        z = x
        for _ in range(20):
            z = z - 0.8 * 0.5 * 0.02 * wide_and_sharp_gradient(z) - 0.8 * rho * (z - z.mean(axis=1, keepdims=True))
        assert_allclose(np.stack([each.x[-1] for each in run.replicas], axis=1), z, atol=1e-12)
    free = gradient_descent(wide_and_sharp_gradient, x[:, 1], 0.8 * 0.5 * 0.02, 20)
    run = replicas.parle(wide_and_sharp_gradient, x, 0.8, 20, gamma, 0.0, **chain)
    assert_allclose(run.replicas[1].x, free.x, atol=1e-12)


def test_the_elastic_centre_is_the_mean_a_step_late_if_its_rate_is_one():
    x = np.random.default_rng(11).normal(size=(2, 4, 5))
    run = replicas.elastic_sgd(wide_and_sharp_gradient, x, 0.02, 15, 1 / 4)
    mean = np.mean([each.x for each in run.replicas], axis=0)
    assert_allclose(run.centre.x[1:], mean[:-1], atol=1e-12)
    assert np.abs(run.centre.x[1:] - mean[1:]).max() > 1e-3


@pytest.mark.parametrize(
    "method",
    [
        lambda slope, x: replicas.elastic_sgd(slope, x, 0.01, 6, 0.1),
        lambda slope, x: replicas.parle(slope, x, 1.0, 6, 1.0, 0.1, langevin_steps=4, rng=np.random.default_rng(0)),
    ],
)
def test_every_gradient_is_counted(method):
    points = []

    def counted(x):
        points.append(x.shape[1])
        return wide_and_sharp_gradient(x)

    run = method(counted, np.zeros((2, 3, 5)))
    assert run.centre.evaluations[-1] * 5 == sum(points)
    assert [each.evaluations[-1] * 15 for each in run.replicas] == [sum(points)] * 3
    assert len(run.centre.x) == len(run.centre.evaluations) == 7


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: replicas.log_robust_partition(bowl, LINE, 1.0, 0), "must be positive; got 0"),
        (lambda: replicas.log_replica_partition(bowl, LINE, 1.0, 1.5), "whole numbers"),
        (lambda: replicas.log_replica_partition(bowl, LINE, 1.0, 4), "at most 47"),
        (lambda: replicas.log_replica_partition(bowl, LINE, -1.0, 2), "gamma must be positive"),
        (lambda: replicas.log_replica_partition(quadratic, grid(((-1, 1),) * 2, 5), 1.0, 2), "1-D grid"),
        (lambda: replicas.coupled_energy(bowl, 1.0, 3)(np.zeros((4, 2))), "4 rows do not make 3"),
        (lambda: replicas.elastic_sgd(np.zeros_like, np.zeros((2, 3)), 0.1, 1, 0.1), "shape"),
        (lambda: replicas.elastic_sgd(np.zeros_like, np.zeros((2, 3, 1)), -0.1, 1, 0.1), "lr must be"),
        (lambda: replicas.elastic_sgd(np.zeros_like, np.zeros((2, 3, 1)), 0.1, 1, -0.1), "pull must be"),
        (lambda: replicas.elastic_sgd(np.zeros_like, np.zeros((2, 3, 1)), 0.1, 1, 0.1, period=0), "period must be"),
        (lambda: replicas.elastic_sgd(np.zeros_like, np.zeros((2, 3, 1)), 0.1, -1, 0.1), "steps must be"),
        (lambda: replicas.elastic_sgd(gradient(double_well), np.full((2, 3, 1), 9.0), 1.0, 50, 0.1), "left the finite"),
        (
            lambda: replicas.parle(np.zeros_like, np.zeros((2, 3, 1)), 0.1, 1, 1.0, -1.0, rng=np.random.default_rng(0)),
            "rho must be",
        ),
        (
            lambda: replicas.parle(np.zeros_like, np.zeros((2, 3, 1)), 0.0, 1, 1.0, 1.0, rng=np.random.default_rng(0)),
            "lr must be",
        ),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
