"""The optimizer's own stream: its place in a checkpoint, and what happens when the device changes."""

import copy
import warnings

import pytest
import torch
from torch import nn

from esgd_minimal.deep.entropy_sgd import EntropySGD
from esgd_minimal.deep.noise import normal, normals


def run(p, optimizer, steps):
    for _ in range(steps):
        p.grad = torch.zeros_like(p)
        optimizer.step()
    return p.detach().clone()


def moved(device="cuda", seed=3, steps=5):
    """An optimizer whose checkpoint says that its noise came from another kind of device."""
    p = nn.Parameter(torch.zeros(40))
    optimizer = EntropySGD([p], noise=0.1, seed=seed, langevin_steps=100)
    run(p, optimizer, steps)
    state = copy.deepcopy(optimizer.state_dict())
    state["param_groups"][0].update(generator_device=device, generator_state=torch.zeros(16, dtype=torch.uint8))
    optimizer.load_state_dict(state)
    return p, optimizer


def test_a_stream_that_cannot_be_continued_says_so_once_and_starts_anew_the_same_each_time():
    paths = []
    for _ in range(2):
        p, optimizer = moved()
        with pytest.warns(UserWarning, match="came from a generator on cuda, which cpu cannot continue"):
            run(p, optimizer, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            paths.append(run(p, optimizer, 3))
    assert torch.equal(*paths)


@pytest.mark.filterwarnings("ignore:This run's noise")
def test_the_new_stream_is_not_the_old_one_over_again():
    first = nn.Parameter(torch.zeros(40))
    beginning = run(first, EntropySGD([first], noise=0.1, seed=3), 1)
    ends = []
    for steps, seed in ((5, 3), (6, 3), (5, 4)):  # it depends on the seed and on the clock
        p, optimizer = moved(steps=steps, seed=seed)
        before = p.detach().clone()
        ends.append(run(p, optimizer, 1) - before)
    for a, b in ((ends[0], ends[1]), (ends[0], ends[2]), (ends[0], beginning)):
        assert (a - b).abs().max() > 0.01


def test_the_state_dict_is_plain():
    _, optimizer = moved("cpu")
    allowed = (int, float, bool, str, type(None), list, torch.Tensor)
    for group in optimizer.state_dict()["param_groups"]:
        assert all(isinstance(value, allowed) for value in group.values()), group
    for state in optimizer.state_dict()["state"].values():
        assert all(isinstance(value, torch.Tensor) for value in state.values())


@pytest.mark.parametrize("shape", [(), (0,), (1,), (15,), (16,), (5, 7), (33, 3)])
def test_a_draw_is_torchs_and_one_tensors_is_the_same_alone_or_among_many(shape):
    like = torch.empty(shape)
    a, b = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    assert torch.equal(normal(like, a), torch.randn(shape, generator=b))
    assert torch.equal(normal(like, a), normals([like], b)[0])  # and the streams are still together
    assert torch.equal(a.get_state(), b.get_state())


def test_mixed_types_each_have_their_own():
    like = [torch.empty(3, dtype=torch.float64), torch.empty(2, 2)]
    draws = normals(like, torch.Generator().manual_seed(0))
    assert [(d.dtype, d.shape) for d in draws] == [(t.dtype, t.shape) for t in like]


def test_noise_lies_in_memory_as_its_tensor_does():
    """Or the foreach kernels would fall back to one tensor at a time. Strides with gaps cannot be kept."""
    gaps = torch.zeros(6, 4)[:, ::2]
    like = [torch.zeros(4, 3, 5, 5).contiguous(memory_format=torch.channels_last), torch.zeros(7), gaps]
    drawn = normals(like, torch.Generator().manual_seed(0))
    assert [d.stride() for d in drawn] == [like[0].stride(), (1,), (2, 1)]
    assert [d.shape for d in drawn] == [t.shape for t in like]
    numbers = torch.cat([d.flatten() for d in drawn]).sort().values
    assert torch.equal(numbers, torch.randn(319, generator=torch.Generator().manual_seed(0)).sort().values)
