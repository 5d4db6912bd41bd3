"""What each change gives a training step of All-CNN-BN: float32 as it comes, and then one change after the other.

    python tests/benchmarks/cifar_speed.py                  # a CPU: a quarter of the channels, one thread, minutes
    python tests/benchmarks/cifar_speed.py --device cuda    # a GPU: the whole network, a few minutes

The times go to book/runs/speed/<cpu or the GPU's name>.json, round by round, and book/appendix/speed.md reads them. A
measurement that was stopped goes on where it was when it is started again; delete the file to measure anew.

What is timed is `Training`, the loop that makes the records, under Entropy-SGD with batches of 128. Its images are
noise: how long it takes does not hang on what they show. In a round, every variant has its turn, and so has the machine
itself, by a product of matrices and a copy; so the ratios within a round are those of one machine in one mood. On a CPU
the clock is this process's own time, so that other work on the machine counts less. On a GPU it is the wall's,
and stops when the GPU has done all that was asked.
"""

import argparse
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from esgd_minimal.__main__ import choose_device
from esgd_minimal.deep import models, tasks
from esgd_minimal.deep.datasets import Images
from esgd_minimal.deep.experiments import EXPERIMENTS
from esgd_minimal.deep.plan import Plan
from esgd_minimal.deep.provenance import device_name, versions
from esgd_minimal.deep.training import Training

FOLDER = Path(__file__).parents[2] / "book" / "runs" / "speed"


class Variant(NamedTuple):
    """A way to run the same step. Each in the lists below changes one thing of the one before it."""

    name: str
    precision: str = "float32"
    tf32: bool = False  # a GPU's: round the factors of float32 products to 10 bits
    layout: torch.memory_format = torch.contiguous_format
    compiled: str = ""  # the mode of torch.compile


class Size(NamedTuple):
    """How much is measured on a kind of device."""

    network: str
    images: int
    gradients: int  # timed at a time
    matrix: int  # the side of the matrices in the product
    variants: list[Variant]


PLAIN = Variant("float32")
TF32 = PLAIN._replace(name="TF32", tf32=True)
BF16 = TF32._replace(name="bfloat16", precision="bfloat16")
LAST = BF16._replace(name="channels-last", layout=torch.channels_last)
COMPILED = LAST._replace(name="compiled", compiled="default")
GRAPHS = COMPILED._replace(name="CUDA graphs", compiled="reduce-overhead")
SIZES = {
    "cpu": Size("allcnn-quarter", 1280, 4, 1024, [PLAIN, *(v._replace(tf32=False) for v in (BF16, LAST, COMPILED))]),
    "cuda": Size("allcnn", 50_000, 100, 8192, [PLAIN, TF32, BF16, LAST, COMPILED, GRAPHS]),
}
WARM_UP = 5  # steps; CUDA graphs are recorded within them
COPIED = 2**26  # floats in the copy: more than any cache holds


def noise(images: int) -> tuple[Images, Images]:
    """Images of CIFAR-10's size, and a fifth as many to test on, as there."""
    generator = torch.Generator().manual_seed(0)

    def part(n: int) -> Images:
        return Images(torch.randn(n, 3, 32, 32, generator=generator), torch.randint(10, (n,), generator=generator))

    return part(images), part(images // 5)


def training(variant: Variant, network: str, images: int, device: torch.device) -> Training:
    """A run of the experiment on noise, in the variant's way. Its rates are small, so that no weight overflows."""
    tasks.DATA[f"noise-{images}"] = partial(noise, images)
    method = EXPERIMENTS[network].methods["entropy-sgd"]
    slow = replace(method, settings={**method.settings, "lr": 1e-3, "langevin_lr": 1e-3})
    experiment = replace(EXPERIMENTS[network], data=f"noise-{images}", methods={"entropy-sgd": slow})
    run = Training(Plan.of(experiment, "entropy-sgd", 0, variant.precision, None), device)
    run.network.to(memory_format=variant.layout)  # type: ignore[call-overload]
    run.task.parts = {  # type: ignore[attr-defined]
        name: Images(part.pixels.contiguous(memory_format=variant.layout), part.labels)
        for name, part in run.task.parts.items()  # type: ignore[attr-defined]
    }
    if variant.compiled:
        run.trained = torch.compile(run.network, mode=variant.compiled)  # type: ignore[assignment]
    return run


def wait(device: torch.device) -> None:
    """Until all that was asked of a GPU is done: it works while the program goes on."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(work: Callable[[], Any], times: int, device: torch.device) -> float:
    """Of one call, as a mean over several. A call before them brings back what others drove out of the caches."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    work()
    wait(device)
    begin = clock()
    for _ in range(times):
        work()
    wait(device)
    return (clock() - begin) / times


def allow_tf32(allowed: bool) -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed


def of_variant(run: Training, variant: Variant, gradients: int) -> dict[str, float]:
    """Seconds of a training step, whole; of the optimizer's part of it; of an image in an evaluation."""
    allow_tf32(variant.tf32)
    parts = run.task.parts  # type: ignore[attr-defined]
    seen = min(len(parts["train"].labels), tasks.SCORED)
    judged = 2 * seen + len(parts["valid"].labels)  # the statistics, the training score, the validation score
    found = {
        "step": seconds(run.advance, gradients, run.device),
        "optimizer": seconds(run.optimizer.step, run.plan.recipe.settings["langevin_steps"], run.device),
        "image judged": seconds(run.evaluate, 1, run.device) / judged,
    }
    run.losses.clear()
    return found


def of_machine(matrix: int, times: int, device: torch.device) -> dict[str, float]:
    """Operations a second in a product of large matrices, in either precision, and bytes a second in a copy."""
    allow_tf32(False)
    found = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        a, b = (torch.randn(matrix, matrix, device=device).to(dtype) for _ in range(2))
        found[name] = 2 * matrix**3 / seconds(lambda a=a, b=b: a @ b, times, device)
    source = torch.ones(COPIED, device=device)
    target = torch.empty_like(source)
    found["bytes"] = 2 * 4 * COPIED / seconds(lambda: target.copy_(source), times, device)
    return found


def processor() -> str:
    """The CPU's name, where Linux tells it."""
    try:
        named = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        named = None
    return named[1].strip() if named else platform.machine()


def facts(size: Size, device: torch.device) -> dict[str, Any]:
    """What the times belong to; two sittings must agree in it."""
    cpu = f"{processor()}, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"
    return {
        "device": device_name(device) if device.type == "cuda" else cpu,
        "torch": torch.__version__,
        "network": size.network,
        "batch": EXPERIMENTS[size.network].batch,
        "variants": [variant.name for variant in size.variants],
    }


def measure(size: Size, rounds: int, file: Path, device: torch.device) -> dict[str, Any]:
    """Measure the rounds that the file does not have yet, and write each down when it is complete.

    Raises:
        ValueError: what is in the file was measured on something else.
    """
    here = facts(size, device)
    found = json.loads(file.read_text()) if file.exists() else {**here, "rounds": []}
    if other := [f"{name} is {found.get(name)}, not {value}" for name, value in here.items() if found[name] != value]:
        raise ValueError(f"{file} is of another measurement ({'; '.join(other)}): delete it to measure again.")
    if len(found["rounds"]) >= rounds:
        return found
    runs = {variant: training(variant, size.network, size.images, device) for variant in size.variants}
    first = {}
    for variant, run in runs.items():
        allow_tf32(variant.tf32)
        begin = time.perf_counter()
        for _ in range(WARM_UP):
            run.advance()
        wait(device)
        first[variant.name] = time.perf_counter() - begin
        print(f"{variant.name}: the first {WARM_UP} steps took {first[variant.name]:.1f} s", flush=True)
    found.setdefault("warm-up", first)
    found.update(weights=models.weights(next(iter(runs.values())).network), versions=versions())
    while len(found["rounds"]) < rounds:
        times = {variant.name: of_variant(run, variant, size.gradients) for variant, run in runs.items()}
        found["rounds"].append({"machine": of_machine(size.matrix, size.gradients, device), **times})
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(found, indent=1) + "\n")
        os.replace(part, file)
        print(*(f"{name} {1000 * value['step']:.4g} ms" for name, value in times.items()), sep=", ", flush=True)
    return found


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--device", choices=list(SIZES), default="cpu")
    given.add_argument("--rounds", type=int, default=7)
    asked = given.parse_args()
    torch.set_num_threads(1)  # of a CPU: the times of several hang on who else is there
    try:
        device = choose_device(asked.device)
        name = re.sub(r"\W+", "-", device_name(device)).lower() if device.type == "cuda" else "cpu"
        measure(SIZES[device.type], asked.rounds, FOLDER / f"{name}.json", device)
    except ValueError as reason:
        print(f"cifar_speed: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
