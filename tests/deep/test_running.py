"""Several runs of one command: what is done is skipped, what is begun goes on, what fails leaves the others alone."""

import os
import signal

import pytest
import torch
from filelock import FileLock

from esgd_minimal import records
from esgd_minimal.__main__ import main
from esgd_minimal.deep import training
from esgd_minimal.deep.experiments import EXPERIMENTS, with_epochs, with_setting
from esgd_minimal.deep.plan import Plan
from esgd_minimal.deep.training import Training, save

CPU = torch.device("cpu")
HOW = ["--device", "cpu", "--quiet"]
THREE = ["--optimizer", "sgd", "--optimizer", "adam", "--optimizer", "loop"]
FOLDER = "digits-1-epochs"


def begun(folder, method="sgd", seed=0, steps=0, precision="float32", epochs=1):
    """A run that was interrupted: its checkpoint lies where `run` puts it."""
    plan = Plan.of(with_epochs(EXPERIMENTS["digits"], epochs), method, seed, precision, None)
    checkpoint = records.path(folder, plan.experiment, method, seed).with_suffix(".checkpoint")
    run = Training(plan, CPU)
    for _ in range(steps):
        run.advance()
    save(run, checkpoint)
    return checkpoint


def run(folder, *methods, epochs="1"):
    return main(["run", "digits", *methods, "--epochs", epochs, "--runs", str(folder), *HOW])


@pytest.fixture
def trained(monkeypatch):
    """Every step that is made from now on: method, seed and number."""
    steps, advance = [], Training.advance

    def watched(run):
        steps.append((run.plan.method, run.plan.seed, run.step))
        advance(run)

    monkeypatch.setattr(Training, "advance", watched)
    return steps


def files(folder):
    return sorted(file.name for file in folder.rglob("*") if file.is_file())


def test_a_command_that_was_interrupted_is_given_again(tmp_path, monkeypatch, capsys, trained):
    watched = Training.advance

    def interrupted(run):
        watched(run)
        if run.plan.method == "adam" and run.step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Training, "advance", interrupted)
    assert run(tmp_path, *THREE) == 130
    assert {method for method, _, _ in trained} == {"sgd", "adam"}
    monkeypatch.setattr(Training, "advance", watched)
    capsys.readouterr()
    trained.clear()
    assert run(tmp_path, *THREE) == 0
    said = capsys.readouterr().err.splitlines()
    folder = tmp_path / FOLDER
    assert said == [
        f"{folder / 'sgd-seed0.json'} is there already; delete it to run that again.",
        f"{folder / 'adam-seed0.checkpoint'} is there: going on from step 5 of 39.",
    ]
    assert trained == [("adam", 0, step) for step in range(5, 39)] + [("loop", 0, step) for step in range(39)]
    assert files(tmp_path) == sorted(f"{m}-seed0.{end}" for m in ("sgd", "adam", "loop") for end in ("json", "pt"))
    trained.clear()
    assert run(tmp_path, *THREE) == 0 and not trained


def test_a_checkpoint_of_another_plan_is_refused_and_kept(tmp_path, capsys, trained):
    checkpoint = begun(tmp_path, precision="bfloat16", steps=1)
    trained.clear()
    before = checkpoint.read_bytes()
    assert run(tmp_path, "--optimizer", "sgd") == 1
    said = capsys.readouterr().err
    assert f"{checkpoint} is of another run (precision: bfloat16, not float32): `resume` that" in said
    assert len(said.splitlines()) == 1 and not trained and checkpoint.read_bytes() == before


def test_a_run_that_diverges_leaves_the_others_alone(tmp_path, capsys):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "loop-seed0.checkpoint").write_bytes(b"nonsense")
    experiment, method = with_setting(with_epochs(EXPERIMENTS["digits"], 1), "sgd", "lr", 1e30)
    bad = Plan.of(experiment, method, 0, "float32", None)
    diverging = records.path(tmp_path, bad.experiment, bad.method, 0).with_suffix(".checkpoint")
    save(Training(bad, CPU), diverging)
    begun(tmp_path, "sgd-average")
    assert main(["resume", "--runs", str(tmp_path), *HOW]) == 1
    first, second = capsys.readouterr().err.splitlines()  # in the order of their names
    assert first.startswith("esgd_minimal: ") and first.endswith(
        "loop-seed0.checkpoint is not a checkpoint of a run (UnpicklingError)."
    )
    assert second.startswith("esgd_minimal: The loss is") and second.endswith(f"checkpoint is kept in {diverging}.")
    assert (tmp_path / FOLDER / "sgd-average-seed0.json").exists() and diverging.exists()


def test_a_plan_that_fails_leaves_the_others_alone_and_what_they_share_is_said_once(tmp_path, capsys):
    begun(tmp_path, "sgd", precision="bfloat16")
    assert run(tmp_path, *THREE) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert len(list(tmp_path.rglob("*.json"))) == 2
    assert main(["run", "digits", *THREE, "--examples", "20", "--runs", str(tmp_path / "few"), *HOW]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1 and not (tmp_path / "few").exists()


def test_what_is_asked_for_twice_is_trained_once(tmp_path, capsys, trained):
    twice = ["--optimizer", "sgd", "--seed", "1", "--optimizer", "sgd", "--seed", "0", "--seed", "1"]
    assert run(tmp_path, *twice, epochs="0.1") == 0
    assert trained == [("sgd", seed, step) for seed in (1, 0) for step in range(4)]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", ["run", "resume", "spectrum"])
def test_one_process_trains_a_run(tmp_path, capsys, trained, command):
    checkpoint = begun(tmp_path)
    what = [] if command == "resume" else ["digits", "--optimizer", "sgd", "--epochs", "1"]
    with FileLock(f"{checkpoint}.lock", timeout=0):
        assert main([command, *what, "--runs", str(tmp_path), *HOW]) == 1
    said = capsys.readouterr().err
    assert said == f"esgd_minimal: Another process is training this run, into {checkpoint}.\n"
    assert not trained and checkpoint.exists() and not list(tmp_path.rglob("*.json"))


def test_the_run_is_locked_for_as_long_as_it_takes_and_the_lock_is_taken_away(tmp_path, monkeypatch):
    from filelock import Timeout

    tried, keep = [], training.keep_weights

    def locked(run, record):
        with pytest.raises(Timeout):
            FileLock(f"{record.with_suffix('.checkpoint')}.lock", timeout=0).acquire()
        tried.append(record)
        keep(run, record)

    monkeypatch.setattr(training, "keep_weights", locked)
    assert run(tmp_path, "--optimizer", "sgd", epochs="0.1") == 0
    assert len(tried) == 1 and files(tmp_path) == ["sgd-seed0.json", "sgd-seed0.pt"]


def test_what_another_process_finished_in_the_meantime_is_not_trained_again(tmp_path, monkeypatch, capsys, trained):
    assert run(tmp_path, "--optimizer", "sgd") == 0
    (record,) = tmp_path.rglob("*.json")
    aside = record.rename(tmp_path / "aside")
    trained.clear()

    def slow(*arguments):
        made = Training(*arguments)
        aside.rename(record)
        return made

    monkeypatch.setattr("esgd_minimal.deep.running.t.Training", slow)
    assert run(tmp_path, "--optimizer", "sgd") == 0
    assert not trained and "is there already" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.lock"))


def test_resume_leaves_a_record_that_is_there_alone(tmp_path, capsys, trained):
    assert run(tmp_path, "--optimizer", "sgd") == 0
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.*") if file.is_file()}
    checkpoint = begun(tmp_path / "elsewhere", precision="bfloat16").rename(tmp_path / "elsewhere" / "old.checkpoint")
    trained.clear()
    assert main(["resume", str(checkpoint), "--runs", str(tmp_path), *HOW]) == 1
    said = capsys.readouterr().err
    record = tmp_path / FOLDER / "sgd-seed0.json"
    assert (
        said
        == f"esgd_minimal: {record} is there already, and {checkpoint} would overwrite it: delete one of the two.\n"
    )
    assert not trained and all(file.read_bytes() == content for file, content in before.items())


def test_the_weights_lie_beside_the_record_wherever_the_checkpoint_was(tmp_path):
    checkpoint = begun(tmp_path / "elsewhere").rename(tmp_path / "elsewhere" / "old.checkpoint")
    assert main(["resume", str(checkpoint), str(checkpoint), "--runs", str(tmp_path / "runs"), *HOW]) == 0
    assert files(tmp_path / "runs") == ["sgd-seed0.json", "sgd-seed0.pt"]
    assert not checkpoint.exists() and not list(checkpoint.parent.glob("*.pt"))
