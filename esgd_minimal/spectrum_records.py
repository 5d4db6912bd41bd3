"""Spectra on record: what is kept of some ten thousand eigenvalues, beside the run whose end they belong to.

book/runs/<experiment>/<method>-seed<k>-spectrum.json
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from esgd_minimal import records
from esgd_minimal.records import Record

# |λ| from 1e-12 to 1e4, four bins to the power of ten, so that the paper's thresholds are edges.
EDGES = 10.0 ** (np.arange(-48, 17) / 4)
ENDS = 100  # how many of the largest and of the smallest are kept as they are


def edge(threshold: float) -> int:
    """Which of the EDGES a threshold is.

    Raises:
        ValueError: it is none.
    """
    k = int(np.argmin(np.abs(np.log(EDGES / threshold))))
    if not np.isclose(EDGES[k], threshold):
        raise ValueError(f"Shares are known below 10^(k/4), not below {threshold}.")
    return k


@dataclass(frozen=True)
class Spectrum:
    """What a run record keeps of a spectrum: both ends, and how many eigenvalues lie between each two EDGES."""

    weights: int  # of the network: as many eigenvalues
    untouched: int  # eigenvalues that are 0 because the Hessian has a row of zeros
    largest: list[float]  # from the largest down
    smallest: list[float]  # from the smallest up
    positive: list[int]  # how many have EDGES[k] <= λ < EDGES[k + 1]
    negative: list[int]  # how many have EDGES[k] <= −λ < EDGES[k + 1]
    trace: float
    squares: float  # tr H²

    def below(self, threshold: float) -> float:
        """The share of eigenvalues with |λ| < threshold, which must be one of the EDGES.

        Raises:
            ValueError: it is not.
        """
        k = edge(threshold)
        return 1 - (sum(self.positive[k:]) + sum(self.negative[k:])) / self.weights

    def beyond(self, sign: int = 1) -> np.ndarray:
        """How many eigenvalues have sign · λ ≥ EDGES[k], for all k but the last, where none has."""
        counts = self.positive if sign > 0 else self.negative
        return np.cumsum(counts[::-1])[::-1]


def summary(values: np.ndarray, weights: int) -> Spectrum:
    """The spectrum of a network with this many weights, from the eigenvalues on those that are touched.

    Raises:
        ValueError: there are fewer weights than eigenvalues, or some |λ| is not below the last of the EDGES.
    """
    values = np.sort(np.asarray(values, dtype=np.float64))
    if weights < len(values) or not np.all(np.abs(values) < EDGES[-1]):
        raise ValueError(f"{len(values)} eigenvalues from {values[0]:g} to {values[-1]:g} of {weights} weights.")
    everything = np.sort(np.append(values, np.zeros(weights - len(values))))
    return Spectrum(
        weights=weights,
        untouched=weights - len(values),
        largest=everything[::-1][:ENDS].tolist(),
        smallest=everything[:ENDS].tolist(),
        positive=np.histogram(values, EDGES)[0].tolist(),
        negative=np.histogram(-values, EDGES)[0].tolist(),
        trace=float(values.sum()),
        squares=float(np.square(values).sum()),
    )


@dataclass(frozen=True)
class SpectrumRecord:
    """A run, and the spectrum of the Hessian of the mean loss over its first training images, at its end."""

    run: Record
    images: int
    loss: float  # the mean over these images
    gradient: float  # the norm of its gradient
    norm: float  # of the weights
    precision: str  # of the matrix and of its eigenvalues
    seconds: float  # for matrix and eigenvalues
    spectrum: Spectrum


def path(folder: Path | str, run: Record) -> Path:
    """Where the spectrum at the end of a run lies."""
    beside = records.path(folder, run.experiment, run.method, run.seed)
    return beside.with_name(f"{beside.stem}-spectrum.json")


def write(folder: Path | str, record: SpectrumRecord) -> Path:
    """Write a record under its name, whole or not at all."""
    return records.put(path(folder, record.run), json.dumps(asdict(record), allow_nan=False))


def read(file: Path | str) -> SpectrumRecord:
    """The record in a file.

    Raises:
        ValueError: the file is not one, or is not the one that its name says, or its counts do not add up.
    """
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
        content |= {"run": Record(**content["run"]), "spectrum": Spectrum(**content["spectrum"])}
        record = SpectrumRecord(**content)
        records.check(record.run)
    except (ValueError, TypeError, KeyError) as reason:
        raise ValueError(f"{file} is not the record of a spectrum: {reason}") from None
    s = record.spectrum
    if path("", record.run).parts != Path(file).parts[-2:]:
        raise ValueError(f"{file} holds {record.run.experiment}'s {record.run.method}, seed {record.run.seed}.")
    if sum(s.positive) + sum(s.negative) + s.untouched > s.weights or len(s.positive) != len(EDGES) - 1:
        raise ValueError(f"{file} counts more eigenvalues than there are weights, or in other bins than ours.")
    return record


def load(folder: Path | str, experiment: str) -> dict[str, list[SpectrumRecord]]:
    """All spectra of an experiment, by method, each method's in the order of the seeds; none is no error."""
    found = [read(file) for file in Path(folder, experiment).glob("*-seed*-spectrum.json")]
    return records.grouped(found, lambda record: record.run)
