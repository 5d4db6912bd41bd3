"""How flat a network lies that is too large for its whole Hessian: Lanczos from a few random starts.

Both ends of the spectrum, its density and its trace come from the same products; `density_records` reads them off.
"""

import argparse
import shlex
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from esgd_minimal import records
from esgd_minimal.deep import hessian, models, spectra
from esgd_minimal.deep.plan import Plan
from esgd_minimal.deep.provenance import device_name, versions
from esgd_minimal.density_records import DensityRecord, Probe

AT_ONCE = 100  # images in memory at once: no more is faster on a CPU
SEED = 0  # of the starts, the same for every run


def probes(network: nn.Module, pixels: Tensor, labels: Tensor, steps: int, starts: int, bar: tqdm) -> list[Probe]:
    """Lanczos on the Hessian of the mean cross-entropy over these images, from random vectors of signs.

    Put the network in eval mode first. It takes steps · starts products, and memory for AT_ONCE images and for
    `steps` vectors of the weights' size.

    Raises:
        ValueError: see `hessian.lanczos`.
    """
    examples = spectra.batches(pixels, labels, AT_ONCE)
    product = hessian.hessian_product(spectra.mean_loss(network, examples), examples, network.parameters())
    like = next(network.parameters()).new_empty(models.weights(network))
    generator = torch.Generator().manual_seed(SEED)

    def watched(v: Tensor) -> Tensor:
        bar.update()
        return product(v)

    found = []
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # TF32 would leave three digits
        for _ in range(starts):
            ritz = hessian.ritz(hessian.lanczos(watched, hessian.signs(like, generator), steps))
            found.append(Probe(*(part.tolist() for part in ritz)))
    return found


def of_run(
    plan: Plan, done: Path, images: int, steps: int, starts: int, device: torch.device, quiet: bool
) -> DensityRecord:
    """The density at the end of a run whose record is in `done` and whose weights lie beside it.

    Raises:
        ValueError: fewer than two starts, or see `spectra.at_end`, `records.read` and `hessian.lanczos`.
    """
    if starts < 2:
        raise ValueError(f"A standard error takes --probes 2 or more; got {starts}.")
    run = records.read(done)
    network, pixels, labels, digest = spectra.at_end(plan, done.with_suffix(".pt"), images, device)
    weights, name = models.weights(network), f"{plan.experiment} {plan.method} seed {plan.seed}"
    if not 1 <= steps <= weights:
        raise ValueError(f"--steps is from 1 to {weights}, the number of weights; got {steps}.")
    if digest != run.data and not quiet:
        tqdm.write(f"{name}: the data is not, to the last bit, what this run saw.", file=sys.stderr)
    started = time.monotonic()
    with tqdm(desc=name, total=steps * starts, unit="product", disable=quiet, mininterval=1) as bar:
        found = probes(network, pixels, labels, steps, starts, bar)
    seconds = time.monotonic() - started
    loss, gradient, norm = spectra.slope(network, spectra.batches(pixels, labels, AT_ONCE))
    return DensityRecord(
        run=run,
        images=images,
        loss=loss,
        gradient=gradient,
        norm=norm,
        weights=weights,
        steps=steps,
        probes=found,
        data=digest,
        precision=str(next(network.parameters()).dtype).removeprefix("torch."),
        versions=versions(),
        device=device_name(device),
        seconds=seconds,
    )


def trained(plan: Plan, folder: Path, given: argparse.Namespace) -> Path:
    """Where the run's record lies.

    Raises:
        ValueError: the record or its weights are not there; it says what to run.
    """
    done = records.path(folder, plan.experiment, plan.method, plan.seed)
    words = ["python", "-m", "esgd_minimal", "run", given.experiment, "--optimizer", plan.method.partition(",")[0]]
    words += ["--seed", f"{plan.seed}", *(word for change in given.set for word in ("--set", change))]
    words += [] if given.epochs is None else ["--epochs", f"{given.epochs:g}"]
    words += [] if given.examples is None else ["--examples", f"{given.examples}"]
    if not done.exists():
        raise ValueError(f"There is no {done}; first: {shlex.join([*words, '--runs', str(folder)])}")
    if not done.with_suffix(".pt").exists():
        words += ["--precision", "bfloat16"] if records.read(done).configuration.get("precision") == "bfloat16" else []
        raise ValueError(
            f"The weights of this run are not beside its record, in {done.with_suffix('.pt')}. To train it again"
            f" elsewhere: {shlex.join(words)} --runs again; then give `density` the same --runs."
        )
    return done
