"""One training loop for every experiment: what a run holds, a step of it, its checkpoint, its record."""

import copy
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from esgd_minimal.deep import baselines, checkpoints, models
from esgd_minimal.deep.batch_norm import reestimate_batch_norm
from esgd_minimal.deep.entropy_adam import EntropyAdam
from esgd_minimal.deep.entropy_sgd import EntropySGD
from esgd_minimal.deep.plan import Plan
from esgd_minimal.deep.provenance import device_name, joined, versions
from esgd_minimal.deep.stopping import Stopped, stop_signals
from esgd_minimal.deep.tasks import task
from esgd_minimal.records import Record

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "digits": models.digits,
    "mnistfc": models.mnistfc,
    "lenet": models.lenet,
    "small-mnistfc": models.small_mnistfc,
    "small-lenet": models.small_lenet,
    "tiny-mnistfc": models.tiny_mnistfc,
    "allcnn": models.allcnn,
    "allcnn-quarter": models.allcnn_quarter,
    "ptb-lstm": models.PTBLSTM,
    "ptb-small": models.ptb_small,
    "char-lstm": models.CharLSTM,
    "small-char-lstm": models.small_char_lstm,
    "char-transformer": models.CharTransformer,
}
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "lookahead": baselines.lookahead,
    "sam": baselines.sam,
    "entropy-sgd": EntropySGD,
    "entropy-adam": EntropyAdam,
}
LOOK = 50  # steps between two looks at the losses on a CPU; a GPU would have to wait for each
SAVE = 60.0  # seconds between two checkpoints
LONG = 600.0  # seconds that a run on a CPU may take without a word before it
LINES = 40  # of the history at most: to evaluate after every one of 200 passes would take a tenth of the time


class Training:
    """A run under way: network, optimizer, task, clock and history. It starts where the plan says.

    Raises:
        ValueError, ConnectionError: the data is not here, or not right.
    """

    def __init__(self, plan: Plan, device: torch.device):
        self.plan, self.device, recipe = plan, device, plan.recipe
        self.versions = versions()  # at the start: what is edited from now on does not train this run
        torch.manual_seed(plan.seed)
        p = plan
        self.task = task(p.data, p.batch, p.unroll, p.seed, device, p.examples, p.augment, p.summed)
        self.network = NETWORKS[plan.network](**recipe.network, **self.task.network)
        self.network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.trained: nn.Module = self.network  # as against what is judged
        if plan.compiled:  # on a GPU, this mode also replays the kernels as CUDA graphs
            self.trained = torch.compile(self.network, mode="reduce-overhead")  # type: ignore[assignment]
        settings = dict(recipe.settings)
        if recipe.optimizer.startswith("entropy"):
            settings["seed"] = plan.seed
        self.optimizer = OPTIMIZERS[recipe.optimizer](self.network.parameters(), **settings)
        self.averaged: AveragedModel | None = None
        if recipe.average is not None:
            self.averaged = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(recipe.average))
        elif recipe.average_from is not None:
            self.averaged = AveragedModel(self.network)
        self.gradients = 2 if isinstance(self.optimizer, baselines.SAM) else 1  # in a step
        self.steps = max(1, round(recipe.epochs * self.task.steps / self.gradients))
        passes = math.ceil(self.steps / self.task.steps)
        self.evaluated_every = self.task.steps * math.ceil(passes / LINES)
        self.step = 0
        self.seconds = 0.0
        self.history: dict[str, list[float]] = {}
        self.losses: list[Tensor] = []  # since the last look

    def advance(self) -> None:
        """One gradient (SAM: two of one batch), and one step of the optimizer."""
        recipe = self.plan.recipe
        passed = sum(self.step >= round(at * self.steps) for at in recipe.at)
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.settings["lr"] * recipe.drop**passed
        self.losses.append(self.gradient())
        if self.gradients == 2:
            self.optimizer.step(self.gradient)  # type: ignore[arg-type]
        else:
            self.optimizer.step()
        self.step += 1
        if self.averaged is not None and (recipe.average_from is None or self.joins()):
            self.averaged.update_parameters(self.network)

    def gradient(self) -> Tensor:
        """The gradient of this step's batch, in the parameters' `grad`. Returns the loss."""
        self.optimizer.zero_grad()
        with self.autocast():
            loss = self.task.loss(self.trained, self.step)
        loss.backward()
        if self.plan.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.plan.recipe.clip)
        return loss.detach()

    def joins(self) -> bool:
        """Whether these weights belong to the plain average: those at the end of a pass, after `average_from`."""
        begins = (self.plan.recipe.average_from or 0) * self.steps
        return self.step >= begins and (self.step % self.task.steps == 0 or self.step == self.steps)

    def seconds_left(self) -> float:
        """How long the gradients to come will take, from two on a copy of the network; the run sees nothing of it."""
        network = copy.deepcopy(self.network)
        carried = self.task.state_dict()
        took = []
        with torch.random.fork_rng():
            for _ in range(2):  # the first one warms up
                started = time.perf_counter()
                with self.autocast():
                    self.task.loss(network, self.step).backward()
                took.append(time.perf_counter() - started)
        self.task.load_state_dict(carried)
        return min(took) * self.gradients * (self.steps - self.step)

    def look(self) -> float:
        """The mean loss since the last look.

        Raises:
            FloatingPointError: a loss was not finite.
        """
        losses, self.losses = torch.stack(self.losses).float().cpu(), []
        bad = (~losses.isfinite()).nonzero()
        if len(bad):
            first = self.step - len(losses) + int(bad[0]) + 1
            raise self.diverged(losses[bad[0]].item(), first)
        return losses.mean().item()

    def diverged(self, loss: float, step: int) -> FloatingPointError:
        """What to say of a loss that is not finite."""
        rates = ", ".join(f"{k}={v}" for k, v in self.plan.recipe.settings.items() if k.endswith("lr"))
        return FloatingPointError(
            f"The loss is {loss} at step {step} of {self.steps}. Try a smaller learning rate ({rates} now)."
        )

    @contextmanager
    def at_x(self, everything: bool) -> Iterator[nn.Module]:
        """The network that is to be judged: at x or at the average, in eval mode, with statistics of its own."""
        network: nn.Module = self.network
        if self.averaged is not None and self.averaged.n_averaged > 0:
            network = self.averaged.module
        self.to_x()
        try:
            with self.autocast():
                reestimate_batch_norm(network, self.task.inputs(everything))
                network.eval()
                yield network
        finally:
            network.train()
            self.from_x()

    def to_x(self) -> None:
        """Put x, or Lookahead's slow weights, into the network."""
        if isinstance(self.optimizer, baselines.Lookahead):
            self.optimizer.backup_and_load_cache()
        elif isinstance(self.optimizer, EntropySGD):
            self.optimizer.eval()

    def from_x(self) -> None:
        """Put back the weights that the next gradient is taken at."""
        if isinstance(self.optimizer, baselines.Lookahead):
            self.optimizer.clear_and_load_backup()
        elif isinstance(self.optimizer, EntropySGD):
            self.optimizer.train()

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.plan.precision == "bfloat16")

    def evaluate(self) -> dict[str, float]:
        """Add a line to the history: the scores on the validation set and on a part of the training set."""
        scores = self.scores(("train", "valid"), everything=False)
        gradients = self.step * self.gradients
        line = {"gradient_evaluations": gradients, "epoch": gradients / self.task.steps, "seconds": self.seconds}
        for name, value in (line | scores).items():
            self.history.setdefault(name, []).append(value)
        return scores

    def results(self) -> dict[str, float]:
        """The scores on all of every part, with statistics from the whole training set. Here the test set is read."""
        return self.scores(("train", "valid", "test"), everything=True)

    def scores(self, parts: tuple[str, ...], everything: bool) -> dict[str, float]:
        """The scores on these parts, on all or some of each.

        Raises:
            FloatingPointError: one is not finite: the last step was too large, whose own loss was before it.
        """
        with self.at_x(everything) as network:
            found = {part: self.task.score(network, part, everything) for part in parts}
        named = {f"{part}_{name}": value for part, scores in found.items() for name, value in scores.items()}
        if bad := [value for value in named.values() if not math.isfinite(value)]:
            raise self.diverged(bad[0], self.step)
        return named

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the run needs to go on as if nothing had happened, to the bit on a CPU."""
        return {
            "plan": asdict(self.plan),
            "digest": self.task.digest,
            "versions": self.versions,
            "network": self.network.state_dict(),
            "averaged": None if self.averaged is None else self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "task": self.task.state_dict(),
            "random": torch.get_rng_state(),
            "random_on_gpu": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.task.load_state_dict(state["task"])
        torch.set_rng_state(state["random"].cpu())
        if self.device.type == "cuda" and state["random_on_gpu"] is not None:
            torch.cuda.set_rng_state(state["random_on_gpu"].cpu(), self.device)
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]
        self.versions = joined(state.get("versions", {}), self.versions)  # older checkpoints have none


def save(training: Training, checkpoint: Path) -> None:
    """Write the checkpoint, whole or not at all."""
    checkpoints.put(training.state_dict(), checkpoint)


def restore(checkpoint: Path, device: torch.device) -> Training:
    """The run of a checkpoint, where it was left.

    Raises:
        ValueError: the file is not a checkpoint, or see `go_on`.
    """
    training = Training(checkpoints.get(checkpoint, "cpu")["plan"], device)
    go_on(training, checkpoint)
    return training


def go_on(training: Training, checkpoint: Path) -> None:
    """Put a run where its checkpoint left it.

    Raises:
        ValueError: the file is not a checkpoint, or that of another plan, or of a run on other data.
    """
    state = checkpoints.get(checkpoint, training.device)
    if different := state["plan"].different(training.plan):
        raise ValueError(f"{checkpoint} is of another run ({different}): `resume` that, or delete it to start over.")
    if state.get("digest", training.task.digest) != training.task.digest:  # older checkpoints have none
        raise ValueError(f"{checkpoint} was begun on other data than is here: find that, or delete it to start over.")
    training.load_state_dict(state)


def train(training: Training, checkpoint: Path, quiet: bool = False) -> Record:
    """Train to the end of the budget, and say what came out.

    Raises:
        FloatingPointError: the loss is not finite; the checkpoint from before is kept.
        Stopped: Ctrl-C or SIGTERM; the checkpoint is up to date.
    """
    started, saved = time.monotonic() - training.seconds, time.monotonic()
    if not checkpoint.exists():
        save(training, checkpoint)
    name = f"{training.plan.experiment} {training.plan.method} seed {training.plan.seed}"
    if training.device.type == "cpu" and not quiet and (seconds := training.seconds_left()) > LONG:
        tqdm.write(
            f"{name}: about {duration(seconds)} of gradients on {device_name(training.device)}, and scores besides."
            " A GPU would be faster; --epochs and --examples make the run smaller.",
            file=sys.stderr,
        )
    bar = tqdm(total=training.steps, initial=training.step, desc=name, unit="grad", disable=quiet, mininterval=1)
    with stop_signals() as asked, bar:
        while training.step < training.steps:
            training.advance()
            bar.update()
            evaluated = training.step % training.evaluated_every == 0 or training.step == training.steps
            due = asked or evaluated or time.monotonic() - saved > SAVE
            if due or (training.device.type == "cpu" and training.step % LOOK == 0):
                loss = training.look()
                training.seconds = time.monotonic() - started
                bar.set_postfix_str(_seen(loss, training.history), refresh=False)
            if evaluated:
                training.evaluate()
            if due:
                save(training, checkpoint)
                saved = time.monotonic()
            if asked and training.step < training.steps:
                raise Stopped(f"Stopped at step {training.step} of {training.steps}; `resume` goes on from there.")
    results = training.results()
    training.seconds = time.monotonic() - started
    return _record(training, results)


def keep_weights(training: Training, record: Path) -> None:
    """The run is over: write its weights x, or their average, beside its record, under the same name but `.pt`."""
    with training.at_x(everything=True) as network:
        checkpoints.put(network.state_dict(), record.with_suffix(".pt"))


def duration(seconds: float) -> str:
    """In the largest unit that fits: 45 min, 7.5 h, 3.2 days."""
    for unit, length in (("days", 86400), ("h", 3600)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / 60:.0f} min"


def _seen(loss: float, history: dict[str, list[float]]) -> str:
    known = "error" if "valid_error" in history else "loss"
    return f"loss {loss:.3f}" + (f", validation {known} {history[f'valid_{known}'][-1]:.2f}" if history else "")


def _record(training: Training, results: dict[str, float]) -> Record:
    plan = training.plan
    return Record(
        experiment=plan.experiment,
        method=plan.method,
        seed=plan.seed,
        configuration=plan.configuration() | {"weights": models.weights(training.network)},
        data=training.task.digest,
        versions=training.versions,
        device=device_name(training.device),
        seconds=training.seconds,
        gradient_evaluations=training.step * training.gradients,
        history=training.history,
        results=results,
    )
