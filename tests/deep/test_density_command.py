"""The density command, on a network that takes a moment."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from esgd_minimal import density_records, records
from esgd_minimal.__main__ import main
from esgd_minimal.deep import tasks, training

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # torch.func's own
RUN = ["digits", "--optimizer", "adam", "--epochs", "1", "--quiet", "--device", "cpu"]
FEW = ["--images", "60", "--steps", "12", "--probes", "3"]
FOLDER = "digits-1-epochs"


def small(dropout=0.5):
    """Convolutions with batch normalization and dropout, 271 weights."""
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Conv2d(4, 4, 2), nn.ReLU(), nn.AvgPool2d(3), nn.Flatten(), nn.Linear(4, 10), nn.Linear(10, 5)),
        *(nn.Linear(5, 10, bias=False),),
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With a run in it, whose weights were kept."""
    monkeypatch.setitem(training.NETWORKS, "digits", small)
    assert main(["run", *RUN, "--runs", str(tmp_path)]) == 0
    return tmp_path


def density(folder, *more):
    return main(["density", *RUN, *FEW, "--runs", str(folder), *more])


def test_it_records_what_the_dense_hessian_has(folder, capsys):
    assert density(folder) == 0
    assert "adam-seed0-spectral-density.json  largest " in capsys.readouterr().out
    (found,) = density_records.load(folder, FOLDER)["adam"]
    run = records.read(folder / FOLDER / "adam-seed0.json")
    assert found.run == run and found.data == run.data
    assert (found.images, found.steps, len(found.probes), found.precision) == (60, 12, 3, "float32")
    assert found.versions == run.versions and found.device == run.device and found.seconds > 0
    network = small().eval()
    network.load_state_dict(torch.load(folder / FOLDER / "adam-seed0.pt", weights_only=True))
    network.double()
    train = tasks.task("digits", 32, 0, 0, torch.device("cpu")).parts["train"]
    pixels, labels = train.pixels[:60].double(), train.labels[:60]
    names = [name for name, _ in network.named_parameters()]

    def loss(*weights):
        logits = torch.func.functional_call(network, dict(zip(names, weights, strict=True)), (pixels,))
        return nn.functional.cross_entropy(logits, labels)

    weights = tuple(p.detach() for p in network.parameters())
    blocks = torch.autograd.functional.hessian(loss, weights)
    rows = [
        torch.cat([b.reshape(p.numel(), q.numel()) for b, q in zip(row, weights, strict=True)], dim=1)
        for row, p in zip(blocks, weights, strict=True)
    ]
    exact = np.linalg.eigvalsh(torch.cat(rows).numpy())
    assert found.weights == len(exact)
    values, errors = density_records.largest(found, 2)
    assert np.all(np.abs(values - exact[::-1][:2]) <= errors) and np.all(errors < 1e-3 * exact[-1])
    low, off = density_records.smallest(found)
    assert np.abs(exact - low).min() <= off + 1e-6 and low >= exact[0] - 1e-6
    value = loss(*(w.requires_grad_() for w in weights))
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(value, weights)]).norm().item()
    norm = torch.cat([w.flatten() for w in weights]).norm().item()
    assert (found.loss, found.gradient, found.norm) == pytest.approx((value.item(), gradient, norm), rel=1e-4)


def test_done_again_it_says_the_same_and_the_run_is_left_alone(folder):
    files = [folder / FOLDER / f"adam-seed0.{ending}" for ending in ("json", "pt")]
    before = [file.read_bytes() for file in files]
    assert density(folder) == 0
    first = density_records.load(folder, FOLDER)["adam"][0]
    assert density(folder) == 0
    assert density_records.load(folder, FOLDER)["adam"][0].probes == first.probes
    assert density(folder, "--steps", "5") == 0
    assert density_records.load(folder, FOLDER)["adam"][0].steps == 5
    assert [file.read_bytes() for file in files] == before
    assert len(list((folder / FOLDER).iterdir())) == 3  # nothing half-written
    assert list(records.load(folder, FOLDER)) == ["adam"] and len(records.load(folder, FOLDER)["adam"]) == 1


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--probes", "1"], "A standard error takes --probes 2 or more; got 1."),
        (["--steps", "0"], "--steps is from 1 to 271, the number of weights; got 0."),
        (["--steps", "272"], "--steps is from 1 to 271, the number of weights; got 272."),
        (["--images", "0"], "training images; got --images 0."),
        (["--images", "5000"], "training images; got --images 5000."),
        (["--seed", "1"], "adam-seed1.json; first: python -m esgd_minimal run digits --optimizer adam --seed 1"),
        (["--set", "lr=0.1"], "--optimizer adam --seed 0 --set lr=0.1 --epochs 1 --runs"),
        (["--examples", "700"], "--epochs 1 --examples 700 --runs"),
        (["--optimizer", "adma"], "There is no method of digits 'adma'"),
    ],
)
def test_what_cannot_be(folder, capsys, more, sentence):
    capsys.readouterr()
    assert density(folder, *more) == 1
    said = capsys.readouterr().err
    assert sentence in said and len(said.splitlines()) == 1
    assert not list(folder.rglob("*density*"))


def test_weights_that_are_not_there_or_not_right(folder, capsys):
    weights = folder / FOLDER / "adam-seed0.pt"
    torch.save(nn.Linear(2, 2).state_dict(), weights)
    assert density(folder) == 1
    assert f"{weights} does not hold the weights of digits (RuntimeError)." in capsys.readouterr().err
    weights.write_bytes(b"nothing")
    assert density(folder) == 1
    assert "does not hold the weights of digits" in capsys.readouterr().err
    weights.unlink()
    done = weights.with_suffix(".json")
    content = json.loads(done.read_text())
    content["configuration"]["precision"] = "bfloat16"
    done.write_text(json.dumps(content))
    assert density(folder) == 1
    said = capsys.readouterr().err
    assert "run digits --optimizer adam --seed 0 --epochs 1 --precision bfloat16 --runs again; then" in said


def test_other_data_than_the_runs_is_said_and_recorded(folder, capsys):
    done = folder / FOLDER / "adam-seed0.json"
    content = json.loads(done.read_text())
    done.write_text(json.dumps(content | {"data": "f" * 64}))
    loud = [word for word in RUN if word != "--quiet"]
    assert main(["density", *loud, *FEW, "--runs", str(folder)]) == 0
    assert "the data is not, to the last bit, what this run saw" in capsys.readouterr().err
    (found,) = density_records.load(folder, FOLDER)["adam"]
    assert (found.data, found.run.data) == (content["data"], "f" * 64)


def test_a_record_that_is_none(folder):
    assert density(folder) == 0
    file = folder / FOLDER / "adam-seed0-spectral-density.json"
    renamed = file.with_name("adam-seed1-spectral-density.json")
    renamed.write_text(file.read_text())
    with pytest.raises(ValueError, match="holds digits-1-epochs's adam, seed 0"):
        density_records.read(renamed)
    content = json.loads(file.read_text())
    content["probes"][1]["weights"][0] += 0.1
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"not the record of a spectral density: probe 1 is not a measure"):
        density_records.read(file)
    del content["probes"]
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="is not the record of a spectral density"):
        density_records.read(file)
    assert density_records.load(folder, "nothing") == {}


def test_whole_spectra_of_convolutions_too(folder):
    """Their weights lie channels-last, and have a norm all the same."""
    from esgd_minimal import spectrum_records

    assert density(folder) == 0
    arguments = ["--images", "60", "--double", "--runs", str(folder)]
    assert main(["spectrum", *RUN, *arguments]) == 0
    (whole,) = spectrum_records.load(folder, FOLDER)["adam"]
    (some,) = density_records.load(folder, FOLDER)["adam"]
    assert (whole.loss, whole.gradient, whole.norm) == pytest.approx((some.loss, some.gradient, some.norm), rel=1e-4)
    np.testing.assert_allclose(whole.spectrum.largest[:2], density_records.largest(some, 2)[0], rtol=1e-4)
