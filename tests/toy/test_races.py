"""Races: fair starts, a fence, the tuning rule, and intervals that cover as often as they say."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from esgd_minimal.toy import races
from esgd_minimal.toy.landscapes import (
    GALLERY,
    gradient,
    muller_brown_gradient,
    quadratic_gradient,
    wide_and_sharp,
)
from esgd_minimal.toy.optimizers import entropy_sgd, gradient_descent, heavy_ball, nesterov, sgd

WELLS = races.course(GALLERY["wide_and_sharp"])
BOWL = races.course(GALLERY["quadratic"])


def test_a_course_knows_its_basins():
    sharp, wide = np.array([[1.194], [0.0]]), np.array([[-1.129], [0.0]])
    assert WELLS.basin(sharp) == [0] and WELLS.basin(wide) == [1]  # the deepest first
    assert_allclose(WELLS.bottoms, wide_and_sharp(np.hstack([sharp, wide])), atol=1e-2)  # on the grid


def test_a_basin_is_where_steepest_descent_goes():
    """All but the starts within about a spacing of the boundary agree with a descent in short steps."""
    x0 = races.starts(WELLS, 400, np.random.default_rng(1))
    bottom = gradient_descent(WELLS.gradient, x0, 0.005, 3000).x[-1]
    assert np.mean(WELLS.basin(x0) == WELLS.basin(bottom)) > 0.98
    assert np.mean(WELLS.basin(x0) == WELLS.basin(bottom[:, ::-1])) < 0.9  # of other starts


def test_a_point_outside_belongs_to_the_nearest_point_of_the_grid():
    far = np.array([[50.0, -50.0, -3.5], [-50.0, 3.0, 3.0]])
    at_the_edge = np.array([[3.5, -3.5, -3.5], [-3.5, 3.0, 3.0]])
    assert np.array_equal(WELLS.basin(far), WELLS.basin(at_the_edge))


def test_values_on_the_grid_are_read_between_its_points():
    x = np.array([[0.37, -2.2, 9.0], [1.01, 0.5, 0.0]])
    plane = 2 * WELLS.grid.points[0] - 3 * WELLS.grid.points[1] + 1
    assert_allclose(WELLS.read(plane, x), [2 * 0.37 - 3 * 1.01 + 1, 2 * -2.2 - 1.5 + 1, 2 * 3.5 + 1], rtol=1e-12)


def test_the_starts_are_uniform_over_the_lower_half():
    """Their distance from the centre of a round bowl is known: |x|² is uniform. Kolmogorov's test at 1e-6."""
    ring = races.course(GALLERY["plateau"])
    x = races.starts(ring, 4000, np.random.default_rng(2))
    assert x.shape == (2, 4000)
    inside = ring.energy(ring.grid.points) <= np.median(ring.energy(ring.grid.points))
    assert ring.energy(x).max() <= np.median(ring.energy(ring.grid.points))
    assert abs(inside.mean() - 0.5) < 0.01
    radius = np.sqrt(np.max(np.sum(ring.grid.points[:, inside] ** 2, axis=0)))
    r2 = np.sum(x**2, axis=0) / radius**2
    assert stats.kstest(r2, "uniform").pvalue > 1e-6
    assert stats.kstest(np.sqrt(r2), "uniform").pvalue < 1e-6  # as if the radius had been drawn


def test_the_fence_is_the_box_and_its_width_around():
    x = np.array([[8.9, 9.1, 0.0, 0.0], [0.0, 0.0, -8.9, -9.1]])  # the box is 3 to each side
    assert BOWL.inside(x).tolist() == [True, False, True, False]
    slope = BOWL.gradient(x)
    assert_allclose(slope[:, [0, 2]], quadratic_gradient(x[:, [0, 2]]))
    assert np.all(slope[:, [1, 3]] == 0)


def test_a_diverging_chain_stops_outside_the_fence_and_takes_no_other_along():
    x0 = np.array([[1.0, 1.0], [1.0, 0.0]])  # at lr = 0.3 the steep direction diverges, the gentle one does not
    x = gradient_descent(BOWL.gradient, x0, 0.3, 200).x[-1]
    assert BOWL.inside(x).tolist() == [False, True]
    assert np.all(np.isfinite(x)) and abs(x[0, 1]) < 1e-9


def test_a_gradient_in_closed_form_can_be_given():
    by_hand = races.course(GALLERY["muller_brown"], slope=muller_brown_gradient)
    x = races.starts(by_hand, 50, np.random.default_rng(3))
    assert_allclose(by_hand.gradient(x), gradient(GALLERY["muller_brown"].energy)(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("optimizer", [gradient_descent, heavy_ball, nesterov])
def test_one_step_size_for_each_chain_is_as_many_runs(optimizer):
    x0, ladder = races.starts(WELLS, 5, np.random.default_rng(4)), np.array([0.001, 0.01, 0.03])
    method = races.runner(optimizer)
    together = method(WELLS.gradient, np.tile(x0, 3), np.repeat(ladder, 5), 60)
    apart = np.hstack([method(WELLS.gradient, x0, lr, 60) for lr in ladder])
    assert_allclose(together, apart, rtol=1e-12)


def test_one_inner_step_size_for_each_chain_is_as_many_runs_of_entropy_sgd():
    x0, ladder = races.starts(WELLS, 5, np.random.default_rng(4)), np.array([0.001, 0.01, 0.03])
    draws = np.random.default_rng(5).standard_normal((20, 2, 15))

    def method(columns):
        def run(gradient, x0, lr, budget):
            fixed = {"langevin_steps": 20, "noise": 1.0, "draws": draws[None, :, :, columns]}
            return entropy_sgd(gradient, x0, 1.0, budget // 20, 0.5, langevin_lr=lr, **fixed).x[-1]

        return run

    together = method(slice(None))(WELLS.gradient, np.tile(x0, 3), np.repeat(ladder, 5), 20)
    columns = [slice(0, 5), slice(5, 10), slice(10, 15)]
    apart = [method(c)(WELLS.gradient, x0, lr, 20) for c, lr in zip(columns, ladder, strict=True)]
    assert_allclose(together, np.hstack(apart), rtol=1e-12)


def test_every_method_uses_the_gradients_it_is_given():
    calls = 0

    def counted(x):
        nonlocal calls
        calls += 1
        return quadratic_gradient(x)

    rng = np.random.default_rng(0)
    for method in (
        races.runner(gradient_descent),
        races.runner(sgd, scale=1.0, rng=rng),
        races.runner(nesterov, momentum=0.5),
        races.entropy_runner(np.ones_like, langevin_steps=12, noise=0.1, rng=rng),
    ):
        calls = 0
        method(counted, np.ones((2, 3)), 0.01, 60)
        assert calls == 60


def test_the_runner_of_entropy_sgd_follows_its_schedule():
    def schedule(t):
        return 0.5 * 1.3**t

    x0 = np.array([[1.0, -0.5], [0.3, 2.0]])
    run = races.entropy_runner(schedule, 10, averaging=0.4)(quadratic_gradient, x0, 0.05, 70)
    own = entropy_sgd(
        quadratic_gradient, x0, 1.0, 7, 0.5, langevin_steps=10, langevin_lr=0.05, averaging=0.4, scoping=0.3
    )
    assert_allclose(run, own.x[-1], rtol=1e-12)


def test_tuning_finds_the_step_that_theory_wants():
    """On λ = 1 and 10 the slower of two factors |1 − ηλ| is least at η = 2/11; far from it, the energy is higher."""
    x0 = races.starts(BOWL, 30, np.random.default_rng(6))
    ladder = np.array([0.01, 0.05, 2 / 11, 0.197, 0.5, 2.0])
    assert races.tune(races.runner(gradient_descent), BOWL, ladder, x0, 30) == 2 / 11
    assert races.tune(races.runner(gradient_descent), BOWL, ladder[3:], x0, 30) == 0.197  # the rest diverges
    with pytest.raises(ValueError, match=r"Every step size from 0\.5 to 2 loses a chain"):
        races.tune(races.runner(gradient_descent), BOWL, ladder[4:], x0, 30)


@pytest.mark.parametrize(("n", "p"), [(10, 0.5), (40, 0.03), (400, 0.9)])
def test_the_interval_of_a_share_covers_as_often_as_it_says(n, p):
    """Exactly: the probability, over k, that the interval holds p. That is at least 95 %, and not much more."""
    hits = np.arange(n) < np.arange(n + 1)[:, None]
    interval = races.share(hits)
    covered = (interval.low <= p) & (p <= interval.high)
    coverage = stats.binom.pmf(np.arange(n + 1), n, p) @ covered
    assert 0.95 <= coverage < 0.995
    naive = 1.96 * np.sqrt(interval.mean * (1 - interval.mean) / n)
    assert stats.binom.pmf(np.arange(n + 1), n, p) @ (np.abs(interval.mean - p) <= naive) < 0.95  # the textbook's own


def test_the_interval_of_a_share_is_scipys():
    for k, n in ((0, 7), (3, 11), (400, 400)):
        own = races.share(np.arange(n) < k, 0.9)
        scipys = stats.binomtest(k, n).proportion_ci(0.9, method="exact")
        assert_allclose([own.mean, own.low, own.high], [k / n, *scipys], rtol=1e-9)


def test_bad_input_is_answered_in_a_sentence():
    with pytest.raises(ValueError, match="at least one trial"):
        races.share(np.array([]))
    with pytest.raises(ValueError, match="confidence must be between 0 and 1; got 95"):
        races.share(np.array([True]), 95)
