"""Batch normalization's running statistics at the weights that are to be evaluated."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def reestimate_batch_norm(model: nn.Module, batches: Iterable[Any], device: torch.device | str | None = None) -> None:
    """Replace the running statistics by the mean over `batches` of each batch's own, with dropout off.

    An Entropy-SGD chain leaves the statistics of its last positions x′. So, to evaluate the weights x:

        optimizer.eval()
        reestimate_batch_norm(model, batches)
        model.eval()

    Every batch counts the same, as in `torch.optim.swa_utils.update_bn`, which leaves dropout on. A batch is what the
    model takes, or a tuple or list that begins with it. All modules are left in the mode they were found in.

    Raises:
        ValueError: there are no batches. After this or any other exception the statistics are those from before.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if not norms:
        return
    inputs: Iterator[Any] = iter(batches)
    first = next(inputs, None)
    if first is None:
        raise ValueError("The running statistics need at least one batch to be estimated from; there are none.")
    with _averaging(model, norms):
        for batch in chain([first], inputs):
            images: Tensor = batch[0] if isinstance(batch, (tuple, list)) else batch
            model(images if device is None else images.to(device))


@contextmanager
def _averaging(model: nn.Module, norms: list[_BatchNorm]) -> Iterator[None]:
    """For a while everything is in eval mode but the norms, which start a plain average."""
    modes = {module: module.training for module in model.modules()}
    momenta = {norm: norm.momentum for norm in norms}
    before = {buffer: buffer.clone() for norm in norms for buffer in norm.buffers(recurse=False)}
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # which means: the mean of all batches, not a running one
        norm.train()
    try:
        yield
    except BaseException:  # half an average is no statistic: what was there before is better
        for buffer, value in before.items():
            buffer.copy_(value)
        raise
    finally:
        for module, training in modes.items():
            module.training = training
        for norm, momentum in momenta.items():
            norm.momentum = momentum
