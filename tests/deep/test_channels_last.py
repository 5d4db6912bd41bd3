"""With weights that lie channels-last, no foreach kernel falls back to one tensor at a time.

On a GPU a dozen launches would become hundreds. PyTorch's condition (ForeachUtils.h) is checked here on the
operations that a step really asks for: the lists agree in type, and in the strides of every dimension above 1.
"""

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from esgd_minimal.deep import models, noise
from esgd_minimal.deep.entropy_adam import EntropyAdam
from esgd_minimal.deep.entropy_sgd import EntropySGD
from esgd_minimal.deep.experiments import EXPERIMENTS

CHAIN = EXPERIMENTS["allcnn"].methods


def strides(tensor):
    return [stride for n, stride in zip(tensor.shape, tensor.stride(), strict=True) if n != 1]


class Foreach(TorchDispatchMode):
    """Notes each foreach operation, and whether it could be done for all tensors at once."""

    def __init__(self):
        super().__init__()
        self.fast = {}

    def __torch_dispatch__(self, function, types, inputs=(), options=None):
        name = function._overloadpacket.__name__
        if name.startswith("_foreach"):
            lists = [each for each in inputs if isinstance(each, (list, tuple)) and isinstance(each[0], torch.Tensor)]
            pairs = [(a, b) for other in lists[1:] for a, b in zip(lists[0], other, strict=True)]
            alike = all(a.dtype == b.dtype and strides(a) == strides(b) for a, b in pairs)
            self.fast.setdefault(name, []).append(alike)
        return function(*inputs, **(options or {}))


def listened(make):
    """Five steps of a narrow All-CNN as the training loop has it, channels-last and in bfloat16, with L = 2."""
    network = models.allcnn(width=4).to(memory_format=torch.channels_last)
    images = torch.randn(4, 3, 32, 32).to(memory_format=torch.channels_last)
    optimizer, mode = make(network.parameters()), Foreach()
    for _ in range(5):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = cross_entropy(network(images), torch.arange(4))
        loss.backward()
        with mode:
            optimizer.step()
    return mode.fast


@pytest.mark.parametrize(
    "make",
    [
        lambda p: EntropySGD(p, **{**CHAIN["entropy-sgd"].settings, "langevin_steps": 2, "foreach": True}),
        lambda p: EntropySGD(p, **{**CHAIN["entropy-sgd-lua"].settings, "langevin_steps": 2, "foreach": True}),
        lambda p: EntropyAdam(p, langevin_steps=2, foreach=True),
    ],
    ids=["text", "Lua", "Adam"],
)
def test_every_foreach_operation_is_one(make, monkeypatch):
    heard = listened(make)
    assert len(heard) >= 4
    assert all(all(fast) for fast in heard.values()), heard
    monkeypatch.setattr(noise, "_laid_out", lambda flat, like: flat.view(like.shape))  # noise channels first
    assert not all(listened(make)["_foreach_add_"])
