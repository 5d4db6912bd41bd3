"""The three published versions against the NumPy reference, on the same draws; and what tells them apart."""

import numpy as np
import pytest
import torch
from injected import FromDraws
from torch import nn

from esgd_minimal.deep import presets
from esgd_minimal.deep.entropy_sgd import EntropySGD
from esgd_minimal.toy.released import PRESETS, entropy_sgd_as

START = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])
NUMBERS = {"gamma": 0.3, "scoping": 0.1, "noise": 0.2, "langevin_lr": 0.04, "langevin_steps": 5}
OUTER = 7


class Injected(FromDraws, EntropySGD):
    pass


def slope(x):
    """Of ¼ x² − log(1 + x²): two wells, for arrays, tensors and numbers."""
    return x / 2 - 2 * x / (1 + x**2)


def draws(seed=3):
    return np.random.default_rng(seed).standard_normal((OUTER, NUMBERS["langevin_steps"], *START.shape))


def path(settings, gradient=slope, foreach=None):
    """x after each outer step of EntropySGD on the two wells."""
    p = nn.Parameter(torch.tensor(START))
    optimizer = Injected([p], draws().reshape(-1, *START.shape), lr=0.5, foreach=foreach, **settings)
    xs = [START]
    for _ in range(OUTER):
        for _ in range(NUMBERS["langevin_steps"]):
            p.grad = gradient(p.detach())
            optimizer.step()
        xs.append(p.detach().numpy().copy())
    return np.array(xs)


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_its_numpy_reference(name, foreach):
    xi = draws()
    ours = path(getattr(presets, name)(**NUMBERS), foreach=foreach)
    for other, settings in PRESETS.items():
        reference = entropy_sgd_as(settings, slope, START, 0.5, OUTER, draws=xi, **NUMBERS).x
        if other == name:
            np.testing.assert_allclose(ours, reference, rtol=0, atol=1e-12)
        else:
            assert np.abs(ours - reference).max() > 1e-3  # the lock would not take another version for this one


@pytest.mark.parametrize(
    ("name", "slip"),
    [
        ("paper", {"averaging": 0.25}),
        ("paper", {"momentum_on": "loss"}),
        ("paper", {"momentum": 0.0}),
        ("paper", {"nesterov": False}),
        ("released_lua", {"gamma": 0.3}),
        ("released_lua", {"noise": 0.2}),
        ("released_lua", {"momentum_on": "all"}),
        ("released_pytorch", {"gradient_starts_momentum": False}),
        ("released_pytorch", {"scoping": 0.1}),
    ],
)
def test_the_lock_sees_a_single_switch(name, slip):
    right = getattr(presets, name)(**NUMBERS)
    assert np.abs(path(right) - path({**right, **slip})).max() > 1e-4


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_leaves_nothing_of_the_algorithm_to_the_defaults_but_the_outer_rate(name):
    arguments = set(EntropySGD([nn.Parameter(torch.ones(2))]).defaults)
    assert arguments - set(getattr(presets, name)()) == {"lr", "maximize", "foreach"}


@pytest.mark.parametrize("name", PRESETS)
def test_a_misspelt_number_is_refused_by_name(name):
    with pytest.raises(TypeError, match="gama"):
        getattr(presets, name)(gama=0.03)


def with_decay(program, decay, x, xi):
    """A released program with weight decay, for a single weight: Lua's decay is past the momentum, PyTorch's in it."""
    lr, m, gamma, scoping, noise, langevin_lr = 0.5, 0.9, 0.3, 0.1, 0.2, 0.04
    outer = slope(x)
    for count, row in enumerate(xi, start=1):
        scope = gamma * (1 + scoping) ** count if program == "released_lua" else gamma
        y = average = x
        buffer = 0.0
        for z in row:
            if program == "released_lua":
                buffer = m * buffer + slope(y)
                direction = slope(y) + m * buffer + decay * y
            else:
                buffer = m * buffer + slope(y) + decay * y
                direction = slope(y) + decay * y + m * buffer
            y -= langevin_lr * (direction - scope * (x - y) - noise / (0.5 * langevin_lr) ** 0.5 * z)
            average = 0.75 * average + 0.25 * y
        if program == "released_lua":
            x -= lr * (x - average)
        else:
            d = x - average + decay * x
            outer = m * outer + d
            x -= lr * (d + m * outer)
    return x


@pytest.mark.parametrize("name", ["released_lua", "released_pytorch"])
def test_weight_decay_goes_where_the_program_puts_it(name):
    ours = path(getattr(presets, name)(**NUMBERS, weight_decay=0.05))[-1]
    for i in np.ndindex(*START.shape):
        theirs = with_decay(name, 0.05, START[i], draws()[(..., *i)])
        assert ours[i] == pytest.approx(theirs, abs=1e-12)
    assert np.abs(ours - path(getattr(presets, name)(**NUMBERS))[-1]).max() > 1e-3


def test_the_papers_weight_decay_is_a_term_of_the_loss():
    decayed = path(presets.paper(**NUMBERS, weight_decay=0.05))
    in_the_loss = path(presets.paper(**NUMBERS), gradient=lambda x: slope(x) + 0.05 * x)
    np.testing.assert_allclose(decayed, in_the_loss, rtol=0, atol=1e-12)


def test_half_a_momentum_is_refused_by_name():
    with pytest.raises(ValueError, match=r"momentum_on must be 'all', or with nesterov .*; got loss"):
        EntropySGD([nn.Parameter(torch.ones(2))], langevin_momentum=0.9, momentum_on="loss")
