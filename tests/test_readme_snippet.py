"""The README's ten lines train a network, as they stand."""

import re
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

ROOT = Path(__file__).resolve().parents[1]


def test_the_ten_lines_train_a_model_of_the_users_own():
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    torch.manual_seed(0)
    inputs = torch.randn(512, 2)
    labels = (inputs.norm(dim=1) > 1.2).long()  # in a circle or outside: no line tells
    model = torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2))
    before = cross_entropy(model(inputs), labels).item()
    batches = list(zip(inputs.split(32), labels.split(32), strict=True))
    names = {"model": model, "batches": batches, "epochs": 40}
    exec(block, names)
    assert cross_entropy(model(inputs), labels).item() < before / 2
    for p in model.parameters():
        assert torch.equal(p, names["optimizer"].state[p]["x"])
