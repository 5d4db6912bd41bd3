"""Escape from a well: simulation against linear algebra, the integral against quadrature, and Kramers in the limit."""

import numpy as np
import pytest
from scipy import integrate, stats

from esgd_minimal.toy import chain_laws, escape, grids, landscapes

ALARM = 1e-6
LINE = grids.grid(((-3.0, 3.0),), 601)


def beyond_one(x):
    return x[0] >= 1


def test_arrival_steps_have_the_mean_of_the_chain_itself():
    """No small-step limit: the mean number of steps of the discrete chain solves (1 − P) τ = 1."""
    step, beta, n = 0.02, 3.0, 2000
    moves = chain_laws.transition_matrix(landscapes.double_well_gradient, LINE, step, beta)
    before = LINE.axes[0] < 1 - 1e-9
    # The trapezoid rule on the half line: the end point counts half.
    end = np.flatnonzero(before)[-1] + 1
    inside = moves[: end + 1, : end + 1].copy()
    inside[:, end] /= 2
    exact = np.linalg.solve(np.eye(end + 1) - inside, np.ones(end + 1))[np.argmin(np.abs(LINE.axes[0] + 1))]
    steps = escape.arrival_steps(
        landscapes.double_well_gradient, np.full((1, n), -1.0), step, beyond_one, beta, rng=np.random.default_rng(1)
    )
    error = np.std(steps, ddof=1) / n**0.5
    assert abs(np.mean(steps) - exact) < stats.norm.isf(ALARM / 2) * error
    assert error < exact / 40  # so a rate off by a fifth is seen, and √2 in the noise changes it by more than that
    colder = escape.arrival_steps(
        landscapes.double_well_gradient, np.full((1, n), -1.0), step, beyond_one, 1.5, rng=np.random.default_rng(1)
    )
    assert abs(np.mean(colder) - exact) > stats.norm.isf(ALARM / 2) * error


def test_arrival_is_counted_from_one_and_kept_in_order():
    x0 = np.array([[0.0, 5.0, -3.0]])
    steps = escape.arrival_steps(
        lambda x: -np.ones_like(x), x0, 1.0, lambda x: x[0] >= 1, np.inf, rng=np.random.default_rng(0)
    )
    assert np.array_equal(steps, [1, 1, 4])


def test_chains_that_do_not_arrive_are_said():
    with pytest.raises(ValueError, match="2 of 3 chains have not arrived after 5 steps"):
        escape.arrival_steps(
            np.zeros_like,
            np.array([[0.0, 2.0, 0.0]]),
            0.1,
            beyond_one,
            np.inf,
            rng=np.random.default_rng(0),
            max_steps=5,
        )


@pytest.mark.parametrize("beta", [0.5, 2.0, 6.0])
@pytest.mark.parametrize(("start", "target"), [(-1.0, 1.0), (-1.2, 0.0), (0.9, -0.7)])
def test_the_mean_first_passage_time_is_the_double_integral(start, target, beta):
    def tilted(x):
        return landscapes.double_well(x, tilt=0.2)

    def f(u):
        return tilted(np.array([u]))

    sign = np.sign(target - start)
    exact, error = integrate.dblquad(
        lambda z, y: beta * np.exp(beta * (f(y) - f(z))),
        *sorted((start, target)),
        lambda y: -3.0 if sign > 0 else y,
        lambda y: y if sign > 0 else 3.0,
        epsabs=0,
        epsrel=1e-9,
    )
    assert error < 1e-7 * exact
    assert escape.mean_first_passage_time(tilted, LINE, start, target, beta) == pytest.approx(exact, rel=1e-7)


def test_free_diffusion_between_a_wall_and_a_target():
    """With a reflecting wall at 0 and no force, the mean time to b is β b²/2; here the wall is the grid's end."""
    line = grids.grid(((0.0, 2.0),), 101)
    time = escape.mean_first_passage_time(lambda x: np.zeros(np.shape(x)[1:]), line, 0.0, 1.5, 4.0)
    assert time == pytest.approx(4.0 * 1.5**2 / 2, rel=1e-12)
    assert escape.mean_first_passage_time(lambda x: x[0], line, 0.7, 0.7) == 0


def test_kramers_formula_on_the_double_well():
    for barrier, beta in ((1.0, 3.0), (2.5, 1.0)):

        def energy(x, barrier=barrier):
            return landscapes.double_well(x, barrier)

        written_out = 2 * 2**0.5 * barrier / np.pi * np.exp(-beta * barrier)
        for d in (1, 2):
            minimum, saddle = np.zeros(d), np.zeros(d)
            minimum[0] = -1
            assert escape.kramers_rate(energy, minimum, saddle, beta) == pytest.approx(written_out, rel=1e-12)


def test_kramers_is_right_in_the_limit_of_cold():
    off = []
    for beta in (10.0, 20.0, 40.0):
        time = escape.mean_first_passage_time(landscapes.double_well, LINE, -1.0, 1.0, beta)
        off.append(time * escape.kramers_rate(landscapes.double_well, np.array([-1.0]), np.zeros(1), beta) - 1)
    assert off[0] / off[1] == pytest.approx(2, rel=0.15)  # of order 1/β
    assert off[1] / off[2] == pytest.approx(2, rel=0.1)
    assert 0 < off[2] < 0.02


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"is not a minimum: the curvatures there are \[-4\.  1\.\]"):
        escape.kramers_rate(landscapes.double_well, np.zeros(2), np.zeros(2))
    with pytest.raises(ValueError, match=r"is not a saddle with one way down"):
        escape.kramers_rate(landscapes.double_well, np.array([-1.0, 0.0]), np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="for one dimension; the grid has 2"):
        escape.mean_first_passage_time(landscapes.double_well, grids.grid(((-1, 1), (-1, 1)), 5), -1, 1)
    with pytest.raises(ValueError, match=r"must lie in the grid's box, \[-3.0, 3.0\]; got -1 and 4"):
        escape.mean_first_passage_time(landscapes.double_well, LINE, -1, 4)
