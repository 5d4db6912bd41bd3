"""The normal draws of an optimizer's own random stream, which a checkpoint carries on to the bit.

The stream is a seed and a generator's state, both kept in a dictionary of plain values (the optimizer's first
parameter group): a `torch.Generator` itself does not load with `weights_only=True`.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


def start_stream(run: dict[str, Any], seed: int) -> None:
    """A new stream in `run`; its generator's state comes with the first draw, when the device is known."""
    run.update(seed=seed, generator_state=None, generator_device=None)


@contextmanager
def continued(run: dict[str, Any], device: torch.device) -> Iterator[torch.Generator]:
    """The generator where it stopped; where it stops next is written down at the end.

    A CPU's and a GPU's generators are different algorithms, and neither can take the other's state. A run
    that goes on on the other kind of device says so in a warning, and starts a new stream there, seeded by its
    seed and its clock: other noise, but the same each time this checkpoint is moved.
    """
    generator = torch.Generator(device)
    if run["generator_state"] is None:
        generator.manual_seed(run["seed"])
    elif run["generator_device"] == device.type:
        generator.set_state(run["generator_state"].cpu())
    else:
        warnings.warn(
            f"This run's noise came from a generator on {run['generator_device']}, which {device.type} cannot "
            f"continue: a new stream starts, so the run goes on with other noise than it would have had.",
            stacklevel=2,
        )
        seeds = np.random.SeedSequence([run["seed"], run["outer"], run["inner"]])
        generator.manual_seed(int(seeds.generate_state(1, np.uint64)[0]))
    yield generator
    run.update(generator_state=generator.get_state(), generator_device=device.type)


def normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normals in the shape and type of a real tensor."""
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=generator.device).to(like.device)


def normals(like: list[Tensor], generator: torch.Generator) -> list[Tensor]:
    """The same for many tensors: one draw, cut up, if they are of one type.

    Each part lies in memory as its tensor does (channels-last, say): the foreach kernels ask for that.
    """
    device = generator.device
    if len({t.dtype for t in like}) > 1:
        return [normal(t, generator) for t in like]
    sizes = [t.numel() for t in like]
    draw = torch.randn(sum(sizes), generator=generator, dtype=like[0].dtype, device=device)
    return [_laid_out(part, t).to(t.device) for part, t in zip(draw.split(sizes), like, strict=True)]


def _laid_out(flat: Tensor, like: Tensor) -> Tensor:
    """A view of the numbers in the shape of a tensor, and in its strides if these leave no gaps."""
    if like.is_contiguous() or not torch.ops.aten.is_non_overlapping_and_dense(like):
        return flat.view(like.shape)
    return flat.as_strided(like.shape, like.stride(), flat.storage_offset())
