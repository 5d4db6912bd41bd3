"""The command line: python -m esgd_minimal list | run | resume | table | spectrum | density | data."""

import argparse
import ast
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from esgd_minimal import records

ABOUT = """Train the networks of the Entropy-SGD paper, by Entropy-SGD and by what it is compared with.

    python -m esgd_minimal list
    python -m esgd_minimal run mnistfc --optimizer entropy-sgd --seed 0 --epochs 5
    python -m esgd_minimal table mnistfc-5-epochs
"""


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    top = argparse.ArgumentParser(
        prog="python -m esgd_minimal", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    runs = argparse.ArgumentParser(add_help=False)
    runs.add_argument("--runs", type=Path, help="folder of the records (default: book/runs in a clone, else runs)")
    machine = argparse.ArgumentParser(add_help=False)
    machine.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: a GPU if there")
    machine.add_argument("--quiet", action="store_true", help="no progress bar")

    which = argparse.ArgumentParser(add_help=False)
    which.add_argument("--optimizer", action="append", metavar="METHOD", help="may be repeated (default: all of them)")
    which.add_argument("--seed", action="append", type=int, help="may be repeated (default: 0)")

    commands.add_parser("list", help="the experiments, their methods and budgets")
    run = commands.add_parser("run", parents=[which, runs, machine], help="train, and write a record for each run")
    run.add_argument("experiment", help="a name that `list` shows")
    run.add_argument("--epochs", type=float, help="a budget in effective epochs, instead of the paper's")
    run.add_argument("--examples", type=int, help="train on this many examples only")
    run.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting; may be repeated"
    )
    run.add_argument("--precision", choices=["float32", "bfloat16"], default="float32", help="of the passes")
    run.add_argument("--compile", action="store_true", help="compile the network first, for a GPU")
    resume = commands.add_parser("resume", parents=[runs, machine], help="go on with what was interrupted")
    resume.add_argument("checkpoint", nargs="*", type=Path, help="default: all in the folder of records")
    table = commands.add_parser("table", parents=[runs], help="the records beside the paper's numbers, in Markdown")
    table.add_argument("experiment", nargs="*", help="default: all that have a record")
    spectrum = commands.add_parser(
        "spectrum", parents=[which, runs, machine], help="all eigenvalues at the end of a run"
    )
    spectrum.add_argument(
        "experiment", help="one whose whole Hessian fits: tiny-mnistfc, small-mnistfc, small-lenet, small-char-lstm"
    )
    spectrum.add_argument("--epochs", type=float, help="a budget in effective epochs, instead of the registry's")
    spectrum.add_argument(
        "--images", type=int, default=4096, help="or lines of text, of the training set, the first (default: 4096)"
    )
    spectrum.add_argument("--double", action="store_true", help="in double precision, in twice the memory")
    spectrum.set_defaults(examples=None, set=[], precision="float32", compile=False)
    density = commands.add_parser(
        "density", parents=[which, runs, machine], help="its ends and density, for large networks"
    )
    density.add_argument("experiment", help="one that classifies images, of any size")
    density.add_argument("--epochs", type=float, help="as it was given to `run`; so are the next two")
    density.add_argument("--examples", type=int, help="as it was given to `run`")
    density.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="as it was given to `run`")
    density.add_argument("--images", type=int, default=500, help="of the training set, the first (default: 500)")
    density.add_argument("--steps", type=int, default=30, help="of Lanczos (default: 30)")
    density.add_argument("--probes", type=int, default=4, help="random starts of Lanczos (default: 4)")
    density.set_defaults(precision="float32", compile=False)
    data = commands.add_parser("data", help="fetch the data sets, and say what is there")
    data.add_argument("name", nargs="*", help="default: all of them")
    return top


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
    """Train every method asked for, with every seed asked for."""
    folder, asked = runs_folder(given), plans(given)
    for plan in asked:
        done = records.path(folder, plan.experiment, plan.method, plan.seed)
        begun = done.with_suffix(".checkpoint")
        if done.exists():
            raise ValueError(f"{done} is there already; delete it to run that again.")
        if begun.exists():
            raise ValueError(f"This run was begun: `resume` goes on with {begun}; delete that to start over.")
    return train_all(given, [(plan, None) for plan in asked])


def plans(given: argparse.Namespace) -> list:
    """The runs that were asked for, as plans.

    Raises:
        ValueError: something is not known, or out of its range.
    """
    from esgd_minimal.deep import experiments
    from esgd_minimal.deep.plan import Plan

    if given.examples is not None and given.examples < 1:
        raise ValueError(f"--examples is 1 or more; got {given.examples}.")
    experiment = experiments.EXPERIMENTS[experiments.nearest(given.experiment, experiments.EXPERIMENTS, "experiment")]
    methods = given.optimizer or list(experiment.methods)
    for method in methods:
        experiments.nearest(method, experiment.methods, f"method of {experiment.name}")
    for assignment in given.set:
        name, value = setting(assignment)
        for k, method in enumerate(methods):
            experiment, methods[k] = experiments.with_setting(experiment, method, name, value)
    if given.epochs is not None:
        experiment = experiments.with_epochs(experiment, given.epochs)
    return [
        Plan.of(experiment, method, seed, given.precision, given.examples, given.compile)
        for seed in given.seed or [0]
        for method in methods
    ]


def spectrum(given: argparse.Namespace) -> int:
    """Train what was not trained yet, and compute and record the Hessian's eigenvalues at the end."""
    from esgd_minimal import spectrum_records
    from esgd_minimal.deep import spectra

    if given.images < 1:
        raise ValueError(f"--images is 1 or more; got {given.images}.")
    folder = runs_folder(given)
    for plan in plans(given):
        done = records.path(folder, plan.experiment, plan.method, plan.seed)
        if not done.exists() and train_all(given, [(plan, None)]):
            return 130
        found = spectra.of_run(
            plan, records.read(done), done.with_suffix(".pt"), given.images, given.double, given.quiet
        )
        s = found.spectrum
        print(
            spectrum_records.write(folder, found),
            f"{s.weights} eigenvalues from {s.smallest[0]:.4g} to {s.largest[0]:.4g}",
            sep="  ",
        )
    return 0


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
    return train_all(given, [(None, checkpoint) for checkpoint in found])


def train_all(given: argparse.Namespace, runs: list) -> int:
    """One run after the other: new ones by their plans, begun ones by their checkpoints."""
    from esgd_minimal.deep import training as t
    from esgd_minimal.deep.stopping import Stopped

    device = choose_device(given.device)
    folder = runs_folder(given)
    try:
        for plan, begun in runs:
            training = t.Training(plan, device) if begun is None else t.restore(begun, device)
            plan = training.plan
            target = records.path(folder, plan.experiment, plan.method, plan.seed)
            checkpoint = begun or target.with_suffix(".checkpoint")
            record = t.train(training, checkpoint, quiet=given.quiet)
            home = checkpoint.absolute().parent
            beside = given.runs is None and home.name == plan.experiment  # where the run was begun, wherever we are
            written = records.write(home.parent if beside else folder, record)
            print(written, *(f"{k} {v:.4g}" for k, v in record.results.items()), sep="  ")
            t.keep_weights(training, checkpoint)
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        return 130
    except FloatingPointError as reason:
        raise FloatingPointError(f"{reason} The last checkpoint is kept in {checkpoint}.") from None
    return 0


def table(given: argparse.Namespace) -> int:
    """Print every experiment's table; of an experiment that was only run cut, the table of its largest budget."""
    folder = runs_folder(given)
    known = records.names(folder)
    for name in given.experiment or known:
        cut = name not in known and records.budgets(folder, name)
        by_method = records.fullest(folder, name) if cut else records.load(folder, name)
        first = next(iter(by_method.values()))[0]
        shown = ("test_error", 2) if "test_error" in first.results else ("test_loss", 3)
        print(f"\n{first.experiment}\n\n{records.table(by_method, *shown)}")
    return 0


def data(given: argparse.Namespace) -> int:
    """Fetch what is missing."""
    from torch import Tensor

    from esgd_minimal.deep import datasets
    from esgd_minimal.deep.experiments import nearest

    loaders: dict[str, Callable[[], Any]] = {
        "mnist": datasets.mnist,
        "cifar10": datasets.cifar10,
        "penn-treebank": datasets.penn_treebank,
        "war-and-peace": datasets.war_and_peace,
    }
    for name in [nearest(name, loaders, "data set") for name in given.name] or loaders:
        parts = loaders[name]()
        sizes = [len(part if isinstance(part, Tensor) else part.labels) for part in parts[:3]]
        print(f"{name}: {', '.join(f'{size:,}' for size in sizes)}")
    return 0


def setting(assignment: str) -> tuple[str, object]:
    """NAME=VALUE taken apart, the value as a Python literal.

    Raises:
        ValueError: it is not of that form.
    """
    name, equals, value = assignment.partition("=")
    try:
        if not (name and equals):
            raise ValueError
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise ValueError(f"--set takes NAME=VALUE, with a number for value; got {assignment!r}.") from None


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
