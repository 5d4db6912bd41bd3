"""The measurement that the defaults cite: its tables are its results', and it is of the defaults that there are."""

import json

import defaults
import torch
from torch import nn

from esgd_minimal.deep.entropy_adam import EntropyAdam
from esgd_minimal.deep.entropy_sgd import EntropySGD


def test_the_tables_are_those_of_the_results(tmp_path, monkeypatch):
    committed = defaults.TABLES.read_text()
    monkeypatch.setattr(defaults, "TABLES", tmp_path / "defaults.md")
    defaults.write_tables()
    assert defaults.TABLES.read_text() == committed
    results = defaults.known()
    results[0]["loss"] += 0.01
    monkeypatch.setattr(defaults, "RESULTS", tmp_path / "defaults.json")
    defaults.RESULTS.write_text(json.dumps(results))
    defaults.write_tables()
    assert defaults.TABLES.read_text() != committed


def test_the_defaults_were_measured_on_both_tasks():
    p = [nn.Parameter(torch.ones(2))]
    assert defaults.PLAIN.items() <= EntropySGD(p).defaults.items()
    chain = {name: value for name, value in defaults.PLAIN.items() if name != "lr"}
    assert chain.items() <= EntropyAdam(p).defaults.items()
    for task in (defaults.MNIST, defaults.NOVEL):
        assert len(defaults.losses(task, "Entropy-SGD", defaults.PLAIN)) == len(defaults.SEEDS)


class Line(nn.Module):
    """f(x) = (x − 3)²: a task of one number."""

    def __init__(self):
        super().__init__()
        self.x = nn.Parameter(torch.tensor([0.0]))


def test_a_run_ends_at_x_and_a_diverging_one_is_none():
    task = defaults.Task(
        "a line", 40, lambda seed: Line(), lambda model, _: (model.x - 3).square().sum(), lambda m: m.x.item()
    )
    quiet = {"noise": 0.0, "gamma": 0.0}
    assert defaults.run(task, "SGD", {"lr": 0.25}, 0) == 3.0
    assert defaults.run(task, "Entropy-SGD", {"langevin_lr": 0.25, **quiet}, 0) == 3.0
    assert defaults.run(task, "Entropy-SGD", {"langevin_lr": 0.25, "langevin_steps": 41, **quiet}, 0) == 0.0
    assert defaults.run(task, "SGD", {"lr": 1e30}, 0) is None
