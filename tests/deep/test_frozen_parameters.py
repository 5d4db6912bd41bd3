"""Parameters that are frozen, thawed, or looked at: what has no gradient in a whole chain does not move."""

import copy

import pytest
import torch
from torch import nn

from esgd_minimal.deep import presets
from esgd_minimal.deep.entropy_adam import EntropyAdam
from esgd_minimal.deep.entropy_sgd import EntropySGD

L = 4
KINDS = {
    "plain": lambda p, **more: EntropySGD(p, 0.1, 0.05, L, noise=0.01, **more),
    "the text": lambda p, **more: EntropySGD(p, 0.1, **presets.paper(langevin_steps=L, weight_decay=0.01), **more),
    "PyTorch": lambda p, **more: EntropySGD(p, 0.1, **presets.released_pytorch(langevin_steps=L), **more),
    "decay": lambda p, **more: EntropySGD(p, 0.1, 0.05, L, weight_decay=0.1, momentum=0.9, **more),
    "Adam": lambda p, **more: EntropyAdam(p, 0.01, 0.05, L, weight_decay=0.1, **more),
}
each_path = pytest.mark.parametrize("foreach", [False, True])
each_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


def steps(optimizer, params, n):
    for _ in range(n):
        optimizer.zero_grad()
        sum(p.square().sum() for p in params if p.requires_grad).backward()
        optimizer.step()


@each_path
@each_kind
def test_a_frozen_parameter_stays_where_it_is(make, foreach):
    a, b = (nn.Parameter(torch.linspace(0.5, 1.5, 3, dtype=torch.float64)) for _ in range(2))
    optimizer = make([a, b], foreach=foreach)
    steps(optimizer, [a, b], 3 * L)
    b.requires_grad_(False)
    here, state = b.detach().clone(), copy.deepcopy(optimizer.state[b])
    steps(optimizer, [a, b], 25 * L)
    assert torch.equal(b, here) and all(torch.equal(state[k], v) for k, v in optimizer.state[b].items())
    b.requires_grad_(True)
    steps(optimizer, [a, b], L)
    assert not torch.equal(b.detach(), here)


@each_kind
def test_frozen_within_a_chain_it_makes_that_chains_outer_step_and_no_other(make):
    a, b = (nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(2))
    optimizer = make([a, b])
    steps(optimizer, [a, b], L + 1)
    b.requires_grad_(False)
    steps(optimizer, [a, b], 1)
    file = copy.deepcopy(optimizer.state_dict())  # a checkpoint knows who has walked
    steps(optimizer, [a, b], L - 2)
    state = optimizer.state[b]
    assert torch.equal(b, state["x"]) and torch.equal(b, state["mu"]) and not torch.equal(b, torch.ones(3))
    here = b.detach().clone()
    steps(optimizer, [a, b], 3 * L)
    assert torch.equal(b, here)
    again = make([a, b])
    again.load_state_dict(file)
    assert again.param_groups[0]["walked"] == [0, 1]


def test_a_checkpoint_from_before_frozen_parameters_were_known_loads():
    p = nn.Parameter(torch.ones(2))
    optimizer = KINDS["plain"]([p, nn.Parameter(torch.ones(1))])
    p.grad = torch.ones(2)
    optimizer.step()
    file = optimizer.state_dict()
    del file["param_groups"][0]["walked"]
    optimizer.load_state_dict(file)
    assert optimizer.param_groups[0]["walked"] == [0]


def test_a_look_at_the_state_of_a_parameter_changes_nothing():
    a, frozen = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2), requires_grad=False)
    optimizer = KINDS["plain"]([a, frozen])
    steps(optimizer, [a, frozen], L + 1)
    assert optimizer.state[frozen] == {}
    x_prime = a.detach().clone()
    optimizer.eval()
    assert torch.equal(a, optimizer.state[a]["x"])
    optimizer.train()
    assert torch.equal(a, x_prime) and torch.equal(frozen, torch.ones(2))
