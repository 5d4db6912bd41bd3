"""How the defaults of `EntropySGD` were chosen: a search on two tasks, with torch's SGD as the yardstick.

    python tests/benchmarks/defaults.py          # measures what defaults.json lacks, then writes defaults.md
    python tests/benchmarks/defaults.py table    # only writes it, with what there is

Both files are beside this one. Delete the JSON to measure everything again: about 25 minutes on one core, with MNIST
and War and Peace where `datasets` finds them.

On one task, every run has the same number of mini-batch gradients. It is judged by the cross-entropy on data held out
of the training set, at x, with the statistics of the batch norm re-estimated there. No test set is read. The search is
a star: first the rate and the momentum of the chain, then the others, varied from two of the good ones.
"""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from esgd_minimal.deep import datasets, models
from esgd_minimal.deep.batch_norm import reestimate_batch_norm
from esgd_minimal.deep.entropy_sgd import EntropySGD

HERE = Path(__file__).parent
RESULTS, TABLES = HERE / "defaults.json", HERE / "defaults.md"
MNIST, NOVEL = "LeNet on MNIST", "an LSTM on War and Peace"
SEEDS = (0, 1)
Settings = dict[str, Any]


class Task(NamedTuple):
    """A network, the data it learns from, and those it is judged by."""

    name: str
    gradients: int  # a multiple of every L tried, so that the last chain is whole
    model: Callable[[int], nn.Module]  # of a seed
    loss: Callable[[nn.Module, torch.Generator], Tensor]  # on a mini-batch
    judge: Callable[[nn.Module], float]  # held-out cross-entropy


def war_and_peace() -> Task:
    """A small LSTM that predicts the next character, from 32 × 32 characters at a time, anywhere in the novel."""
    novel = datasets.war_and_peace()

    def windows(text: Tensor, starts: Tensor, length: int) -> tuple[Tensor, Tensor]:
        piece = text[starts + torch.arange(length + 1)[:, None]]
        return piece[:-1], piece[1:].flatten()

    def loss(model: nn.Module, generator: torch.Generator) -> Tensor:
        starts = torch.randint(len(novel.train) - 33, (32,), generator=generator)
        return in_bfloat16(model, *windows(novel.train, starts, 32))

    def network(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return Characters(len(novel.vocabulary))

    x, y = windows(novel.valid, torch.arange(100) * 2000, 400)
    return Task(NOVEL, 2400, network, loss, lambda model: F.cross_entropy(model(x), y).item())


class Characters(nn.Module):
    """One LSTM of 64 units: characters (time, n) to logits (time n, vocabulary)."""

    def __init__(self, vocabulary: int):
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(vocabulary, 32), nn.LSTM(32, 64)
        self.output = nn.Linear(64, vocabulary)

    def forward(self, characters: Tensor) -> Tensor:
        y, _ = self.lstm(self.embedding(characters))
        return self.output(y).flatten(0, 1)


def mnist() -> Task:
    """The paper's LeNet, dropout 0.25, about one pass over 55,000 of MNIST's training images; 5,000 are held out."""
    train, valid = datasets.hold_out(datasets.mnist()[0], 5000)
    pixels = train.pixels.float().div_(255).contiguous(memory_format=torch.channels_last)
    held = list(zip(valid.pixels.float().div_(255).split(500), valid.labels.split(500), strict=True))

    def batch(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(pixels), (64,), generator=generator)
        return pixels[chosen], train.labels[chosen]

    def network(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return models.lenet(dropout=0.25).to(memory_format=torch.channels_last)

    def judge(model: nn.Module) -> float:
        reestimate_batch_norm(model, statistics)
        model.eval()
        return sum(F.cross_entropy(model(x), y).item() for x, y in held) / len(held)

    statistics = [batch(torch.Generator().manual_seed(-1)) for _ in range(20)]
    return Task(MNIST, 880, network, lambda model, generator: in_bfloat16(model, *batch(generator)), judge)


def in_bfloat16(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return F.cross_entropy(model(inputs).float(), targets)


def run(task: Task, method: str, settings: Settings, seed: int) -> float | None:
    """The held-out cross-entropy, in nats, after the task's gradients; None if the run diverged."""
    model, generator = task.model(seed), torch.Generator().manual_seed(seed)
    cls: Any = EntropySGD if method == "Entropy-SGD" else torch.optim.SGD
    optimizer = cls(model.parameters(), **settings)
    for _ in range(task.gradients):
        optimizer.zero_grad()
        loss = task.loss(model, generator)
        if not loss.isfinite():
            return None
        loss.backward()
        optimizer.step()
    if isinstance(optimizer, EntropySGD):
        optimizer.eval()
    with torch.no_grad():
        held_out = task.judge(model)
    return round(held_out, 5) if math.isfinite(held_out) else None


def known() -> list[dict[str, Any]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def losses(task: str, method: str, settings: Settings) -> list[float]:
    """What the file has of it, one for each seed; infinite where a run diverged."""
    key = {"task": task, "method": method, "settings": settings}
    return [math.inf if each["loss"] is None else each["loss"] for each in known() if each | key == each]


def measure(task: Task, method: str, candidates: list[Settings]) -> None:
    """Run what the file does not have yet, and write it down at once."""
    for settings in candidates:
        for seed in SEEDS:
            key = {"task": task.name, "method": method, "settings": settings, "seed": seed}
            if not any(each | key == each for each in known()):
                found = [*known(), key | {"loss": run(task, method, settings, seed)}]
                RESULTS.write_text("[\n" + ",\n".join(json.dumps(each) for each in found) + "\n]\n")
                print(*found[-1].values(), flush=True)


RATES = [({}, (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)), ({"momentum": 0.9, "nesterov": True}, (0.01, 0.02, 0.05, 0.1, 0.2, 0.5))]
SGD = [{"lr": rate, **momentum} for momentum, rates in RATES for rate in rates]
CHAINS = [
    {"langevin_lr": each["lr"], "langevin_momentum": each.get("momentum", 0.0), "nesterov": "momentum" in each}
    for each in SGD
]
PAPER = {"lr": 1.0, "langevin_steps": 20, "gamma": 1e-4, "averaging": 0.75, "noise": 1e-4, "momentum": 0.0}
PLAIN, NESTEROV = ({**PAPER, **chain} for chain in (CHAINS[2], CHAINS[9]))  # η′ = 0.5; η′ = 0.1, m′ = 0.9
OUTER = [
    {},
    {"lr": 0.5},
    {"lr": 0.5, "momentum": 0.5, "nesterov": True},
    {"lr": 1.0, "momentum": 0.5, "nesterov": True},
    {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    {"lr": 0.3, "momentum": 0.9, "nesterov": True},
    {"lr": 1.0, "momentum": 0.9, "nesterov": True},
]
OTHERS = [
    {},
    *({"langevin_steps": L} for L in (5, 10, 40)),
    *({"averaging": alpha} for alpha in (0.25, 1.0)),
    *({"gamma": gamma} for gamma in (0.0, 1e-2, 1.0)),
    *({"noise": noise} for noise in (0.0, 1e-3, 1e-2)),
]


def mean(task: str, method: str, settings: Settings) -> float:
    """Over the seeds; NaN where one is missing."""
    values = losses(task, method, settings)
    return sum(values) / len(values) if len(values) == len(SEEDS) else math.nan


def shown(loss: float, best: float) -> str:
    """A cell of a table, bold where nothing is better."""
    if math.isnan(loss):
        return "–"
    text = "diverged" if math.isinf(loss) else f"{loss:.4f}"
    return f"**{text}**" if loss == best else text


def table(title: str, rows: list[str], columns: dict[str, list[float]]) -> str:
    best = {name: min((v for v in values if not math.isnan(v)), default=0.0) for name, values in columns.items()}
    lines = [f"| {title} | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for i, row in enumerate(rows):
        cells = (shown(values[i], best[name]) for name, values in columns.items())
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def named(settings: Settings) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in settings.items() if name != "nesterov") or "none"


def write_tables() -> None:
    grid = {}
    for task in (MNIST, NOVEL):
        grid[f"SGD, {task}"] = [mean(task, "SGD", each) for each in SGD]
        grid[f"Entropy-SGD, {task}"] = [mean(task, "Entropy-SGD", {**PAPER, **each}) for each in CHAINS]
    outer = {
        f"{chain}, {task}": [mean(task, "Entropy-SGD", {**centre, **change}) for change in OUTER]
        for task in (MNIST, NOVEL)
        for chain, centre in (("plain", PLAIN), ("with momentum", NESTEROV))
    }
    others = {task: [mean(task, "Entropy-SGD", {**PLAIN, **change}) for change in OTHERS] for task in (MNIST, NOVEL)}
    TABLES.write_text(
        "<!-- Written by defaults.py. -->\n"
        "Held-out cross-entropy in nats, the mean over two seeds; a dash where there is no run yet. The rate and "
        "the momentum (Nesterov's) are SGD's, or those of the chain; Entropy-SGD's other arguments are the text's.\n\n"
        + table("rate, momentum", [named(each) for each in SGD], grid)
        + "\nThe outer step's rate and momentum, from a plain chain of rate 0.5 and from one of rate 0.1 with momentum "
        "0.9.\n\n"
        + table("changed", [named(each) for each in OUTER], outer)
        + "\nOne other argument changed, from the plain chain.\n\n"
        + table("changed", [named(each) for each in OTHERS], others)
    )


def main() -> None:
    torch.set_num_threads(1)
    for make in (war_and_peace, mnist):
        task = make()
        measure(task, "SGD", SGD)
        measure(task, "Entropy-SGD", [{**PAPER, **chain} for chain in CHAINS])
        measure(task, "Entropy-SGD", [{**centre, **change} for centre in (PLAIN, NESTEROV) for change in OUTER])
        measure(task, "Entropy-SGD", [{**PLAIN, **change} for change in OTHERS])
    write_tables()


if __name__ == "__main__":
    write_tables() if sys.argv[1:] == ["table"] else main()
