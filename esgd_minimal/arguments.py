"""What the command line takes: the commands, their arguments, and what they say of themselves."""

import argparse
import ast
import sys
from pathlib import Path

ABOUT = """Train the networks of the Entropy-SGD paper, by Entropy-SGD and by what it is compared with.

    python -m esgd_minimal list
    python -m esgd_minimal run mnistfc --optimizer entropy-sgd --seed 0 --epochs 5
    python -m esgd_minimal table mnistfc-5-epochs

Each command explains itself: python -m esgd_minimal run --help
"""
LIST = """\
Print the experiments: of each, the network and its data, and the methods that
it compares, with their budget in effective epochs and their settings. The
names are what `run` takes, and the settings what its --set changes.
"""
RUN = """\
Train a network, by one method or by several, and write a record of each run:
what was done, how it went, and how it ended, as JSON. The weights are kept
beside it.

Without --optimizer, all methods of the experiment are run, one after the
other. What is recorded already is skipped, and what was interrupted goes on
from its checkpoint, so the same command may be given again.

A budget is counted in effective epochs. One is as many gradient evaluations,
of a mini-batch each, as one pass over the training set takes. So --epochs
gives all methods the same number of gradients, whether a step of theirs takes
one or twenty.
"""
RESUME = """\
Go on with runs that were interrupted, from their checkpoints, as if nothing
had happened. A run writes its checkpoint every minute, and when it is asked to
stop by Ctrl-C; once it is done, its record takes the checkpoint's place.
"""
TABLE = """\
Print the records of an experiment as a table in Markdown: for each method, the
test error (for a text, the loss) with its 95 % interval over the seeds, and
what the paper has. If the experiment was only run with --epochs or --examples,
the table is that of the largest such budget.
"""
SPECTRUM = """\
Compute all eigenvalues of the Hessian of the training loss, at the weights
that a run ends with, and record them beside it. They say how flat it is there.
This takes memory for the whole matrix, so the network has to be small.

The run is trained first, if that is not done yet, on --device; the eigenvalues
are computed on the CPU.
"""
DENSITY = """\
Estimate how the eigenvalues of the Hessian of the training loss are
distributed, at the weights that a run ends with: the largest and the smallest,
the density between them, and the trace. It takes products with the Hessian
only (Lanczos's method, from a few random starts), so the network may be large.

`run` must come first, with the same arguments: the record and the weights that
it leaves are what is looked at.
"""
DATA = """\
Fetch the data sets that are not here yet, check them, and print how many
examples (of texts: tokens) each of their parts has, the training set first.
$ESGD_DATA may name a folder that has them already.
"""
SETS = ["mnist", "cifar10", "penn-treebank", "war-and-peace"]


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    top = argparse.ArgumentParser(
        prog="python -m esgd_minimal", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    runs = argparse.ArgumentParser(add_help=False)
    runs.add_argument("--runs", type=Path, help="folder of the records (default: book/runs in a clone, else runs)")
    machine = argparse.ArgumentParser(add_help=False)
    machine.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: a GPU if there is one"
    )
    machine.add_argument("--quiet", action="store_true", help="no progress bar")
    which = argparse.ArgumentParser(add_help=False)
    which.add_argument(
        "--optimizer", action="append", metavar="METHOD", help="a method that `list` shows; repeatable (default: all)"
    )
    which.add_argument("--seed", action="append", type=int, help="0 or more; repeatable (default: 0)")

    def add(name: str, summary: str, description: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        form = argparse.RawDescriptionHelpFormatter
        return commands.add_parser(name, help=summary, description=description, parents=parents, formatter_class=form)

    add("list", "the experiments, their methods and budgets", LIST)
    run = add("run", "train, and write a record for each run", RUN, which, runs, machine)
    run.add_argument("experiment", help="a name that `list` shows")
    run.add_argument("--epochs", type=float, help="the budget in effective epochs (default: what `list` shows)")
    run.add_argument("--examples", type=int, help="train on this many examples (of a text: tokens) only")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a setting of the method; repeatable",
    )
    run.add_argument(
        "--precision",
        choices=["float32", "bfloat16"],
        default="float32",
        help="of forward and backward passes; the weights are always kept in 32 bits (default: float32)",
    )
    run.add_argument("--compile", action="store_true", help="compile the network first, which makes a GPU faster")
    resume = add("resume", "go on with what was interrupted", RESUME, runs, machine)
    resume.add_argument("checkpoint", nargs="*", type=Path, help="default: all in the folder of records")
    table = add("table", "the records beside the paper's numbers, in Markdown", TABLE, runs)
    table.add_argument("experiment", nargs="*", help="default: all that have a record")
    spectrum = add("spectrum", "all eigenvalues of the Hessian at the end of a run", SPECTRUM, which, runs, machine)
    spectrum.add_argument(
        "experiment", help="one whose whole Hessian fits: tiny-mnistfc, small-mnistfc, small-lenet, small-char-lstm"
    )
    spectrum.add_argument("--epochs", type=float, help="the budget in effective epochs (default: what `list` shows)")
    spectrum.add_argument(
        "--images",
        type=int,
        default=4096,
        help="the Hessian is that of the mean loss over so many training examples, the first (default: 4096)",
    )
    spectrum.add_argument("--double", action="store_true", help="in double precision, in twice the memory")
    spectrum.set_defaults(examples=None, set=[], precision="float32", compile=False)
    density = add(
        "density", "the density of the Hessian's eigenvalues, for large networks", DENSITY, which, runs, machine
    )
    density.add_argument("experiment", help="one that classifies images, of any size")
    density.add_argument("--epochs", type=float, help="as it was given to `run`")
    density.add_argument("--examples", type=int, help="as it was given to `run`")
    density.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="as it was given to `run`")
    density.add_argument(
        "--images",
        type=int,
        default=500,
        help="the Hessian is that of the mean loss over so many training images, the first (default: 500)",
    )
    density.add_argument("--steps", type=int, default=30, help="products from each random start (default: 30)")
    density.add_argument("--probes", type=int, default=4, help="random starts (default: 4)")
    density.set_defaults(precision="float32", compile=False)
    data = add("data", "fetch the data sets, and say what is there", DATA)
    data.add_argument("name", nargs="*", help=f"of {', '.join(SETS)} (default: all of them)")
    return top


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
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # the last two: too many parentheses
        raise ValueError(f"--set takes NAME=VALUE, with a number for value; got {assignment!r}.") from None


def of_the_same_kind(name: str, value: object, present: object) -> None:
    """A number can be set to a number, and so on: what else there may be, an optimizer would trip over.

    Raises:
        ValueError: the value is of another kind than the present one, or not a finite number.
    """
    if not alike(value, present):
        raise ValueError(f"--set: {name} is {present!r} now, and cannot be {value!r}.")


def alike(value: object, present: object) -> bool:
    """Whether the value is of the present one's kind; where there is a fraction now, a whole number will do as well."""
    if isinstance(present, tuple):
        same = isinstance(value, tuple) and len(value) == len(present)
        return same and all(alike(*pair) for pair in zip(value, present, strict=True))  # type: ignore[call-overload]
    if isinstance(present, float):
        return type(value) in (int, float) and abs(value) <= sys.float_info.max  # type: ignore[arg-type]
    return type(value) is type(present)
