"""The measurement of All-CNN's training step: its variants do what their names say, it goes on, and it is written."""

import json
from itertools import pairwise

import cifar_speed as speed
import pytest
import torch
from torch import nn

from esgd_minimal.deep import training

CPU = torch.device("cpu")


def tiny(input_dropout: float = 0.2, dropout: float = 0.5) -> nn.Module:
    return nn.Sequential(
        nn.Dropout(input_dropout),
        *(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(dropout), nn.Conv2d(4, 10, 1)),
        *(nn.AvgPool2d(32), nn.Flatten()),
    )


@pytest.fixture
def small(monkeypatch):
    """A size of a second: the real loop on a network of two layers, with nothing really compiled."""
    monkeypatch.setitem(training.NETWORKS, "allcnn-quarter", tiny)
    monkeypatch.setattr(torch, "compile", lambda network, mode: network)
    monkeypatch.setattr(speed, "WARM_UP", 1)
    monkeypatch.setattr(speed, "COPIED", 100)
    # PyTorch's own tests, which another module of ours imports, forbid to set flags.
    flags = torch.backends.flags_frozen.__globals__
    monkeypatch.setitem(flags, "__allow_nonbracketed_mutation_flag", True)
    tf32 = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    yield speed.SIZES["cpu"]._replace(images=160, gradients=1, matrix=8)
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = tf32


@pytest.mark.parametrize("device", speed.SIZES)
def test_one_thing_changes_from_a_variant_to_the_next(device):
    variants = speed.SIZES[device].variants
    assert len({v.name for v in variants}) == len(variants)
    for before, after in pairwise(variants):
        assert sum(a != b for a, b in zip(before[1:], after[1:], strict=True)) == 1
    assert variants[0][1:] == ("float32", False, torch.contiguous_format, "")


@pytest.mark.parametrize("variant", [speed.PLAIN, speed.BF16, speed.LAST], ids=lambda v: v.name)
def test_a_variant_is_what_it_says(small, variant):
    run = speed.training(variant, "allcnn-quarter", 160, CPU)
    seen = []
    run.network[1].register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    run.advance()
    (images, output), weight = seen[0], run.network[1].weight
    assert output.dtype == getattr(torch, variant.precision)
    for tensor in (weight, weight.grad, run.optimizer.state[weight]["x"], images):
        assert tensor.is_contiguous(memory_format=variant.layout)
    other = torch.channels_last if variant.layout is torch.contiguous_format else torch.contiguous_format
    assert not weight.is_contiguous(memory_format=other)
    assert not images.is_contiguous(memory_format=other)


def test_what_is_compiled_is_what_is_trained(small, monkeypatch):
    modes = []
    monkeypatch.setattr(torch, "compile", lambda network, mode: modes.append(mode) or nn.Sequential(network))
    for variant in speed.SIZES["cuda"].variants[-2:]:
        run = speed.training(variant, "allcnn-quarter", 160, CPU)
        assert run.trained[0] is run.network
        run.advance()
    assert modes == ["default", "reduce-overhead"]


def test_a_measurement_goes_on_where_it_stopped(small, tmp_path, monkeypatch):
    file = tmp_path / "speed" / "cpu.json"
    first = speed.measure(small, 1, file, CPU)
    assert json.loads(file.read_text()) == first
    both = speed.measure(small, 2, file, CPU)
    assert both["rounds"][0] == first["rounds"][0]
    assert both["warm-up"] == first["warm-up"]
    assert [set(each) for each in both["rounds"]] == 2 * [{"machine", *both["variants"]}]
    for each in both["rounds"]:
        assert all(value > 0 for times in each.values() for value in times.values())
    monkeypatch.setattr(speed, "training", None)  # would be an error to call
    assert speed.measure(small, 2, file, CPU) == both
    with pytest.raises(ValueError, match=r"network is allcnn-quarter, not allcnn\): delete it to measure again"):
        speed.measure(small._replace(network="allcnn"), 2, file, CPU)


def test_a_gpu_is_waited_for_before_the_clock_starts_and_before_it_stops(monkeypatch):
    happened = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: happened.append("wait"))
    monkeypatch.setattr(speed.time, "perf_counter", lambda: happened.append("clock") or len(happened))
    speed.seconds(lambda: happened.append("work"), 2, torch.device("cuda"))
    assert happened == ["work", "wait", "clock", "work", "work", "wait", "clock"]


def test_the_records_are_whole():
    """Those that the book reads. A GPU's come when it has been measured."""
    files = sorted(speed.FOLDER.glob("*.json"))
    assert "cpu" in {file.stem for file in files}
    for file in files:
        found = json.loads(file.read_text())
        size = speed.SIZES["cpu" if file.stem == "cpu" else "cuda"]
        assert found["variants"] == [variant.name for variant in size.variants]
        assert found["network"] == size.network
        assert len(found["rounds"]) >= 5
        assert all(set(each) == {"machine", *found["variants"]} for each in found["rounds"])
