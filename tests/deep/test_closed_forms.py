"""EntropySGD against closed forms, against torch's own SGD in its limits, and what it keeps in memory."""

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from esgd_minimal.deep.entropy_sgd import EntropySGD

CURVATURE = torch.tensor([0.3, 1.0, 4.0, 10.0], dtype=torch.float64)
START = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
each_path = pytest.mark.parametrize("foreach", [False, True])


def descend(p, optimizer, steps, gradient=lambda x: CURVATURE * x):
    for _ in range(steps):
        p.grad = gradient(p.detach())
        optimizer.step()
    return p.detach().clone()


@each_path
@pytest.mark.parametrize("averaging", [0.25, 0.75, 1.0])
@pytest.mark.parametrize("L", [1, 5, 20])
def test_on_a_quadratic_it_is_a_linear_map(averaging, L, foreach):
    """With r = 1 − η′(λ + γ), b = 1 − α and m = γ x / (λ + γ), a chain ends with
    μ = b^L x + m (1 − b^L) + α r (b^L − r^L) / (b − r) (x − m)."""
    langevin_lr, gamma, lr = 0.07, 0.5, 0.6
    p = nn.Parameter(START.clone())
    optimizer = EntropySGD([p], lr, langevin_lr, L, gamma, scoping=0.0, averaging=averaging, noise=0.0, foreach=foreach)
    r, b = 1 - langevin_lr * (CURVATURE + gamma), 1 - averaging
    m = gamma / (CURVATURE + gamma)
    mu = b**L + m * (1 - b**L) + averaging * r * (b**L - r**L) / (b - r) * (1 - m)
    end = descend(p, optimizer, 6 * L)
    torch.testing.assert_close(end, START * (1 - lr * (1 - mu)) ** 6, rtol=1e-12, atol=1e-14)


@each_path
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_a_chain_without_spring_and_noise_is_torchs_sgd(momentum, nesterov, decay, maximize, foreach):
    p, q = nn.Parameter(START.clone()), nn.Parameter(START.clone())
    theirs = torch.optim.SGD([q], 0.02, momentum, 0.0, decay, nesterov, maximize=maximize)
    ours = EntropySGD(
        [p], langevin_lr=0.02, langevin_steps=99, gamma=0.0, noise=0.0, langevin_momentum=momentum,
        langevin_weight_decay=decay, nesterov=nesterov, maximize=maximize, foreach=foreach,
    )  # fmt: skip
    torch.testing.assert_close(descend(p, ours, 25), descend(q, theirs, 25), rtol=1e-12, atol=1e-14)


@each_path
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_the_outer_step_is_torchs_sgd_on_x_minus_mu(momentum, nesterov, decay, foreach):
    """With L = 1, α = 1, γ = ε = 0, x − μ is η′ times the gradient."""
    p, q = nn.Parameter(START.clone()), nn.Parameter(START.clone())
    theirs = torch.optim.SGD([q], 0.5, momentum, 0.0, decay, nesterov)
    ours = EntropySGD(
        [p], lr=0.5, langevin_lr=0.03, langevin_steps=1, gamma=0.0, noise=0.0, averaging=1.0, momentum=momentum,
        weight_decay=decay, nesterov=nesterov, foreach=foreach,
    )  # fmt: skip
    expected = descend(q, theirs, 25, gradient=lambda x: 0.03 * CURVATURE * x)
    torch.testing.assert_close(descend(p, ours, 25), expected, rtol=1e-12, atol=1e-14)


@each_path
def test_the_chains_momentum_rests_at_each_start(foreach):
    """Two chains of five are a chain of five from where the first one led."""
    settings = {"langevin_lr": 0.02, "langevin_steps": 5, "noise": 0.0, "scoping": 0.0, "langevin_momentum": 0.9}
    p = nn.Parameter(START.clone())
    optimizer = EntropySGD([p], foreach=foreach, **settings)
    middle = descend(p, optimizer, 5)
    q = nn.Parameter(middle.clone())
    assert torch.equal(descend(p, optimizer, 5), descend(q, EntropySGD([q], foreach=foreach, **settings), 5))


class Allocations(TorchDispatchMode):
    """The most bytes that operations under it have held at once in storages of their own."""

    def __init__(self):
        super().__init__()
        self.live, self.peak, self.known = 0, 0, set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        old = {
            t.untyped_storage()._cdata for t in torch.utils._pytree.tree_leaves((args, kwargs)) if torch.is_tensor(t)
        }
        results = function(*args, **(kwargs or {}))
        for t in torch.utils._pytree.tree_leaves(results):
            if torch.is_tensor(t) and t.untyped_storage()._cdata not in old | self.known:
                storage = t.untyped_storage()
                self.known.add(storage._cdata)
                self.live += storage.nbytes()
                weakref.finalize(storage, self.free, storage._cdata, storage.nbytes())
        self.peak = max(self.peak, self.live)
        return results

    def free(self, key, size):
        self.known.discard(key)
        self.live -= size


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"langevin_weight_decay": 0.1, "weight_decay": 0.1},
        {"langevin_momentum": 0.9, "momentum": 0.9, "langevin_weight_decay": 0.1},
        {"langevin_momentum": 0.9, "momentum": 0.9, "langevin_weight_decay": 0.1, "nesterov": True},
        {"langevin_momentum": 0.9, "langevin_weight_decay": 0.1, "nesterov": True, "momentum_on": "loss"},
        {"langevin_momentum": 0.9, "langevin_weight_decay": 0.1, "nesterov": True, "momentum_on": "loss and decay"},
    ],
)
def test_the_memory_is_x_mu_the_momenta_and_one_temporary(more):
    params = [nn.Parameter(torch.ones(1000)) for _ in range(8)]
    size = sum(4 * p.numel() for p in params)
    momenta = [name for name in ("langevin_momentum", "momentum") if more.get(name)]
    for foreach, temporary in ((True, size), (False, 3 * size / 8)):  # one by one, a few of a single tensor's size
        optimizer = EntropySGD(params, langevin_steps=2, foreach=foreach, **more)
        for _ in range(4):
            for p in params:
                p.grad = torch.ones_like(p)
            if not optimizer.state:
                optimizer.step()
                continue
            gc.collect()
            with Allocations() as allocations:
                optimizer.step()
            assert 0 < allocations.peak <= temporary + 6000  # and the generator's state, of 5,056 bytes
        assert all(set(optimizer.state[p]) == {"x", "mu", *momenta} for p in params)


@pytest.mark.parametrize("on", ["all", "loss"])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("m", [0.0, 0.5, 0.9])
def test_a_spring_is_refused_from_where_its_chain_diverges(m, nesterov, on, monkeypatch):
    if on == "loss" and not nesterov and m > 0:
        pytest.skip("a heavy ball on the loss alone is refused")

    def distance(pull):
        """Of x′ from x, long after one kick, in kicks."""
        p = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        settings = {"noise": 0.0, "langevin_momentum": m, "nesterov": nesterov, "momentum_on": on}
        optimizer = EntropySGD([p], langevin_lr=0.1, langevin_steps=10**6, gamma=pull / 0.1, **settings)
        descend(p, optimizer, 1, lambda x: torch.ones_like(x))
        return abs(descend(p, optimizer, 3000, torch.zeros_like).item()) / 0.1

    momentum = m if on == "all" else 0.0
    limit = (2 + 2 * momentum) / (1 + 2 * momentum) if nesterov else 2 + 2 * momentum
    assert distance(0.99 * limit) < 1e-3
    with pytest.raises(RuntimeError, match="the chain diverges where the spring alone is at"):
        distance(limit * (1 + 1e-9))
    monkeypatch.setattr(EntropySGD, "_largest_pull", lambda *_: float("inf"))
    assert distance(1.01 * limit) > 1e3


def test_scoping_that_has_run_away_is_refused_by_name():
    p = nn.Parameter(START.clone())
    optimizer = EntropySGD([p], langevin_steps=1, langevin_lr=0.5, gamma=0.03, scoping=0.1)
    with pytest.raises(RuntimeError, match=r"At outer step 52 .* lower scoping, gamma or langevin_lr"):
        descend(p, optimizer, 100, torch.zeros_like)
    assert 0.5 * 0.03 * 1.1**51 < 2 < 0.5 * 0.03 * 1.1**52
