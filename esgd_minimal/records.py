"""Records of runs: one small JSON file each, written by the command line, read by the pages and the tables.

    book/runs/<experiment>/<method>-seed<k>.json

An experiment whose budget was given by --epochs has another name, and so another folder, even where the budget is the
registry's own: `mnistfc-20-epochs` is `mnistfc` with 20 effective epochs for every method.
"""

import json
import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

import numpy as np

from esgd_minimal.statistics import mean_interval

T = TypeVar("T")
NAME = re.compile(r".+-seed-?\d+\.json")  # of a run's record; what else is kept of a run has more in its name


@dataclass(frozen=True)
class Record:
    """What one run was, and what came out of it."""

    experiment: str
    method: str
    seed: int
    configuration: dict[str, Any]  # all that it takes to run it again
    data: str  # SHA-256 of the examples, as the network saw them
    versions: dict[str, str]  # of Python, the libraries and this package, with its commit; several if it was resumed
    device: str
    seconds: float  # of training and evaluation, over all sittings
    gradient_evaluations: int
    history: dict[str, list[float]]  # one entry an effective epoch; in runs of more than 40 passes, one every few
    results: dict[str, float]  # at the end; the test set is read here, once


def path(folder: Path | str, experiment: str, method: str, seed: int) -> Path:
    """Where the record of a run lies."""
    return Path(folder, experiment, f"{method}-seed{seed}.json")


def write(folder: Path | str, record: Record) -> Path:
    """Write a record under its name, whole or not at all.

    Raises:
        ValueError: the record is not a right one; see `check`.
    """
    check(record)
    target = path(folder, record.experiment, record.method, record.seed)
    return put(target, json.dumps(asdict(record), indent=1, allow_nan=False))


def put(target: Path, text: str) -> Path:
    """Write a file, whole or not at all. Returns its path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    part.write_text(f"{text}\n", encoding="utf-8")
    os.replace(part, target)
    return target


def read(file: Path | str) -> Record:
    """The record in a file.

    Raises:
        ValueError: the file is not a record, or is not the one that its name says.
    """
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
        record = Record(**content)
        check(record)
    except (ValueError, TypeError) as reason:
        raise ValueError(f"{file} is not the record of a run: {reason}") from None
    if path("", record.experiment, record.method, record.seed).parts != Path(file).parts[-2:]:
        raise ValueError(f"{file} holds {record.experiment}'s {record.method}, seed {record.seed}; was it renamed?")
    return record


def check(record: Record) -> None:
    """Raise a ValueError that says what is wrong with a record: a field's type, a length, a number that is none."""
    for name, field in get_type_hints(Record).items():
        value, expected = getattr(record, name), get_origin(field) or field
        if not isinstance(value, (int, float) if expected is float else expected):
            raise ValueError(f"{name} is {value!r}, which is no {expected.__name__}.")
    lengths = {len(values) for values in record.history.values()}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(f"the history's columns must have one length, 1 or more; got {sorted(lengths)}.")
    columns = record.history | {"seconds": [record.seconds], **{k: [v] for k, v in record.results.items()}}
    for name, values in columns.items():
        for value in values:
            if not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ValueError(f"{name} has {value!r}, which is not a finite number.")
    if "gradient_evaluations" not in record.history:
        raise ValueError("the history must say how many gradient evaluations each entry cost.")
    if record.history["gradient_evaluations"][-1] != record.gradient_evaluations:
        raise ValueError("the last entry of the history is not the end of the run.")


def load(folder: Path | str, experiment: str) -> dict[str, list[Record]]:
    """All records of an experiment, by method, each method's in the order of the seeds.

    Raises:
        ValueError: there are none, or one is not right.
    """
    found = [read(file) for file in Path(folder, experiment).glob("*-seed*.json") if NAME.fullmatch(file.name)]
    if not found:
        others = ", ".join(names(folder))
        there = f"there are: {others}." if others else "there are none at all."
        raise ValueError(f"There is no record of {experiment} in {folder}; {there}")
    return grouped(found, lambda record: record)


def grouped(found: Iterable[T], run: Callable[[T], Record]) -> dict[str, list[T]]:
    """What belongs to runs, by the run's method, each method's in the order of the seeds."""
    by_method: dict[str, list[T]] = {}
    for each in sorted(found, key=lambda each: (run(each).method, run(each).seed)):
        by_method.setdefault(run(each).method, []).append(each)
    return by_method


def names(folder: Path | str) -> list[str]:
    """The experiments that have a record, in order."""
    return sorted({file.parent.name for file in Path(folder).glob("*/*-seed*.json") if NAME.fullmatch(file.name)})


def budgets(folder: Path | str, experiment: str) -> list[str]:
    """The experiment, whole or on a smaller budget, as far as it has records; not others whose name begins alike."""
    form = re.compile(re.escape(experiment) + r"(-[\d.e+-]+-epochs)?(-\d+-examples)?")
    return [name for name in names(folder) if form.fullmatch(name)]


def fullest(folder: Path | str, experiment: str, seeds: int = 2) -> dict[str, list[Record]]:
    """The records of an experiment at the largest budget at which every method that was run has at least so many seeds.

    Raises:
        ValueError: there are none.
    """
    sets = [load(folder, name) for name in budgets(folder, experiment)]
    complete = [by_method for by_method in sets if min(map(len, by_method.values())) >= seeds]
    if not complete:
        raise ValueError(f"There is no complete set of records of {experiment} in {folder}.")
    return max(complete, key=lambda by_method: min(r[0].gradient_evaluations for r in by_method.values()))


def final(records: Iterable[Record], result: str) -> np.ndarray:
    """One result of every run, (seeds,)."""
    return np.array([record.results[result] for record in records])


def curve(records: Iterable[Record], column: str) -> np.ndarray:
    """One column of every history, (seeds, entries)."""
    return np.array([record.history[column] for record in records])


def table(by_method: dict[str, list[Record]], result: str, digits: int = 2) -> str:
    """A Markdown table, the lowest first: each method's result with its 95 % interval over the seeds, and the paper's.

    One seed alone has no interval. An error is in percent. What the paper does not have has no columns.
    """
    name = result.replace("_", " ") + (" (%)" if result.endswith("error") else "")
    rows = [["method", "seeds", "effective epochs", name], [":--", "--:", "--:", "--:"]]
    published = [runs[0].configuration.get("published") for runs in by_method.values()]
    if any(published):
        rows[0] += ["in the paper", "its epochs"]
        rows[1] += ["--:", "--:"]
    for method, runs in sorted(by_method.items(), key=lambda item: final(item[1], result).mean()):
        values = final(runs, result)
        ours = f"{mean_interval(values):.{digits}f}" if len(values) > 1 else f"{values[0]:.{digits}f}"
        rows.append([method, f"{len(runs)}", f"{runs[0].configuration['epochs']:g}", ours])
        if paper := runs[0].configuration.get("published"):
            rows[-1] += [f"{paper['value']:.{digits}f} ± {paper['spread']:.{digits}f}", f"{paper['epochs']:g}"]
        elif any(published):
            rows[-1] += ["", ""]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
