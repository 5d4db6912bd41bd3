"""Densities of spectra on record: what random starts found at the end of a run whose Hessian is too large to write.

book/runs/<experiment>/<method>-seed<k>-spectral-density.json

All statements are read off the Ritz values of every start, so each comes with its standard error over the starts.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from esgd_minimal import records
from esgd_minimal.deep import hessian
from esgd_minimal.records import Record


@dataclass(frozen=True)
class Probe:
    """What Lanczos found from one start, a random vector of signs: see `hessian.Ritz`. From the smallest value up."""

    values: list[float]
    weights: list[float]  # adding up to 1
    errors: list[float]  # of Lanczos; to these, `rounding` adds its own


@dataclass(frozen=True)
class DensityRecord:
    """A run, and how the Hessian of the mean loss over its first training images looks at its end.

    It is the Hessian of the network that is judged: batch normalization with fixed statistics, those of the whole
    training set, and no dropout; without weight decay.
    """

    run: Record
    images: int
    loss: float  # the mean over these images
    gradient: float  # the norm of its gradient
    norm: float  # of the weights
    weights: int  # of the network: as many eigenvalues
    steps: int  # of Lanczos, from every start
    probes: list[Probe]
    data: str  # SHA-256 of the examples, as here; the run's own may have been rounded otherwise, on another machine
    precision: str
    versions: dict[str, str]
    device: str
    seconds: float  # for all products


Estimate = tuple[np.ndarray, np.ndarray]  # a mean over the probes, and its standard error


def over_probes(each: ArrayLike) -> Estimate:
    """The mean of what each probe says, (probes, …), and its standard error."""
    each = np.asarray(each, dtype=np.float64)
    return each.mean(axis=0), each.std(axis=0, ddof=1) / math.sqrt(len(each))


def power_trace(record: DensityRecord, power: int = 1) -> Estimate:
    """tr Hᵏ, by Hutchinson's estimate: the trace for k = 1, the sum of the squared eigenvalues for k = 2."""
    return over_probes([record.weights * np.dot(p.weights, np.power(p.values, power)) for p in record.probes])


def rounding(record: DensityRecord) -> float:
    """What no eigenvalue is known below: ten units of rounding of the largest Ritz value."""
    return 10 * float(np.finfo(record.precision).eps) * max(abs(v) for p in record.probes for v in p.values)


def largest(record: DensityRecord, k: int = 5) -> Estimate:
    """The k largest eigenvalues, from the largest down, and how far off each may be: H has one so near.

    A Ritz value is never above the eigenvalue of its rank, so of all starts the highest is nearest.

    Raises:
        ValueError: there are fewer Ritz values.
    """
    fewest = min(len(p.values) for p in record.probes)
    if not 1 <= k <= fewest:
        raise ValueError(f"There are {fewest} Ritz values from every start; got k = {k}.")
    values, errors = (np.array([getattr(p, name)[::-1][:k] for p in record.probes]) for name in ("values", "errors"))
    best = values.argmax(axis=0), np.arange(k)
    return values[best], np.maximum(errors[best], rounding(record))


def smallest(record: DensityRecord) -> tuple[float, float]:
    """The smallest eigenvalue, as low as any start found it, and how far off it may be: H has one so near."""
    best = min(record.probes, key=lambda p: p.values[0])
    return best.values[0], max(best.errors[0], rounding(record))


def density(record: DensityRecord, at: ArrayLike, width: float) -> Estimate:
    """The density of eigenvalues at these points, (n,), each blurred to a normal of standard deviation `width`.

    It integrates to 1: times `record.weights` it counts eigenvalues.
    """
    points = torch.as_tensor(np.asarray(at, dtype=np.float64))
    starts = [torch.tensor([p.values, p.weights], dtype=torch.double) for p in record.probes]
    return over_probes([hessian.density(values, weights, points, width).numpy() for values, weights in starts])


def beyond(record: DensityRecord, levels: ArrayLike, sign: int = 1) -> Estimate:
    """How many eigenvalues have sign · λ > level, for each level, (n,)."""
    above = [sign * np.array(p.values)[:, None] > np.asarray(levels) for p in record.probes]
    return over_probes([record.weights * np.array(p.weights) @ a for p, a in zip(record.probes, above, strict=True)])


def summary(record: DensityRecord) -> str:
    """In one line."""
    (top,), (off,) = largest(record, 1)
    low, below = smallest(record)
    trace, error = power_trace(record)
    return f"largest {top:.4g} ± {off:.1g}, smallest {low:.3g} ± {below:.1g}, trace {trace:.4g} ± {error:.2g}"


def path(folder: Path | str, run: Record) -> Path:
    """Where the density at the end of a run lies."""
    beside = records.path(folder, run.experiment, run.method, run.seed)
    return beside.with_name(f"{beside.stem}-spectral-density.json")


def write(folder: Path | str, record: DensityRecord) -> Path:
    """Write a record under its name, whole or not at all.

    Raises:
        ValueError: the record is not a right one; see `check`.
    """
    check(record)
    return records.put(path(folder, record.run), json.dumps(asdict(record), allow_nan=False))


def read(file: Path | str) -> DensityRecord:
    """The record in a file.

    Raises:
        ValueError: the file is not one, or is not the one that its name says, or see `check`.
    """
    try:
        content: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
        content |= {"run": Record(**content["run"]), "probes": [Probe(**probe) for probe in content["probes"]]}
        record = DensityRecord(**content)
        check(record)
    except (ValueError, TypeError, KeyError) as reason:
        raise ValueError(f"{file} is not the record of a spectral density: {reason}") from None
    if path("", record.run).parts != Path(file).parts[-2:]:
        raise ValueError(f"{file} holds {record.run.experiment}'s {record.run.method}, seed {record.run.seed}.")
    return record


def check(record: DensityRecord) -> None:
    """Raise a ValueError that says what is wrong with a record."""
    records.check(record.run)
    if len(record.probes) < 2:
        raise ValueError(f"a standard error takes two probes or more; got {len(record.probes)}.")
    numbers = [record.loss, record.gradient, record.norm, record.seconds]
    for k, p in enumerate(record.probes):
        if not 1 <= len(p.values) <= record.steps or not len(p.values) == len(p.weights) == len(p.errors):
            raise ValueError(f"probe {k} has {len(p.values)} values after {record.steps} steps.")
        if sorted(p.values) != p.values or min(p.weights) < 0 or not math.isclose(sum(p.weights), 1, rel_tol=1e-6):
            raise ValueError(f"probe {k} is not a measure: values that rise, weights that add up to 1.")
        numbers += [*p.values, *p.errors]
    if record.precision not in ("float32", "float64"):
        raise ValueError(f"precision is float32 or float64; got {record.precision!r}.")
    if not np.isfinite(numbers).all() or not record.steps <= record.weights:
        raise ValueError("a number is not finite, or there are more steps than weights.")


def load(folder: Path | str, experiment: str) -> dict[str, list[DensityRecord]]:
    """All densities of an experiment, by method, each method's in the order of the seeds; none is no error."""
    found = [read(file) for file in Path(folder, experiment).glob("*-seed*-spectral-density.json")]
    return records.grouped(found, lambda record: record.run)
