"""Where a result comes from: what a record says of the machine and of the programs that made it."""

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

CLONE = Path(__file__).parents[2]


def versions() -> dict[str, str]:
    """Of Python, the libraries and this package, and the commit that it stood at when this was first asked for.

    What is committed later is not in this process, which has loaded its modules. A package that is not installed,
    but found on the path say, has an empty version.
    """
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # a plain one, which a checkpoint can hold
        "numpy": np.__version__,
        "esgd_minimal": installed("esgd_minimal"),
        "commit": first_commit(CLONE),
    }


def joined(earlier: dict[str, str], now: dict[str, str]) -> dict[str, str]:
    """The versions of all sittings of a run, where they differ one after the other: "2.12.0, 2.13.0"."""
    both = {name: [*earlier.get(name, "").split(", "), now.get(name, "")] for name in earlier | now}
    return {name: ", ".join(dict.fromkeys(filter(None, values))) for name, values in both.items()}


def installed(package: str) -> str:
    """Its version; empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


@cache
def first_commit(clone: Path) -> str:
    """The commit when this was first asked for."""
    return commit(clone)


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
