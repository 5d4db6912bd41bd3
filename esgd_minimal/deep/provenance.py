"""Where a result comes from: what a record says of the machine and of the programs that made it."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

CLONE = Path(__file__).parents[2]


def versions() -> dict[str, str]:
    """Of Python, the libraries and this package, and the commit that it stands at."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "esgd_minimal": version("esgd_minimal"),
        "commit": commit(CLONE),
    }


def commit(clone: Path) -> str:
    """The commit, with a plus where files have been edited since; empty where this is no clone of its own."""
    if not (clone / ".git").exists():  # installed, perhaps inside somebody else's repository
        return ""
    command = ["git", "-C", str(clone), "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def device_name(device: torch.device) -> str:
    """What the run ran on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({platform.machine()}), {torch.get_num_threads()} threads"
