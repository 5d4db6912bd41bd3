"""The command line, as a user meets it: what it writes, what it says, and what is left when it is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings

import pytest
import torch

from esgd_minimal import records
from esgd_minimal.__main__ import known, main
from esgd_minimal.arguments import SETS, of_the_same_kind
from esgd_minimal.deep import datasets
from esgd_minimal.deep.experiments import EXPERIMENTS, with_epochs
from esgd_minimal.deep.plan import Plan
from esgd_minimal.deep.training import Training, save

DIGITS = ["digits", "--optimizer", "entropy-sgd-lua", "--device", "cpu", "--quiet"]


def test_run_and_table(tmp_path, capsys):
    runs = ["--runs", str(tmp_path)]
    assert main(["run", *DIGITS, "--seed", "0", "--seed", "1", "--epochs", "2", *runs]) == 0
    assert len(records.load(tmp_path, "digits-2-epochs")["entropy-sgd-lua"]) == 2
    assert not list(tmp_path.rglob("*.checkpoint")) and len(list(tmp_path.rglob("*.pt"))) == 2
    capsys.readouterr()
    assert main(["table", *runs]) == 0
    assert "| entropy-sgd-lua | 2 | 2 |" in capsys.readouterr().out


def test_a_changed_setting_has_a_record_of_its_own(tmp_path):
    arguments = ["--epochs", "1", "--examples", "500", "--set", "gamma=0.5", "--runs", str(tmp_path)]
    assert main(["run", *DIGITS, *arguments]) == 0
    record = records.read(tmp_path / "digits-1-epochs-500-examples" / "entropy-sgd-lua,gamma=0.5-seed0.json")
    assert record.configuration["settings"]["gamma"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "minst"], "There is no experiment 'minst'; did you mean: mnistfc, "),
        (["run", "digits", "--optimizer", "adma"], "There is no method of digits 'adma'; did you mean: adam?"),
        (["run", "digits", "--epochs", "-1"], "A budget is above 0 epochs; got -1."),
        (["run", "digits", "--examples", "0"], "--examples is 1 or more; got 0."),
        (["run", "digits", "--epochs", "nan"], "--epochs is a number above 0; got nan."),
        (["run", "digits", "--epochs", "inf"], "--epochs is a number above 0; got inf."),
        (["run", "digits", "--seed", "-1"], "--seed is 0 or more, and below 2^63; got -1."),
        (["run", "digits", "--seed", f"{2**70}"], "--seed is 0 or more, and below 2^63; got 1180591620717411303424."),
        (["run", "digits", "--examples", "20"], "18 training images do not fill one batch of 32: take more examples."),
        (["run", "digits", "--examples", "5"], "5 training images do not fill one batch of 32: take more examples."),
        (["run", "digits", "--optimizer", "adam", "--set", "lr"], "--set takes NAME=VALUE"),
        (["run", "digits", "--optimizer", "adam", "--set", "lr=fast"], "--set takes NAME=VALUE"),
        (["run", "digits", "--optimizer", "adam", "--set", f"lr={'(' * 300}1{')' * 300}"], "--set takes NAME=VALUE"),
        (["run", "digits", "--optimizer", "adam", "--set", "lr=-1"], "Invalid learning rate: -1"),
        (
            ["run", "digits", "--optimizer", "adam", "--set", "lr='abc'"],
            "lr of adam is 0.001 now, and cannot be 'abc'.",
        ),
        (["run", "digits", "--set", "lr=None"], "--set: lr of entropy-sgd is 1.0 now, and cannot be None."),
        (["run", "digits", "--set", "lr=[1]"], "--set: lr of entropy-sgd is 1.0 now, and cannot be [1]."),
        (["run", "digits", "--set", "lr={}"], "--set: lr of entropy-sgd is 1.0 now, and cannot be {}."),
        (["run", "digits", "--set", "lr=True"], "--set: lr of entropy-sgd is 1.0 now, and cannot be True."),
        (["run", "digits", "--set", "lr=1e999"], "--set: lr of entropy-sgd is 1.0 now, and cannot be inf."),
        (
            ["run", "digits", "--set", "langevin_steps=2.5"],
            "langevin_steps of entropy-sgd is 20 now, and cannot be 2.5.",
        ),
        (["run", "char-lstm", "--set", "betas=0.9"], "betas of entropy-adam is (0.5, 0.999) now, and cannot be 0.9."),
        (["run", "char-lstm", "--set", "betas=(0.9,)"], "(0.5, 0.999) now, and cannot be (0.9,)."),
        (["table", "digits"], "There is no record of digits in runs; there are none at all."),
        (["table", "--runs", "typo"], "There is no record in typo: `run` writes one, and --runs says where they are."),
        (["resume", "nowhere.checkpoint"], "nowhere.checkpoint is not a checkpoint of a run"),
        (["data", "minst"], "There is no data set 'minst'; did you mean: mnist?"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert sentence in said and len(said.splitlines()) == 1
    assert not list(tmp_path.rglob("*"))


def test_without_a_gpu(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["run", "digits", "--device", "cuda", "--runs", str(tmp_path)]) == 1
    assert "PyTorch finds no GPU, and is built" in capsys.readouterr().err


def test_a_gpu_that_does_not_work(monkeypatch, capsys, tmp_path):
    def broken(*_, **__):
        raise RuntimeError("no kernel image is available for execution on the device\nand more lines")

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.ones", broken)
    assert main(["run", "digits", "--runs", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "The GPU does not work with this PyTorch (no kernel image is available" in said and "--device cpu" in said
    assert len(said.splitlines()) == 1


def test_what_an_old_driver_makes_pytorch_say_is_passed_on(monkeypatch, capsys, tmp_path):
    def unavailable():
        warnings.warn("The NVIDIA driver on your system\nis too old", UserWarning, stacklevel=2)
        return False

    monkeypatch.setattr("torch.cuda.is_available", unavailable)
    assert main(["run", "digits", "--device", "cuda", "--runs", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert main(["run", *DIGITS[:3], "--quiet", "--epochs", "0.1", "--runs", str(tmp_path)]) == 0
    assert "so this is for the CPU. It says: The NVIDIA driver" in capsys.readouterr().err
    assert "It says: The NVIDIA driver on your system is too old" in said and len(said.splitlines()) == 1


def test_records_need_a_folder(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert main(["run", *DIGITS, "--runs", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.endswith("file is a file.\n")


def test_interrupted_while_it_loads(monkeypatch, capsys, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("esgd_minimal.deep.training.task", interrupted)
    assert main(["run", *DIGITS, "--runs", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "Stopped.\n" and not list(tmp_path.iterdir())


def test_too_little_memory(monkeypatch, capsys, tmp_path):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("esgd_minimal.deep.training.Training.advance", full)
    assert main(["run", *DIGITS, "--epochs", "1", "--runs", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "memory is too small for this, or others use it too" in said and len(said.splitlines()) == 1
    assert list(tmp_path.rglob("*.checkpoint"))


def test_errors_of_pytorch_and_of_ours():
    from torch._inductor import exc

    assert "memory is too small" in known(MemoryError())
    assert "memory is too small" in known(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    if hasattr(exc, "InductorError"):  # not in 2.4
        assert known(exc.InductorError(RuntimeError("No C++ compiler"), None)).endswith("leave --compile out.")
    assert known(RuntimeError("shapes do not match")) is None


def test_what_is_done_is_not_done_again_and_what_is_begun_is_not_thrown_away(tmp_path, capsys):
    again = ["run", *DIGITS, "--epochs", "1", "--runs", str(tmp_path)]
    assert main(again) == 0
    record = next(tmp_path.rglob("*.json"))
    before, text = record.stat().st_mtime_ns, record.read_text()
    capsys.readouterr()
    assert main(again) == 0
    assert capsys.readouterr().err == f"{record} is there already; delete it to run that again.\n"
    assert main([*again, "--precision", "bfloat16"]) == 0  # recorded with another configuration: there all the same
    assert (record.stat().st_mtime_ns, record.read_text()) == (before, text)
    record.rename(record.with_suffix(".checkpoint"))  # which is none
    assert main(again) == 1
    assert "is not a checkpoint of a run" in capsys.readouterr().err
    assert record.with_suffix(".checkpoint").read_text() == text and not record.exists()


def test_every_data_set_that_the_help_names_has_a_loader():
    assert all(callable(getattr(datasets, name.replace("-", "_"))) for name in SETS)


def test_settings_of_the_same_kind():
    for value, present in ((1, 0.5), (0.25, 1.0), (5, 20), (False, True), ((0, 0.9), (0.5, 0.999)), ("loss", "all")):
        of_the_same_kind("it", value, present)
    for value, present in ((1.0, 20), (True, 20), (1, True), ("all", 1.0), ((0.5, "a"), (0.5, 0.9)), (10**400, 1.0)):
        with pytest.raises(ValueError, match="now, and cannot be"):
            of_the_same_kind("it", value, present)


def test_a_table_of_one_seed_where_there_is_no_more(tmp_path, capsys):
    runs = ["--runs", str(tmp_path)]
    for epochs in ("0.1", "0.2"):
        assert main(["run", *DIGITS, "--epochs", epochs, *runs]) == 0
    capsys.readouterr()
    assert main(["table", "digits", *runs]) == 0
    said = capsys.readouterr().out
    assert "digits-0.2-epochs" in said and "| entropy-sgd-lua | 1 | 0.2 |" in said


def test_nothing_to_resume(tmp_path, capsys):
    assert main(["resume", "--runs", str(tmp_path)]) == 0
    assert "There is nothing to resume." in capsys.readouterr().out


def test_a_run_that_is_resumed_by_its_path_is_recorded_where_it_was_begun(tmp_path, monkeypatch):
    assert main(["run", *DIGITS, "--epochs", "1", "--runs", str(tmp_path / "there")]) == 0
    (record,) = tmp_path.rglob("*.json")
    whole = without_time(record)
    record.unlink()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    plan = Plan.of(with_epochs(EXPERIMENTS["digits"], 1), "entropy-sgd-lua", 0, "float32", None)
    checkpoint = record.with_suffix(".checkpoint")
    save(Training(plan, torch.device("cpu")), checkpoint)
    named = "../there/digits-1-epochs/entropy-sgd-lua-seed0.checkpoint"
    assert main(["resume", named, "--quiet", "--device", "cpu"]) == 0
    assert without_time(record) == whole and not checkpoint.exists()
    assert not list((tmp_path / "here").iterdir())
    loose = tmp_path / "here" / "loose.checkpoint"  # in no folder of records: the default
    save(Training(plan, torch.device("cpu")), loose)
    assert main(["resume", str(loose), "--quiet", "--device", "cpu"]) == 0
    assert without_time(tmp_path / "here" / "runs" / "digits-1-epochs" / "entropy-sgd-lua-seed0.json") == whole


def test_list_and_help(capsys):
    assert main(["list"]) == 0
    assert "char-lstm: char-lstm on war-and-peace" in capsys.readouterr().out
    wanted = {
        "": ("all eigenvalues of the Hessian at the end of a run", "the density of the Hessian's eigenvalues"),
        "list": ("effective epochs",),
        "run": (
            "as one pass over the training set takes",
            "Without --optimizer, all methods of the experiment are run",
        ),
        "resume": ("from their checkpoints",),
        "table": ("95 % interval",),
        "spectrum": ("trained first, if that is not done yet", "computed on the CPU"),
        "density": ("`run` must come first",),
        "data": ("mnist, cifar10, penn-treebank, war-and-peace",),
    }
    for command, sentences in wanted.items():
        with pytest.raises(SystemExit) as end:
            main([*command.split(), "--help"])
        said = " ".join(capsys.readouterr().out.split())
        assert end.value.code == 0 and all(sentence in said for sentence in sentences)


def start(tmp_path, *arguments):
    command = [sys.executable, "-m", "esgd_minimal", *arguments, "--runs", str(tmp_path), "--device", "cpu", "--quiet"]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True)


def ended(run):
    """How it ended, once it has; its pipe is closed."""
    run.communicate()
    return run.returncode


def without_time(file):
    record = json.loads(file.read_text())
    record["history"].pop("seconds")
    return {k: record[k] for k in ("configuration", "data", "gradient_evaluations", "history", "results")}


def waited(condition, patience=60.0):
    until = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.01)


@pytest.mark.slow
def test_killed_at_20_random_moments_a_run_ends_the_same(tmp_path):
    """SIGKILL: while it starts, trains, evaluates, or writes a checkpoint. Then `resume`, which is killed again."""
    budget = ["run", "digits", "--optimizer", "entropy-sgd-lua", "--epochs", "250"]
    assert ended(start(tmp_path / "whole", *budget)) == 0
    drawn, folder = random.Random(0), tmp_path / "cut" / "digits-250-epochs"
    checkpoint, record = folder / "entropy-sgd-lua-seed0.checkpoint", folder / "entropy-sgd-lua-seed0.json"
    killed = 0
    while killed < 20 and not record.exists():
        run = start(tmp_path / "cut", *(["resume"] if checkpoint.exists() else budget))
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
        if drawn.random() < 0.9:  # mostly once it is going; else while it starts
            waited(lambda: checkpoint.exists() and checkpoint.stat().st_mtime_ns != before)  # noqa: B023
        time.sleep(drawn.uniform(0, 0.3))
        run.send_signal(signal.SIGKILL)
        killed += ended(run) == -signal.SIGKILL
    assert killed == 20, "the run was over before it had been killed 20 times"
    assert ended(start(tmp_path / "cut", "resume")) == 0
    assert without_time(record) == without_time(next((tmp_path / "whole").rglob("*.json")))
    assert not list(folder.glob("*.checkpoint")) and not list(folder.glob("*.part"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_says_how_to_go_on(tmp_path, number):
    run = start(tmp_path, "run", "digits", "--optimizer", "adam", "--epochs", "4000")
    waited(lambda: list(tmp_path.rglob("*.checkpoint")))
    time.sleep(0.5)
    run.send_signal(number)
    _, said = run.communicate(timeout=30)
    assert run.returncode == 130 and "`resume` goes on from there" in said and "Traceback" not in said
