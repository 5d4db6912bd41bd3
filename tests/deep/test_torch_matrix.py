"""PyTorch's own matrix of optimizer tests, for EntropySGD and EntropyAdam.

The table of configurations is torch's `OptimizerInfo`; the bodies follow torch's test/test_optim.py, which is not in
its wheel. Left out, because they ask for what no third-party optimizer needs or what is not promised here: fused,
capturable and differentiable implementations, and the tests that need a GPU.
"""

import copy
import io
import itertools

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LinearLR, OneCycleLR, ReduceLROnPlateau, StepLR
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.testing._internal.common_optimizers import ErrorOptimizerInput, OptimizerInfo, OptimizerInput

from esgd_minimal.deep.entropy_adam import EntropyAdam
from esgd_minimal.deep.entropy_sgd import EntropySGD
from esgd_minimal.deep.presets import released_lua, released_pytorch

QUICK = {"langevin_steps": 3, "langevin_lr": 0.05}
DECAY = {"weight_decay": 0.1, "langevin_weight_decay": 0.2}
NEWER = ("foreach", "maximize")  # flags that torch's own optimizers did not have at first
NESTEROV = {"langevin_momentum": 0.9, "nesterov": True}


def inputs(*_, dtype=None):
    """Arguments without parameters, noise and all."""
    return [
        OptimizerInput(params=None, kwargs={**QUICK}, desc="default"),
        OptimizerInput(params=None, kwargs={**QUICK, "noise": 0.0}, desc="no noise"),
        OptimizerInput(params=None, kwargs={**QUICK, "noise": 1e-3, "gamma": 0.5, "scoping": 0.1}, desc="scoping"),
        OptimizerInput(params=None, kwargs={**QUICK, "maximize": True, "noise": 0.0}, desc="maximize"),
        OptimizerInput(params=None, kwargs={**QUICK, **DECAY}, desc="weight decays"),
        OptimizerInput(params=None, kwargs={**QUICK, **DECAY, **NESTEROV}, desc="weight decays, Nesterov in the chain"),
        OptimizerInput(params=None, kwargs={**QUICK, "langevin_momentum": 0.5}, desc="heavy ball in the chain"),
    ]


def sgd_inputs(*_, dtype=None):
    lua, pytorch = (preset(langevin_steps=3, weight_decay=0.1) for preset in (released_lua, released_pytorch))
    return [
        *inputs(),
        OptimizerInput(params=None, kwargs={**QUICK, "lr": 0.5}, desc="half a step"),
        OptimizerInput(params=None, kwargs={**QUICK, "lr": torch.tensor(0.5)}, desc="lr a tensor"),
        OptimizerInput(params=None, kwargs={**QUICK, "lr": 0.5, "momentum": 0.9}, desc="outer heavy ball"),
        OptimizerInput(params=None, kwargs={"lr": 0.1, **pytorch}, desc="released_pytorch"),
        OptimizerInput(params=None, kwargs={"lr": 1.0, **lua}, desc="released_lua"),
    ]


def adam_inputs(*_, dtype=None):
    common = [OptimizerInput(None, {"lr": 0.01, **each.kwargs}, each.desc) for each in inputs()]
    return [*common, OptimizerInput(None, {**QUICK, "lr": 0.05, "betas": (0.5, 0.9), "eps": 1e-4}, "other betas")]


def errors(*_, dtype=None):
    p = [nn.Parameter(torch.ones(2))]
    return [
        ErrorOptimizerInput(OptimizerInput(p, kwargs, kind), error_type=ValueError, error_regex=regex)
        for kwargs, kind, regex in [
            ({"lr": -1.0}, "lr", "lr must be 0 or more; got -1.0"),
            ({"weight_decay": -0.5}, "decay", "weight_decay must be 0 or more; got -0.5"),
            ({"langevin_weight_decay": -0.5}, "inner decay", "langevin_weight_decay must be 0 or more; got -0.5"),
            ({"langevin_momentum": 1.0}, "inner momentum", r"langevin_momentum must be in \[0, 1\); got 1.0"),
        ]
    ]


SCHEDULERS = [
    [],
    [lambda optimizer: StepLR(optimizer, gamma=0.9, step_size=5)],
    [lambda optimizer: ExponentialLR(optimizer, gamma=0.95), lambda optimizer: ReduceLROnPlateau(optimizer)],
    [lambda optimizer: LinearLR(optimizer, 0.4, total_iters=4), lambda optimizer: CosineAnnealingLR(optimizer, 50)],
    [lambda optimizer: OneCycleLR(optimizer, max_lr=0.1, total_steps=60)],
]
DB = [
    OptimizerInfo(
        cls,
        optim_inputs_func=table,
        optim_error_inputs_func=errors,
        scheduler_inputs=SCHEDULERS,
        supported_impls=("foreach",),
    )
    for cls, table in ((EntropySGD, sgd_inputs), (EntropyAdam, adam_inputs))
]
EACH = [(info, each) for info in DB for each in info.optim_inputs_func()]
each_input = pytest.mark.parametrize(("info", "given"), EACH, ids=[f"{info.name}, {each.desc}" for info, each in EACH])
each_optimizer = pytest.mark.parametrize("info", DB, ids=[info.name for info in DB])


def fresh(given):
    return copy.deepcopy(given.kwargs)


def problem(dtype=torch.float64, contiguous=True):
    """A weight and a bias, and the loss |W x + b|² with its gradients as a closure."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(10, 5, generator=generator, dtype=dtype)
    bias = torch.randn(10, generator=generator, dtype=dtype)
    x = torch.randn(5, generator=generator, dtype=dtype)
    if not contiguous:
        weight, bias = (torch.stack([each, each], -1)[..., 0] for each in (weight, bias))
        assert not weight.is_contiguous() and not bias.is_contiguous()
    params = [nn.Parameter(weight), nn.Parameter(bias)]

    def loss_of(params):
        return (params[0].mv(x) + params[1]).abs().square().sum()

    return params, loss_of


def descend(optimizer, params, loss_of, steps, schedulers=()):
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(params)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        for scheduler in schedulers:
            scheduler.step(loss.item()) if isinstance(scheduler, ReduceLROnPlateau) else scheduler.step()
    return losses


@each_optimizer
def test_errors(info):
    for error in info.optim_error_inputs_func():
        given = error.optimizer_error_input
        with pytest.raises(error.error_type, match=error.error_regex):
            info.optim_cls(given.params, **given.kwargs)


@each_input
@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("schedulers", SCHEDULERS, ids=["no schedule", "one", "two", "two more", "one cycle"])
def test_right_direction(info, given, contiguous, schedulers):
    params, loss_of = problem(contiguous=contiguous)
    optimizer = info.optim_cls(params, **fresh(given))
    losses = descend(optimizer, params, loss_of, 42, [make(optimizer) for make in schedulers])
    optimizer.eval()
    end = loss_of(params).item()
    assert end > losses[0] if given.kwargs.get("maximize") else end < losses[0]


def slope(x):
    return x / 2 + x / (1 + x.abs() ** 2)


class Injecting:
    """A mix-in: the noise of the n-th draw of each parameter is the same, however it is asked for."""

    def _draw(self, like, generator):
        count = self.__dict__.setdefault("counts", {})
        count[like.data_ptr()] = count.get(like.data_ptr(), 0) + 1
        seed = 1000 * like.numel() + count[like.data_ptr()]
        return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed), dtype=like.dtype)

    def _draws(self, like, generator):
        return [self._draw(each, generator) for each in like]


@each_input
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex128])
def test_foreach_is_the_for_loop_to_the_bit(info, given, dtype):
    """With a parameter without dimensions, an empty one, one that never and one that not always has a gradient.

    Not in bfloat16: there torch's own `_foreach_mul_` rounds its scalar where `mul_` does not.
    """
    cls = type("Injected", (Injecting, info.optim_cls), {})
    kwargs = fresh(given) | {"noise": given.kwargs.get("noise", 0.1) and 0.1}
    results = []
    for foreach in (False, True):
        params, _ = problem(dtype)
        generator = torch.Generator().manual_seed(5)
        params += [nn.Parameter(torch.randn(s, generator=generator, dtype=dtype)) for s in [(), (0,), (7,), (3, 1)]]
        optimizer = cls(params, foreach=foreach, **copy.deepcopy(kwargs))
        for k in range(8):
            for i, p in enumerate(params):
                p.grad = None if i == 4 or (i == 0 and k in (2, 5)) else slope(p.detach())
            optimizer.step()
        results.append((params, optimizer))
    (one, a), (other, b) = results
    for p, q in zip(one, other, strict=True):
        assert torch.equal(p, q)
        assert a.state[p].keys() == b.state[q].keys()
        assert all(torch.equal(a.state[p][key], b.state[q][key]) for key in a.state[p])
    assert not a.state[one[4]]


@each_input
def test_foreach_on_its_own_noise_goes_the_right_way(info, given):
    params, loss_of = problem()
    optimizer = info.optim_cls(params, foreach=True, **fresh(given))
    losses = descend(optimizer, params, loss_of, 42)
    assert (losses[-1] > losses[0]) == bool(given.kwargs.get("maximize"))


@each_input
@pytest.mark.parametrize("foreach", [False, True])
def test_a_complex_parameter_is_two_real_ones(info, given, foreach):
    generator = torch.Generator().manual_seed(3)
    start = torch.randn(2, 4, generator=generator, dtype=torch.complex128)
    z, pair = nn.Parameter(start.clone()), nn.Parameter(torch.view_as_real(start).clone())
    optimizers = [info.optim_cls([p], foreach=foreach, **fresh(given)) for p in (z, pair)]
    for _ in range(8):
        for p, optimizer in zip((z, pair), optimizers, strict=True):
            optimizer.zero_grad()
            w = p if p.is_complex() else torch.view_as_complex(p)
            ((w - (1 + 2j)).abs().square().sum() + w.real.sum() * 0.3).backward()
            optimizer.step()
        assert torch.equal(torch.view_as_real(z.detach()), pair.detach())
    for optimizer in optimizers:
        optimizer.eval()
    assert torch.equal(torch.view_as_real(z.detach()), pair.detach())
    assert not torch.equal(z.detach(), start)


@each_optimizer
@pytest.mark.parametrize("foreach", [False, True])
def test_a_group_with_a_tiny_rate_does_not_move(info, foreach):
    params, loss_of = problem()
    before = [p.detach().clone() for p in params]
    groups = [{"params": [params[0]]}, {"params": [params[1]], "lr": 1e-28}]
    optimizer = info.optim_cls(groups, foreach=foreach, **QUICK)
    descend(optimizer, params, loss_of, 9)
    assert torch.equal(params[1], before[1]) and not torch.equal(params[0], before[0])


@each_optimizer
@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("name", ["weight_decay", "langevin_weight_decay"])
def test_weight_decay_by_group(info, foreach, name):
    """Without gradient of the loss, spring or noise the decayed group shrinks, and the other one stays."""
    p, q = (nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(2))
    groups = [{"params": [p], name: 0.1}, {"params": [q]}]
    optimizer = info.optim_cls(groups, foreach=foreach, lr=0.5, noise=0.0, **QUICK)
    for _ in range(3):
        p.grad, q.grad = torch.zeros_like(p), torch.zeros_like(q)
        optimizer.step()
    assert (q == 1).all() and (p < 1).all()
    if info.optim_cls is EntropySGD and name == "weight_decay":
        torch.testing.assert_close(p.detach(), torch.full_like(p, 1 - 0.5 * 0.1), rtol=0, atol=1e-15)


@each_input
@pytest.mark.parametrize("foreach", [False, True])
def test_no_gradients_no_step(info, given, foreach):
    params, _ = problem()
    before = [p.detach().clone() for p in params]
    optimizer = info.optim_cls(params, foreach=foreach, **fresh(given))
    for _ in range(4):
        optimizer.step()
    assert all(torch.equal(p, q) for p, q in zip(params, before, strict=True))
    assert not optimizer.state


@each_input
def test_zero_gradients_without_noise_or_decay_do_nothing(info, given):
    kwargs = fresh(given) | {"noise": 0.0, "weight_decay": 0.0, "langevin_weight_decay": 0.0}
    params, _ = problem()
    before = [p.detach().clone() for p in params]
    optimizer = info.optim_cls(params, **kwargs)
    for _ in range(7):
        for p in params:
            p.grad = torch.zeros_like(p)
        optimizer.step()
    assert all(torch.equal(p, q) for p, q in zip(params, before, strict=True))


@each_input
def test_it_prints_and_its_state_dict_is_deterministic(info, given):
    params, loss_of = problem()
    optimizer = info.optim_cls(params, **fresh(given))
    assert "langevin_steps: 3" in repr(optimizer)
    descend(optimizer, params, loss_of, 5)
    twins = [nn.Parameter(p.detach().clone()) for p in params]
    other = info.optim_cls(twins, **fresh(given))
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    descend(optimizer, params, loss_of, 5)
    descend(other, twins, loss_of, 5)
    assert all(torch.equal(p, q) for p, q in zip(params, twins, strict=True))


@each_input
def test_a_file_loads_as_weights_only_and_is_equal(info, given):
    params, loss_of = problem()
    optimizer = info.optim_cls(params, **fresh(given))
    descend(optimizer, params, loss_of, 4)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    loaded, kept = torch.load(file, weights_only=True), optimizer.state_dict()
    torch.testing.assert_close(loaded["state"], kept["state"], rtol=0, atol=0)
    assert str(loaded["param_groups"]) == str(kept["param_groups"])


@each_input
def test_a_checkpoint_without_the_newer_flags_loads(info, given):
    params, loss_of = problem()
    optimizer = info.optim_cls(params, **fresh(given))
    descend(optimizer, params, loss_of, 3)
    old = copy.deepcopy(optimizer.state_dict())
    for group in old["param_groups"]:
        for flag in NEWER:
            del group[flag]
    optimizer.load_state_dict(old)
    descend(optimizer, params, loss_of, 3)
    assert all(group[flag] == optimizer.defaults[flag] for group in optimizer.param_groups for flag in NEWER)


@each_input
def test_deepcopy_copies_all_public_attributes(info, given):
    optimizer = info.optim_cls(problem()[0], **fresh(given))
    one, other = ({k for k in vars(each) if not k.startswith("_")} for each in (optimizer, copy.deepcopy(optimizer)))
    assert one == other


@each_optimizer
def test_hooks_run_in_order(info):
    params, loss_of = problem()
    optimizer = info.optim_cls(params, **QUICK)
    seen = []
    handles = [
        register_optimizer_step_pre_hook(lambda *_: seen.append("every, before")),
        optimizer.register_step_pre_hook(lambda *_: seen.append("before")),
        optimizer.register_step_post_hook(lambda *_: seen.append("after")),
        register_optimizer_step_post_hook(lambda *_: seen.append("every, after")),
    ]
    descend(optimizer, params, loss_of, 1)
    for handle in handles:
        handle.remove()
    descend(optimizer, params, loss_of, 1)
    assert seen == ["every, before", "before", "after", "every, after"]


@each_optimizer
def test_state_dict_hooks_run(info):
    optimizer = info.optim_cls(problem()[0], **QUICK)
    count = itertools.count()
    for register in ("register_state_dict_pre_hook", "register_load_state_dict_post_hook"):
        getattr(optimizer, register)(lambda *_: next(count) and None)
    for register in ("register_state_dict_post_hook", "register_load_state_dict_pre_hook"):
        getattr(optimizer, register)(lambda _, state: next(count) and None)
    optimizer.load_state_dict(optimizer.state_dict())
    assert next(count) == 4
