"""The programs as they were run: against transcriptions with plain numbers, and what is known of each switch."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from esgd_minimal.toy.landscapes import GALLERY, gradient, quadratic_gradient
from esgd_minimal.toy.optimizers import entropy_sgd
from esgd_minimal.toy.released import PRESETS, Settings, entropy_sgd_as, inner_loop

PAPER, LUA, PYTORCH = PRESETS.values()
PLAIN = replace(PAPER, inner_momentum=0.0, outer_momentum=0.0)
START = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])
LOOP = {"lr": 0.5, "gamma": 0.3, "langevin_steps": 5, "langevin_lr": 0.04, "noise": 0.2, "scoping": 0.1}


def draws(steps, n_inner=5, shape=START.shape):
    return np.random.default_rng(3).standard_normal((steps, n_inner, *shape))


def lua_with_plain_numbers(slope, x, xi, lr, gamma, langevin_steps, langevin_lr, noise, scoping):
    """The Lua program for a single weight, with dampening 0: the outer buffer is filled and never used."""
    for count, row in enumerate(xi, start=1):
        slope(x)  # thrown away
        scope = gamma * (1 + scoping) ** count
        y = average = x
        buffer = 0.0
        for z in row:
            buffer = 0.9 * buffer + slope(y)
            direction = slope(y) + 0.9 * buffer - scope * (x - y) - noise / (0.5 * langevin_lr) ** 0.5 * z
            y -= langevin_lr * direction
            average = 0.75 * average + 0.25 * y
        x -= lr * (x - average)
    return x


def pytorch_with_plain_numbers(slope, x, xi, lr, gamma, langevin_steps, langevin_lr, noise, scoping):
    """The PyTorch program for a single weight: its step counter is never increased."""
    outer = slope(x)
    for row in xi:
        y = average = x
        buffer = 0.0
        for z in row:
            buffer = 0.9 * buffer + slope(y)
            direction = slope(y) + 0.9 * buffer - gamma * (x - y) - noise / (0.5 * langevin_lr) ** 0.5 * z
            y -= langevin_lr * direction
            average = 0.75 * average + 0.25 * y
        outer = 0.9 * outer + (x - average)
        x -= lr * ((x - average) + 0.9 * outer)
    return x


@pytest.mark.parametrize(("preset", "program"), [(LUA, lua_with_plain_numbers), (PYTORCH, pytorch_with_plain_numbers)])
def test_a_released_program_is_its_transcription(preset, program):
    def slope(x):
        return x**3 - 2 * x

    xi = draws(8, shape=(1, 1))
    ours = entropy_sgd_as(preset, slope, np.array([[0.7]]), steps=8, draws=xi, **LOOP).x[-1].item()
    assert ours == pytest.approx(program(slope, 0.7, xi[..., 0, 0], **LOOP), rel=1e-12)
    for other in PRESETS.values():
        if other is not preset:
            slip = entropy_sgd_as(other, slope, np.array([[0.7]]), steps=8, draws=xi, **LOOP).x[-1].item()
            assert abs(slip - ours) > 1e-3


def test_without_momenta_the_text_is_algorithm_1():
    slope = gradient(GALLERY["himmelblau"].energy)
    ours = entropy_sgd_as(PLAIN, slope, START, steps=6, draws=draws(6), **LOOP)
    algorithm = entropy_sgd(slope, START, steps=6, draws=draws(6), averaging=0.75, **LOOP)
    assert_allclose(ours.x, algorithm.x, rtol=1e-12)
    assert np.array_equal(ours.evaluations, algorithm.evaluations)


@settings(deadline=None, max_examples=40)
@given(st.floats(0.0, 0.95), st.floats(0.01, 3.0), st.floats(0.001, 0.02), st.integers(1, 15), st.booleans())
def test_momentum_inside_is_a_longer_colder_step_with_a_wider_scope(m, gamma, langevin_lr, n_inner, spring):
    """u = x' − η' m²/(1 − m) v takes Langevin steps η'/(1 − m), with the scope (1 − m) γ if the spring is outside."""
    slope = gradient(GALLERY["himmelblau"].energy)
    kicks = 0.05 * draws(1, n_inner)[0]
    kind = Settings(inner_momentum=m, spring_in_momentum=spring)
    x_prime, v = inner_loop(slope, START, gamma, kind, langevin_lr=langevin_lr, kicks=kicks)
    u = x_prime - langevin_lr * m**2 / (1 - m) * v
    scope = gamma if spring else (1 - m) * gamma
    force = np.stack([slope(x) - scope * (START - x) for x in x_prime[:-1]])
    assert_allclose(u[1:], u[:-1] - langevin_lr / (1 - m) * force + kicks, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("spring", [True, False])
def test_the_inner_loop_ends_at_the_prox_of_its_scope(spring):
    m, gamma = 0.8, 2.0
    kind = Settings(inner_momentum=m, spring_in_momentum=spring)
    quiet = np.zeros((400, *START.shape))
    end = inner_loop(quadratic_gradient, START, gamma, kind, langevin_lr=0.04, kicks=quiet)[0][-1]
    scope = gamma if spring else (1 - m) * gamma
    assert_allclose(end, scope * START / (np.array([[1.0], [10.0]]) + scope), atol=1e-10)


@pytest.mark.parametrize("name", PRESETS)
def test_the_noise_is_worth_its_temperature(name):
    """One step from the minimum, η' c² ε² χ²: two-sided at 1e-6. A factor 2 of variance is 100 standard errors away."""
    n, noise, langevin_lr = 20_000, 0.3, 0.1
    kind = replace(PRESETS[name], inner_momentum=0.0, outer_momentum=0.0, averaging=1.0)
    one_step = {"langevin_steps": 1, "langevin_lr": langevin_lr, "noise": noise}
    end = entropy_sgd_as(
        kind, quadratic_gradient, np.zeros((1, n)), 1.0, 1, 0.0, rng=np.random.default_rng(7), **one_step
    ).x[-1]
    low, high = stats.chi2.ppf([5e-7, 1 - 5e-7], n)
    assert low < np.sum(end**2) / (2 * langevin_lr * kind.temperature(noise)) < high
    slip = replace(kind, kick=np.sqrt(2) if name == "paper" else 1.0)
    assert not low < np.sum(end**2) / (2 * langevin_lr * slip.temperature(noise)) < high


def test_the_text_runs_at_half_the_square_of_the_noise_and_the_programs_at_the_square():
    assert [kind.temperature(1e-4) for kind in (PAPER, LUA, PYTORCH)] == pytest.approx([5e-9, 1e-8, 1e-8])


def test_the_clock():
    def run(kind, gamma, scoping):
        loop = {**LOOP, "gamma": gamma, "scoping": scoping}
        return entropy_sgd_as(kind, quadratic_gradient, START, steps=6, draws=draws(6), **loop).x

    assert np.array_equal(run(PYTORCH, 0.3, 0.5), run(PYTORCH, 0.3, 0.0))  # stopped
    assert_allclose(run(LUA, 0.3, 0.5), run(replace(LUA, clock=0), 0.45, 0.5), rtol=1e-12)  # one ahead
    assert np.abs(run(LUA, 0.3, 0.5) - run(LUA, 0.3, 0.0)).max() > 1e-3


def test_the_first_gradient_starts_the_momentum_or_does_nothing():
    def run(first, steps):
        kind = replace(PYTORCH, first_gradient=first)
        return entropy_sgd_as(kind, quadratic_gradient, START, steps=steps, draws=draws(steps), **LOOP).x[-1]

    assert np.array_equal(run("discarded", 4), run("not taken", 4))
    extra = run("starts momentum", 1) - run("discarded", 1)
    assert_allclose(extra, -LOOP["lr"] * 0.9**2 * quadratic_gradient(START), rtol=1e-12)


def test_every_gradient_is_counted():
    calls = 0

    def counted(x):
        nonlocal calls
        calls += 1
        return quadratic_gradient(x)

    for kind, expected in ((PAPER, 20), (LUA, 24), (PYTORCH, 24)):
        calls = 0
        run = entropy_sgd_as(kind, counted, START, steps=4, draws=draws(4), **LOOP)
        assert run.evaluations[-1] == calls == expected


def test_outer_momentum_on_a_quadratic_is_a_two_term_recursion():
    """With d = (1 − r) x: x₊ = x − η (d + m v₊) and v₊ = m v + d, so a 2 × 2 matrix to a power."""
    quiet = {**LOOP, "noise": 0.0, "scoping": 0.0}
    kind = replace(PAPER, outer_momentum=0.6)
    kept = entropy_sgd_as(replace(kind, outer_momentum=0.0), quadratic_gradient, START, steps=1, **{**quiet, "lr": 1.0})
    d = 1 - kept.x[-1] / START
    run = entropy_sgd_as(kind, quadratic_gradient, START, steps=9, **quiet).x[-1]
    for i in range(2):
        v_row = np.array([d[i, 0], 0.6])
        x_row = np.array([1.0, 0.0]) - 0.5 * (np.array([d[i, 0], 0.0]) + 0.6 * v_row)
        power = np.linalg.matrix_power(np.array([x_row, v_row]), 9)
        assert_allclose(run[i], power[0, 0] * START[i], rtol=1e-9)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"gamma": -0.1}, "gamma must be 0 or more; got -0.1"),
        ({"langevin_lr": 0.0}, "langevin_lr must be positive; got 0.0"),
        ({"langevin_steps": 0}, "langevin_steps must be 1 or more"),
        ({"noise": -1.0}, "noise must be 0 or more"),
        ({"scoping": -1.0}, "scoping must be 0 or more"),
        ({"lr": 0.0, "noise": 0.0}, "lr must be positive"),
        ({"draws": np.zeros((2, 4))}, r"\(3, 5, 2, 3\); got \(2, 4\)"),
        ({}, "noise = 0.2 needs an rng, or draws"),
        ({"langevin_lr": 9.0, "noise": 0.0, "steps": 99}, "left the finite numbers"),
    ],
)
def test_bad_input_is_answered_in_a_sentence(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        entropy_sgd_as(PAPER, quadratic_gradient, **{**LOOP, "x0": START, "steps": 3, **wrong})
