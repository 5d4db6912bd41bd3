"""Local entropy on a whole grid: by products of matrices, by a Fourier transform, by the direct sum.

Run with: pytest -m benchmark --benchmark-enable tests/benchmarks/test_local_entropy_speed.py
The goal is 0.2 s for 513 × 513 points on two cores; the last test says how it compares on this machine.
"""

import time

import pytest

from esgd_minimal.toy import landscapes
from esgd_minimal.toy.grids import grid
from esgd_minimal.toy.local_entropy import local_entropy, local_entropy_by_fft, local_entropy_on_grid

pytestmark = pytest.mark.benchmark(group="local entropy on a grid")

ENERGY, BOX = landscapes.wide_and_sharp, landscapes.GALLERY["wide_and_sharp"].box
GAMMA = 4.0


def test_separable(benchmark):
    box = grid(BOX, 513)
    benchmark(local_entropy_on_grid, ENERGY, box, GAMMA)


def test_separable_when_it_is_cold_and_many_sums_are_done_again(benchmark):
    box = grid(BOX, 513)
    benchmark.pedantic(local_entropy_on_grid, (ENERGY, box, 0.5, 1000.0), rounds=3)


def test_fourier(benchmark):
    box = grid(BOX, 513)
    benchmark(local_entropy_by_fft, ENERGY, box, GAMMA)


@pytest.mark.parametrize("n", [33, 65])
def test_direct_sum(benchmark, n):
    box = grid(BOX, n)
    benchmark.pedantic(local_entropy, (ENERGY, box.points.reshape(2, -1), GAMMA, box), rounds=3)


def best_of(function, *arguments, rounds=5):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - start)
    return min(times)


def test_the_goal_and_the_ratios(capsys):
    box, small = grid(BOX, 513), grid(BOX, 65)
    separable = best_of(local_entropy_on_grid, ENERGY, box, GAMMA)
    fft = best_of(local_entropy_by_fft, ENERGY, box, GAMMA)
    separable_small = best_of(local_entropy_on_grid, ENERGY, small, GAMMA)
    direct_small = best_of(local_entropy, ENERGY, small.points.reshape(2, -1), GAMMA, small, rounds=2)
    with capsys.disabled():
        print(
            f"\n513 × 513: {separable:.4f} s, {separable / fft:.2f} times as long as by scipy.signal.fftconvolve"
            f"\n65 × 65: the direct sum takes {direct_small / separable_small:.0f} times as long"
        )
    assert separable < 0.2
    assert direct_small > 10 * separable_small
