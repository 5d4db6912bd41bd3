"""The command line: python -m esgd_minimal list | run | resume | table | spectrum | density | data."""

import argparse
import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from esgd_minimal import records
from esgd_minimal.arguments import SETS, of_the_same_kind, parser, setting


def main(arguments: list[str] | None = None) -> int:
    """Do what was asked; 0 if it went well. What goes wrong is one sentence on the standard error."""
    given = parser().parse_args(arguments)
    try:
        return COMMANDS[given.command](given)
    except (ValueError, FloatingPointError, OSError) as reason:
        print(f"esgd_minimal: {reason}", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as reason:
        sentence = known(reason)
        if sentence is None:  # an error of ours, whose traceback is wanted
            raise
        print(f"esgd_minimal: {sentence}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # while data is loaded, say; a run under way writes its checkpoint first
        print("Stopped.", file=sys.stderr)
        return 130


def known(reason: Exception) -> str | None:
    """What a user can do about an error of PyTorch's, where that is known."""
    said = str(reason)
    full = ("out of memory", "ALLOC_FAILED", "can't allocate memory", "not enough memory")
    if isinstance(reason, MemoryError) or any(sign in said for sign in full):
        return (
            "The memory is too small for this, or others use it too: free some, or add --device cpu if it is a GPU's."
            " A run that was begun goes on with `resume`."
        )
    if type(reason).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return f"The network cannot be compiled here ({said.splitlines()[0]}): leave --compile out."
    return None


def list_(given: argparse.Namespace) -> int:
    """The registry."""
    from esgd_minimal.deep.experiments import EXPERIMENTS

    for experiment in EXPERIMENTS.values():
        print(f"{experiment.name}: {experiment.network} on {experiment.data}")
        for name, method in experiment.methods.items():
            settings = ", ".join(f"{k}={v}" for k, v in method.settings.items())
            print(f"    {name:16} {method.epochs:4g} effective epochs   {settings}")
    return 0


def run(given: argparse.Namespace) -> int:
    """Train every method asked for, with every seed asked for, as far as that is not done yet."""
    return train_all(given, plans(given))


def plans(given: argparse.Namespace) -> list:
    """The runs that were asked for, as plans.

    Raises:
        ValueError: something is not known, or out of its range.
    """
    from esgd_minimal.deep import experiments
    from esgd_minimal.deep.plan import Plan

    if given.examples is not None and given.examples < 1:
        raise ValueError(f"--examples is 1 or more; got {given.examples}.")
    if given.epochs is not None and not math.isfinite(given.epochs):
        raise ValueError(f"--epochs is a number above 0; got {given.epochs:g}.")
    seeds = list(dict.fromkeys(given.seed or [0]))
    if not all(0 <= seed < 2**63 for seed in seeds):  # PyTorch's own have 64 bits
        raise ValueError(f"--seed is 0 or more, and below 2^63; got {', '.join(map(str, seeds))}.")
    experiment = experiments.EXPERIMENTS[experiments.nearest(given.experiment, experiments.EXPERIMENTS, "experiment")]
    methods = list(dict.fromkeys(given.optimizer or experiment.methods))
    for method in methods:
        experiments.nearest(method, experiment.methods, f"method of {experiment.name}")
    for assignment in given.set:
        name, value = setting(assignment)
        for k, method in enumerate(methods):
            if name in (present := experiment.methods[method].settings):
                of_the_same_kind(f"{name} of {method}", value, present[name])
            experiment, methods[k] = experiments.with_setting(experiment, method, name, value)
    if given.epochs is not None:
        experiment = experiments.with_epochs(experiment, given.epochs)
    return [
        Plan.of(experiment, method, seed, given.precision, given.examples, given.compile)
        for seed in seeds
        for method in methods
    ]


def spectrum(given: argparse.Namespace) -> int:
    """Train what was not trained yet, and compute and record the Hessian's eigenvalues at the end."""
    from esgd_minimal import spectrum_records
    from esgd_minimal.deep import spectra

    if given.images < 1:
        raise ValueError(f"--images is 1 or more; got {given.images}.")
    folder, failed = runs_folder(given), 0
    for plan in plans(given):
        done = records.path(folder, plan.experiment, plan.method, plan.seed)
        if not done.exists() and (code := train_all(given, [plan])):
            if code == 130:  # asked to stop
                return code
            failed = code
            continue
        found = spectra.of_run(
            plan, records.read(done), done.with_suffix(".pt"), given.images, given.double, given.quiet
        )
        s = found.spectrum
        print(
            spectrum_records.write(folder, found),
            f"{s.weights} eigenvalues from {s.smallest[0]:.4g} to {s.largest[0]:.4g}",
            sep="  ",
        )
    return failed


def density(given: argparse.Namespace) -> int:
    """Record both ends, the density and the trace of the Hessian's spectrum at the end of runs that are done."""
    from esgd_minimal import density_records
    from esgd_minimal.deep import density as d

    device, folder = choose_device(given.device), runs_folder(given)
    for plan, done in [(plan, d.trained(plan, folder, given)) for plan in plans(given)]:
        found = d.of_run(plan, done, given.images, given.steps, given.probes, device, given.quiet)
        print(density_records.write(folder, found), density_records.summary(found), sep="  ")
    return 0


def resume(given: argparse.Namespace) -> int:
    """Go on with what was interrupted."""
    found = given.checkpoint or sorted(runs_folder(given).glob("*/*.checkpoint"))
    if not found:
        print("There is nothing to resume.")
    return train_all(given, list(dict.fromkeys(found)))


def train_all(given: argparse.Namespace, runs: list) -> int:
    """One run after the other: new ones by their plans, begun ones by their checkpoints."""
    from esgd_minimal.deep import running

    device = choose_device(given.device)
    return running.train_all(runs, runs_folder(given), given.runs is not None, device, given.quiet)


def table(given: argparse.Namespace) -> int:
    """Print every experiment's table; of an experiment that was only run cut, the table of its largest budget.

    Raises:
        ValueError: there is nothing to print.
    """
    folder = runs_folder(given)
    known = records.names(folder)
    if not (known or given.experiment):
        raise ValueError(f"There is no record in {folder}: `run` writes one, and --runs says where they are.")
    for name in given.experiment or known:
        cut = name not in known and records.budgets(folder, name)
        by_method = cut_table(folder, name) if cut else records.load(folder, name)
        first = next(iter(by_method.values()))[0]
        shown = ("test_error", 2) if "test_error" in first.results else ("test_loss", 3)
        print(f"\n{first.experiment}\n\n{records.table(by_method, *shown)}")
    return 0


def cut_table(folder: Path, name: str) -> dict[str, list[records.Record]]:
    """The largest budget at which all methods have two seeds, or else the largest that there is."""
    try:
        return records.fullest(folder, name)
    except ValueError:
        return records.fullest(folder, name, seeds=1)


def data(given: argparse.Namespace) -> int:
    """Fetch what is missing."""
    from torch import Tensor

    from esgd_minimal.deep import datasets
    from esgd_minimal.deep.experiments import nearest

    loaders: dict[str, Callable[[], Any]] = {name: getattr(datasets, name.replace("-", "_")) for name in SETS}
    for name in [nearest(name, loaders, "data set") for name in given.name] or loaders:
        parts = loaders[name]()
        sizes = [len(part if isinstance(part, Tensor) else part.labels) for part in parts[:3]]
        print(f"{name}: {', '.join(f'{size:,}' for size in sizes)}")
    return 0


def choose_device(name: str):
    """The torch device that is meant.

    Raises:
        ValueError: cuda is asked for, and there is none; or it is there and does not work.
    """
    import torch

    if name == "cpu":
        return torch.device("cpu")
    with warnings.catch_warnings(record=True) as said:  # an old driver, an unknown card: PyTorch only warns
        warnings.simplefilter("always")
        found = torch.cuda.is_available()
    says = "".join(f" It says: {' '.join(str(each.message).split())}" for each in said[:1])
    if name == "cuda" and not found:
        built = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built without CUDA"
        raise ValueError(
            f"PyTorch finds no GPU, and {built}: leave --device out to use the CPU, or install the PyTorch that"
            f" your driver takes (pytorch.org has the table). CUDA_VISIBLE_DEVICES hides GPUs, too.{says}"
        )
    if not found:
        if says:
            print(f"PyTorch cannot use the GPU, so this is for the CPU.{says}", file=sys.stderr)
        return torch.device("cpu")
    try:
        torch.ones(1, device="cuda").add(1).item()
    except RuntimeError as reason:
        first = str(reason).splitlines()[0]
        raise ValueError(f"The GPU does not work with this PyTorch ({first}); --device cpu leaves it out.") from None
    torch.backends.cudnn.benchmark = True  # the batches of a run have one size: the fastest kernels are worth finding
    return torch.device("cuda")


def runs_folder(given: argparse.Namespace) -> Path:
    """Where the records lie.

    Raises:
        ValueError: what --runs names is no folder.
    """
    folder = given.runs or (Path("book/runs") if Path("book").is_dir() else Path("runs"))
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--runs names a folder for the records; {folder} is a file.")
    return folder


COMMANDS = {
    **{"list": list_, "run": run, "resume": resume, "table": table},
    **{"spectrum": spectrum, "density": density, "data": data},
}

if __name__ == "__main__":
    sys.exit(main())
