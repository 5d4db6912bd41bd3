"""The spectrum command, on a network that takes a moment, and its records."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import nn

from esgd_minimal import records, spectrum_records
from esgd_minimal.__main__ import main
from esgd_minimal.deep import hessian, models, spectra, tasks, training
from esgd_minimal.deep.datasets import Images
from esgd_minimal.deep.experiments import EXPERIMENTS, with_epochs
from esgd_minimal.deep.plan import Plan

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # torch.func's own


def small(dropout=0.0):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.ReLU(), nn.Dropout(dropout), nn.Linear(3, 10))


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    monkeypatch.setitem(training.NETWORKS, "digits", small)
    asked = ["digits", "--optimizer", "adam", "--epochs", "1", "--images", "60", "--double"]
    return ["spectrum", *asked, "--quiet", "--device", "cpu", "--runs", str(tmp_path)]


def test_it_trains_and_records_the_spectrum_at_the_end(arguments, tmp_path, capsys):
    assert main(arguments) == 0
    assert "235 eigenvalues from" in capsys.readouterr().out
    (found,) = spectrum_records.load(tmp_path, "digits-1-epochs")["adam"]
    run = records.read(tmp_path / "digits-1-epochs" / "adam-seed0.json")
    assert found.run == run and (found.images, found.precision) == (60, "float64")
    network = small().double().eval()
    network.load_state_dict(torch.load(tmp_path / "digits-1-epochs" / "adam-seed0.pt", weights_only=True))
    train = tasks.task("digits", 32, 0, 0, torch.device("cpu")).parts["train"]
    examples = [(train.pixels[:60].double(), train.labels[:60])]
    product = hessian.hessian_product(spectra.mean_loss(network, examples), examples, network.parameters())
    exact = np.linalg.eigvalsh(hessian.dense(product, torch.empty(235, dtype=torch.double)).numpy())
    np.testing.assert_allclose(found.spectrum.largest, exact[::-1][:100], atol=1e-12)
    np.testing.assert_allclose(found.spectrum.smallest, exact[:100], atol=1e-12)
    weights = nn.utils.parameters_to_vector(network.parameters())
    loss = nn.functional.cross_entropy(network(examples[0][0]), examples[0][1])
    slope = nn.utils.parameters_to_vector(torch.autograd.grad(loss, list(network.parameters())))
    assert (found.loss, found.norm, found.gradient) == pytest.approx(
        (loss.item(), weights.norm().item(), slope.norm().item())
    )


def test_on_lines_of_text(tmp_path, monkeypatch, capsys):
    lines = torch.randint(6, (90, 8), generator=torch.Generator().manual_seed(0))
    tasks.loaded.cache_clear()
    monkeypatch.setitem(tasks.DATA, "war-and-peace-lines", lambda: (Images(lines, lines), Images(lines[:9], lines[:9])))
    monkeypatch.setitem(training.NETWORKS, "small-char-lstm", lambda: models.small_char_lstm(6, 2))
    experiment = dataclasses.replace(EXPERIMENTS["small-char-lstm"], batch=8)
    monkeypatch.setitem(EXPERIMENTS, "small-char-lstm", experiment)
    asked = ["--optimizer", "entropy-adam", "--epochs", "1", "--images", "20", "--double", "--quiet"]
    assert main(["spectrum", "small-char-lstm", *asked, "--device", "cpu", "--runs", str(tmp_path)]) == 0
    assert f"{2 * 2 + 6 * 8 + 3 * 8 + 3 * 6} eigenvalues from" in capsys.readouterr().out
    (found,) = spectrum_records.load(tmp_path, "small-char-lstm-1-epochs")["entropy-adam"]
    network = models.small_char_lstm(6, 2).double().eval()
    network.load_state_dict(torch.load(next(tmp_path.glob("*/*.pt")), weights_only=True))
    some = tasks.task("war-and-peace-lines", 8, 0, 0, torch.device("cpu")).parts["train"].pixels[:20]
    examples = [(some, some)]
    product = hessian.hessian_product(spectra.mean_loss(network, examples), examples, network.parameters())
    exact = np.linalg.eigvalsh(hessian.dense(product, torch.empty(94, dtype=torch.double)).numpy())
    np.testing.assert_allclose(found.spectrum.smallest, exact, atol=1e-12)
    assert found.loss == pytest.approx(nn.functional.cross_entropy(network(some), some).item(), rel=1e-12)
    tasks.loaded.cache_clear()


def test_what_was_trained_is_not_trained_again(arguments, tmp_path):
    assert main(arguments) == 0
    file = tmp_path / "digits-1-epochs" / "adam-seed0.json"
    written = file.stat().st_mtime_ns
    first = spectrum_records.load(tmp_path, "digits-1-epochs")["adam"][0]
    assert main(arguments) == 0 and file.stat().st_mtime_ns == written
    assert spectrum_records.load(tmp_path, "digits-1-epochs")["adam"][0].spectrum == first.spectrum


def test_what_was_begun_is_gone_on_with(arguments, tmp_path, monkeypatch, capsys):
    plan = Plan.of(with_epochs(EXPERIMENTS["digits"], 1), "adam", 0, "float32", None)
    begun = training.Training(plan, torch.device("cpu"))
    for _ in range(30):
        begun.advance()
    checkpoint = tmp_path / "digits-1-epochs" / "adam-seed0.checkpoint"
    training.save(begun, checkpoint)
    steps, advance = [], training.Training.advance

    def watched(run):
        steps.append(run.step)
        advance(run)

    monkeypatch.setattr(training.Training, "advance", watched)
    assert main(arguments) == 0
    assert steps == list(range(30, begun.steps)) and not checkpoint.exists()
    assert f"{checkpoint} is there: going on from step 30 of {begun.steps}." in capsys.readouterr().err


def test_a_run_that_cannot_be_trained_leaves_the_others_alone(arguments, tmp_path, capsys):
    checkpoint = tmp_path / "digits-1-epochs" / "adam-seed0.checkpoint"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"nonsense")
    assert main([*arguments, "--seed", "0", "--seed", "1"]) == 1
    assert "adam-seed0.checkpoint is not a checkpoint of a run" in capsys.readouterr().err
    assert [r.run.seed for r in spectrum_records.load(tmp_path, "digits-1-epochs")["adam"]] == [1]


def test_what_is_counted_of_a_spectrum_is_what_counting_the_eigenvalues_gives():
    rng = np.random.default_rng(5)
    sizes = 10.0 ** rng.uniform(-11, 3, 500)  # none is on an edge
    values = sizes * rng.choice([-1, 1, 1], 500)
    spectrum = spectrum_records.summary(values, 520)
    for sign in (1, -1):
        counted = [np.sum(sign * values >= edge) for edge in spectrum_records.EDGES[:-1]]
        np.testing.assert_array_equal(spectrum.beyond(sign), counted)
    for level in (1e-5, 10**-6.5, 1e-2, 1.0):
        assert spectrum.below(level) == pytest.approx((np.sum(sizes < level) + 20) / 520, rel=1e-12)
    with pytest.raises(ValueError, match="Shares are known below"):
        spectrum.below(2e-5)


def test_what_cannot_be(arguments, tmp_path, capsys):
    assert main([*arguments, "--images", "0"]) == 1
    assert "--images is 1 or more; got 0." in capsys.readouterr().err
    assert main([*arguments, "--images", "5000"]) == 1
    assert "training images; got --images 5000." in capsys.readouterr().err
    (tmp_path / "digits-1-epochs" / "adam-seed0.pt").unlink()
    assert main(arguments) == 1
    assert "delete its record to train again" in capsys.readouterr().err


def test_a_record_that_is_none(arguments, tmp_path):
    assert main(arguments) == 0
    file = tmp_path / "digits-1-epochs" / "adam-seed0-spectrum.json"
    content = json.loads(file.read_text())
    renamed = file.with_name("adam-seed1-spectrum.json")
    renamed.write_text(file.read_text())
    with pytest.raises(ValueError, match="holds digits-1-epochs's adam, seed 0"):
        spectrum_records.read(renamed)
    content["spectrum"]["positive"][0] += 1000
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="more eigenvalues than there are weights"):
        spectrum_records.read(file)
    del content["spectrum"]
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="is not the record of a spectrum"):
        spectrum_records.read(file)
    assert spectrum_records.load(tmp_path, "nothing") == {}
