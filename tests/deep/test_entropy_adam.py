"""EntropyAdam: torch's own Adam on the stream of x − μ, and a guest like its parent."""

import copy

import numpy as np
import pytest
import torch
from injected import FromDraws
from torch import nn

from esgd_minimal.deep.entropy_adam import EntropyAdam
from esgd_minimal.toy.landscapes import quadratic_gradient
from esgd_minimal.toy.optimizers import entropy_sgd

START = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])
CURVATURES = torch.tensor([[1.0], [10.0]], dtype=torch.float64)
CHAIN = {"gamma": 0.3, "noise": 0.2, "langevin_lr": 0.07, "averaging": 0.75}


class Injected(FromDraws, EntropyAdam):
    pass


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("adam", [{}, {"betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1}])
def test_it_is_torchs_adam_on_the_reference_chains_x_minus_mu(adam, foreach):
    draws = np.random.default_rng(1).standard_normal((8, 5, *START.shape))
    p, q = nn.Parameter(torch.tensor(START)), nn.Parameter(torch.tensor(START))
    settings = {"lr": 0.1, "langevin_steps": 5, "scoping": 0.0, "foreach": foreach, **CHAIN, **adam}
    ours = Injected([p], draws.reshape(-1, *START.shape), **settings)
    theirs = torch.optim.Adam([q], lr=0.1, **adam)
    for t in range(8):
        for _ in range(5):
            p.grad = CURVATURES * p.detach()
            ours.step()
        x = q.detach().numpy()
        mu = entropy_sgd(quadratic_gradient, x, 1.0, 1, langevin_steps=5, draws=draws[t : t + 1], **CHAIN).x[-1]
        q.grad = torch.tensor(x - mu)
        theirs.step()
        torch.testing.assert_close(p, q, rtol=0, atol=1e-12)
    assert (p.detach() - torch.tensor(START)).abs().min() > 0.1


@pytest.mark.parametrize("cut", range(9))
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(cut, tmp_path):
    def steps(p, optimizer, n):
        for _ in range(n):
            p.grad = CURVATURES * p.detach()
            optimizer.step()

    whole, half, rest = (nn.Parameter(torch.tensor(START)) for _ in range(3))
    settings = {"lr": 0.1, "langevin_steps": 4, **CHAIN}
    steps(whole, EntropyAdam([whole], **settings), 15)
    optimizer = EntropyAdam([half], **settings)
    steps(half, optimizer, cut)
    torch.save({"p": half.detach(), "optimizer": optimizer.state_dict()}, tmp_path / "run.pt")
    file = torch.load(tmp_path / "run.pt", weights_only=True)
    rest.data.copy_(file["p"])
    resumed = EntropyAdam([rest])
    resumed.load_state_dict(file["optimizer"])
    steps(rest, resumed, 15 - cut)
    assert torch.equal(whole, rest)
    assert copy.deepcopy(resumed).state_dict()["param_groups"][0]["betas"] == (0.9, 0.999)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [({"betas": (1.0, 0.9)}, "betas must be in"), ({"eps": -1.0}, "eps must be 0 or more"), ({"lr": -1.0}, "lr must")],
)
def test_bad_values_are_named(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        EntropyAdam([nn.Parameter(torch.ones(2))], **wrong)
