"""Runs one after the other: begun, gone on with, or left as they are, and each by one process at a time."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from esgd_minimal import records
from esgd_minimal.deep import checkpoints
from esgd_minimal.deep import training as t
from esgd_minimal.deep.plan import Plan
from esgd_minimal.deep.stopping import Stopped


def train_all(runs: Sequence[Plan | Path], folder: Path, given: bool, device: torch.device, quiet: bool) -> int:
    """Train what is given by its plan, and go on with what is given by its checkpoint. Returns the exit code.

    A run that fails leaves the others alone; what stops several of them alike is said once. Records go to `folder`,
    which the user has `given`, or else wherever the run of a checkpoint was begun.
    """
    said: set[str] = set()
    for run in runs:
        try:
            train_one(run, folder, given, device, quiet)
        except Stopped as stopped:
            print(stopped, file=sys.stderr)
            return 130
        except (FloatingPointError, ValueError) as reason:
            if str(reason) not in said:
                print(f"esgd_minimal: {reason}", file=sys.stderr)
            said.add(str(reason))
    return 1 if said else 0


def train_one(run: Plan | Path, folder: Path, given: bool, device: torch.device, quiet: bool) -> None:
    """Train one run to its end, and leave its record with its weights beside it. A plan that is recorded is skipped.

    Raises:
        ValueError: the checkpoint is not one, or not of this plan, or on other data, or its run is recorded already;
            or another process trains this run; or see `training.Training`.
        FloatingPointError, Stopped: see `training.train`.
    """
    plan = checkpoints.get(run, "cpu")["plan"] if isinstance(run, Path) else run
    target = records.path(folder, plan.experiment, plan.method, plan.seed)
    checkpoint = run if isinstance(run, Path) else target.with_suffix(".checkpoint")
    if isinstance(run, Path) and not given and run.absolute().parent.name == plan.experiment:
        target = run.absolute().with_name(target.name)  # where the run was begun, wherever we are
    if recorded(run, target):  # before data is loaded
        return
    training = t.Training(plan, device)  # before anything is written: much of what is asked for is checked here
    with alone(checkpoint, target):
        if recorded(run, target):  # in the meantime, by another process
            return
        if isinstance(run, Path):
            t.go_on(training, checkpoint)
        elif checkpoint.exists():
            t.go_on(training, checkpoint)
            print(f"{checkpoint} is there: going on from step {training.step} of {training.steps}.", file=sys.stderr)
        try:
            record = t.train(training, checkpoint, quiet)
        except FloatingPointError as reason:
            raise FloatingPointError(f"{reason} The last checkpoint is kept in {checkpoint}.") from None
        t.keep_weights(training, target)  # before the record, which says that all is there
        written = records.write(target.parent.parent, record)
        checkpoint.unlink()
    print(written, *(f"{k} {v:.4g}" for k, v in record.results.items()), sep="  ")


def recorded(run: Plan | Path, target: Path) -> bool:
    """Whether there is nothing to do, since the record is there; that is said.

    Raises:
        ValueError: it is there, and the run was given by its checkpoint, which would overwrite it.
    """
    if not target.exists():
        return False
    if isinstance(run, Path):
        raise ValueError(f"{target} is there already, and {run} would overwrite it: delete one of the two.")
    print(f"{target} is there already; delete it to run that again.", file=sys.stderr)
    return True


@contextmanager
def alone(checkpoint: Path, target: Path) -> Iterator[None]:
    """For a while no other process may train the run of this checkpoint.

    Raises:
        ValueError: another one does.
    """
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{checkpoint}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"Another process is training this run, into {checkpoint}.") from None
    try:
        yield
    finally:
        # To take away a lock that others may be opening is safe only where they find the record, and nothing to do.
        if target.exists():
            with suppress(OSError):  # on Windows, where an open file stays
                Path(lock.lock_file).unlink()
        lock.release()
