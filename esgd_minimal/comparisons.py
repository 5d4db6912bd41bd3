"""Two methods compared over the seeds that both were run with, and what may be said of it."""

from esgd_minimal.records import Record, final
from esgd_minimal.statistics import Interval, paired_difference


def paired(by_method: dict[str, list[Record]], method: str, other: str, result: str = "test_error") -> Interval:
    """The result of `method` minus that of `other`, paired by seed, with its 95 % interval.

    Raises:
        ValueError: fewer than two seeds that both have.
    """
    runs = {name: {record.seed: record for record in by_method[name]} for name in (method, other)}
    seeds = sorted(runs[method].keys() & runs[other].keys())
    if len(seeds) < 2:
        raise ValueError(f"{method} and {other} share {len(seeds)} seeds; a paired difference needs two or more.")
    a, b = (final([runs[name][seed] for seed in seeds], result) for name in (method, other))
    return paired_difference(a, b)


def in_words(difference: Interval, unit: str = "points", digits: int = 2) -> str:
    """ "lower by 0.40 ± 0.10 points", or higher; where the interval holds 0, that no difference is seen."""
    mean, margin = float(difference.mean), float(difference.half_width)
    if difference.low <= 0 <= difference.high:
        return f"no difference seen ({difference:.{digits}f} {unit})"
    return f"{'lower' if mean < 0 else 'higher'} by {abs(mean):.{digits}f} ± {margin:.{digits}f} {unit}"
