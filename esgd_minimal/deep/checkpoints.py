"""What is kept of a network or of a run in a file of PyTorch's: written whole or not at all, read with suspicion."""

import os
from pathlib import Path
from typing import Any

import torch

from esgd_minimal.deep.plan import Plan

WRITING = ("inline_container", "PytorchStreamWriter", "iostream")  # in what PyTorch says when a file is at fault


def put(state: dict[str, Any], target: Path) -> None:
    """Write a state, whole or not at all.

    Raises:
        OSError: it cannot be written, the disk is full say; what was there before is there still.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    try:
        torch.save(state, part)
        os.replace(part, target)
    except (OSError, RuntimeError) as reason:
        part.unlink(missing_ok=True)
        said = str(reason).splitlines()[0]
        if not isinstance(reason, OSError) and not any(sign in said for sign in WRITING):
            raise
        raise OSError(f"{target} cannot be written; the disk may be full ({said.rstrip('.')}).") from None


def get(checkpoint: Path, device: torch.device | str) -> dict[str, Any]:
    """What a checkpoint holds, with its plan as a `Plan`.

    Raises:
        ValueError: the file is not a checkpoint.
    """
    try:
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        return state | {"plan": Plan.from_dict(state["plan"])}
    except Exception as reason:
        raise ValueError(f"{checkpoint} is not a checkpoint of a run ({type(reason).__name__}).") from None
