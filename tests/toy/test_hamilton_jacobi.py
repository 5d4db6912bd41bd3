"""Finite differences against closed forms, convolution and infimal convolution, with their orders; kinks by tie."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esgd_minimal.toy import hamilton_jacobi, landscapes, relaxations
from esgd_minimal.toy.grids import evaluate, grid
from esgd_minimal.toy.hamilton_jacobi import central, evolve, kinks, upwind
from esgd_minimal.toy.local_entropy import local_entropy_on_grid, local_free_energy

ENERGY, BOX = landscapes.wide_and_sharp, ((-4.5, 4.5),)


def free_energy(energy, box, gamma, beta):
    return local_free_energy(local_entropy_on_grid(energy, box, gamma, beta), gamma, 1, beta)


def error(kind, n, gamma=10.0, beta=1.0):
    """The largest error of finite differences on n points, away from the walls."""
    box = grid(BOX, n)
    values, h, inside = evaluate(ENERGY, box), box.spacing[0], np.abs(box.axes[0]) < 2.0
    if kind == "heat":
        exact = relaxations.gaussian_smoothing(ENERGY, box, gamma**-0.5)
        u = evolve(values, h, 1 / gamma, central, transport=0.0, diffusion=1.0)
    elif kind == "entropy":
        exact = free_energy(ENERGY, box, gamma, beta)
        u = evolve(values, h, 1 / gamma, central, diffusion=1 / beta)
    else:
        stride = 4096 // (n - 1)
        exact = relaxations.moreau_envelope_on_grid(ENERGY, grid(BOX, 4097), gamma)[::stride]
        u = evolve(values, h, 1 / gamma, upwind)
    return np.abs(u - exact)[inside].max()


@pytest.mark.parametrize(("kind", "order"), [("heat", 2.0), ("entropy", 2.0), ("envelope", 1.0)])
def test_order_of_convergence(kind, order):
    coarse, middle, fine = (error(kind, n) for n in (257, 513, 1025))
    assert fine < 0.06
    assert np.log2(middle / fine) == pytest.approx(order, abs=0.2)
    assert np.log2(coarse / fine) / 2 == pytest.approx(order, abs=0.3)


def test_a_third_of_the_step_makes_heat_flow_fourth_order():
    """dt = h²/3b cancels the leading errors of time and space: the cosine's decay is then right to h⁴."""

    def error(n, fraction):
        x = np.linspace(0.0, 1.0, n)
        u = evolve(np.cos(np.pi * x), 1 / (n - 1), 0.125, central, 0.0, 2.0, fraction)
        return np.abs(u - np.exp(-0.125 * np.pi**2) * np.cos(np.pi * x)).max()

    assert np.log2(error(17, 1 / 3) / error(33, 1 / 3)) == pytest.approx(4.0, abs=0.1)
    assert np.log2(error(17, 0.5) / error(33, 0.5)) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("slope", [-1.0, 0.5])
def test_a_plane_moves_down_by_half_its_squared_slope(slope):
    x = np.linspace(-4.0, 4.0, 81)
    middle = slice(35, 46)
    for scheme, diffusion in ((upwind, 0.0), (central, 0.3)):
        u = evolve(slope * x, 0.1, 0.5, scheme, transport=1.5, diffusion=diffusion)
        tolerance = 1e-12 if diffusion == 0 else 1e-6  # diffusion brings word of the walls, a little
        np.testing.assert_allclose(u[middle], (slope * x - 0.5 * 1.5 * slope**2 * 0.5)[middle], atol=tolerance)


def test_a_corner_up_stays_and_a_corner_down_opens():
    """−|x| keeps its corner and sinks; |x| becomes Huber's function: the two sides of Godunov's choice."""
    x = np.linspace(-3.0, 3.0, 601)
    inside = np.abs(x) < 2
    sunk = evolve(-np.abs(x), 0.01, 0.5, upwind)
    np.testing.assert_allclose(sunk[inside], (-np.abs(x) - 0.25)[inside], atol=1e-12)
    opened = evolve(np.abs(x), 0.01, 0.5, upwind)
    huber = np.where(np.abs(x) < 0.5, x**2, np.abs(x) - 0.25)
    np.testing.assert_allclose(opened[inside], huber[inside], atol=0.01)


def test_an_average_of_both_sides_does_not_do_for_the_envelope():
    """The planted error: the mean of the one-sided squares gets the corner of −|x| right and that of |x| wrong."""

    def mean_of_sides(wide, spacing):
        slope = np.diff(wide) / spacing
        return 0.5 * (slope[:-1] ** 2 + slope[1:] ** 2)

    x = np.linspace(-3.0, 3.0, 601)
    opened = evolve(np.abs(x), 0.01, 0.5, mean_of_sides)
    assert np.abs(opened[300]) > 0.2  # Huber's function is 0 there


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), diffusion=st.sampled_from([0.0, 0.2, 2.0]), fraction=st.floats(0.2, 1.0))
def test_order_is_kept_constants_pass_and_nothing_leaves_the_range(seed, diffusion, fraction):
    rng = np.random.default_rng(seed)
    lower = np.cumsum(rng.normal(size=65)) / 8
    steepest = np.abs(np.diff(lower)).max()
    scheme = central if steepest < diffusion else upwind  # speed × spacing is the largest difference
    u = evolve(lower, 1 / 64, 0.02, scheme, diffusion=diffusion, fraction=fraction)
    assert u.min() >= lower.min() - 1e-12
    assert u.max() <= lower.max() + 1e-12
    np.testing.assert_allclose(evolve(lower + 3.0, 1 / 64, 0.02, scheme, diffusion=diffusion, fraction=fraction), u + 3)
    np.testing.assert_allclose(evolve(lower[::-1], 1 / 64, 0.02, scheme, 1.0, diffusion, fraction), u[::-1], atol=1e-12)


def test_without_time_or_coefficients_nothing_happens():
    values = np.sin(np.arange(9.0))
    np.testing.assert_array_equal(evolve(values, 0.1, 0.0, upwind), values)
    np.testing.assert_array_equal(evolve(values, 0.1, 1.0, upwind, transport=0.0), values)


@pytest.mark.parametrize("name", ["wide_and_sharp", "double_well", "rastrigin"])
@pytest.mark.parametrize("time", [0.05, 0.4, 2.0])
def test_kinks_are_ties_that_nothing_undercuts(name, time):
    energy, box = landscapes.GALLERY[name].energy, grid(((-4.0, 4.0),), 1601)
    places, pairs = kinks(energy, box, time)
    assert np.all(np.diff(places) > 0)
    assert np.all(pairs[:, 0] < pairs[:, 1])
    y = box.axes[0]
    cost = evaluate(energy, box) + (places[:, None] - y) ** 2 / (2 * time)
    for place, row, pair in zip(places, cost, pairs, strict=True):
        both = energy(pair[None]) + (place - pair) ** 2 / (2 * time)
        np.testing.assert_allclose(both, row.min(), atol=1e-9)
        between = (y > pair[0] + 1e-9) & (y < pair[1] - 1e-9)
        assert np.all(row[between] >= row.min() - 1e-9)


def test_kinks_of_the_symmetric_well_and_of_rastrigin():
    box = grid(((-3.0, 3.0),), 1201)
    first = 1 / 4.0  # −1/min f'' of b (x² − 1)² with b = 1
    assert len(kinks(landscapes.double_well, box, 0.9 * first)[0]) == 0
    places, pairs = kinks(landscapes.double_well, box, 1.0)
    np.testing.assert_allclose(places, [0.0], atol=1e-9)
    np.testing.assert_allclose(pairs[0], [-np.sqrt(0.75), np.sqrt(0.75)], atol=0.005)  # 4y² = 4 − 1/t
    places, _ = kinks(landscapes.rastrigin, grid(((-3.0, 3.0),), 1201), 10.0)
    np.testing.assert_allclose(places, 11 * np.arange(-2.5, 3), atol=0.01)  # t times a slope of k + ½, and the middle
    assert len(places) == 6  # one between each two of the seven wells at −3 … 3


def test_a_kink_moves_with_the_mean_of_the_slopes_that_meet_there():
    box, dt = grid(BOX, 4097), 1e-3
    (before,), (after,) = (kinks(ENERGY, box, t)[0][:1] for t in (0.5 - dt, 0.5 + dt))
    (place,), pair = kinks(ENERGY, box, 0.5)[0][:1], kinks(ENERGY, box, 0.5)[1][0]
    slopes = (place - pair) / 0.5
    assert (after - before) / (2 * dt) == pytest.approx(slopes.mean(), rel=0.02)
    assert abs(slopes[0]) > 2 * abs(slopes.mean())  # the mean, not either of them


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": np.zeros((3, 3))}, "on a line"),
        ({"values": np.array([0.0, np.nan, 1.0])}, "finite"),
        ({"spacing": 0.0}, "spacing must be positive"),
        ({"time": -1.0}, "time must be finite"),
        ({"transport": -1.0}, "transport must be finite"),
        ({"diffusion": np.inf}, "diffusion must be finite"),
        ({"fraction": 1.5}, "fraction"),
        ({"squared_slope": central}, "take upwind slopes"),
        ({"squared_slope": central, "diffusion": 0.5}, "a spacing of at most 0.05"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"values": np.array([0.0, 1.0, 2.0]), "spacing": 0.1, "time": 1.0, "squared_slope": upwind}
    with pytest.raises(ValueError, match=message):
        evolve(**arguments | change)


def test_kinks_refuse_planes_and_no_time():
    with pytest.raises(ValueError, match="on a line"):
        kinks(landscapes.himmelblau, grid(((-1.0, 1.0), (-1.0, 1.0)), 9), 1.0)
    with pytest.raises(ValueError, match="time must be positive"):
        kinks(landscapes.double_well, grid(BOX, 9), 0.0)


def test_the_module_says_what_central_slopes_would_need():
    """At the spacing that the refusal names, central slopes are accepted."""
    values = np.array([0.0, 1.0, 2.0])
    assert hamilton_jacobi.evolve(0.05 * values / 0.1, 0.05, 0.01, central, diffusion=0.5).shape == (3,)
