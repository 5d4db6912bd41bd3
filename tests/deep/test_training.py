"""The loop: what it does to the weights, what it leaves alone, how it stops, and that it goes on to the bit."""

import copy
import dataclasses
import os
import re
import signal
import time

import pytest
import torch
from torch.nn.functional import cross_entropy

from esgd_minimal.deep import checkpoints, tasks, training
from esgd_minimal.deep.experiments import EXPERIMENTS, Method, with_epochs
from esgd_minimal.deep.plan import Plan
from esgd_minimal.deep.stopping import Stopped
from esgd_minimal.deep.training import Training, go_on, restore, save, train

CPU = torch.device("cpu")


def plan(method="entropy-sgd-lua", epochs=1.0, seed=0, **changes):
    experiment = with_epochs(EXPERIMENTS["digits"], epochs)
    return dataclasses.replace(Plan.of(experiment, method, seed, "float32", None), **changes)


def walked(run, steps):
    for _ in range(steps):
        run.advance()
    return run


def weights(run):
    return torch.cat([p.detach().flatten() for p in run.network.parameters()])


def test_a_run_is_the_ordinary_loop():
    """The same by hand: torch's optimizer, the batches of the task, the drop of the learning rate in its places."""
    run = walked(Training(plan("sgd"), CPU), 20)
    torch.manual_seed(0)
    task = tasks.task("digits", 32, 0, 0, CPU)
    network = training.models.digits()
    sgd = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9, nesterov=True)
    pixels, labels = task.parts["train"]
    for step in range(20):
        sgd.param_groups[0]["lr"] = 0.02 * 0.2 ** sum(step >= round(at * task.steps) for at in (0.3, 0.6, 0.9))
        index = task.of_pass(0)[0][step * 32 : (step + 1) * 32]
        sgd.zero_grad()
        cross_entropy(network(pixels[index]), labels[index]).backward()
        sgd.step()
    assert torch.equal(weights(run), torch.cat([p.detach().flatten() for p in network.parameters()]))


@pytest.mark.parametrize("method", ["entropy-sgd-lua", "adam", "sgd-average", "loop"])
@pytest.mark.parametrize("cut", [1, 7, 20, 33])
def test_a_run_resumed_anywhere_is_the_same_run_to_the_bit(tmp_path, method, cut):
    whole = walked(Training(plan(method), CPU), 39)
    whole.evaluate()
    first = walked(Training(plan(method), CPU), cut)
    first.look()
    save(first, tmp_path / "x.checkpoint")
    torch.manual_seed(99)
    second = walked(restore(tmp_path / "x.checkpoint", CPU), 39 - cut)
    second.evaluate()
    assert torch.equal(weights(whole), weights(second))
    assert {k: v for k, v in whole.history.items() if k != "seconds"} == {
        k: v for k, v in second.history.items() if k != "seconds"
    }


@pytest.mark.parametrize("method", ["entropy-sgd-lua", "adam", "sgd-average"])
def test_an_evaluation_leaves_the_run_alone(method):
    undisturbed, watched = walked(Training(plan(method), CPU), 30), walked(Training(plan(method), CPU), 13)
    watched.evaluate()
    watched.results()
    assert torch.equal(weights(undisturbed), weights(walked(watched, 17)))


def test_what_is_judged_is_x_not_the_chain():
    run = walked(Training(plan(), CPU), 33)  # 13 steps into the second chain
    x = {name: run.optimizer.state[p]["x"].clone() for name, p in run.network.named_parameters()}
    with run.at_x(everything=False) as network:
        assert not network.training
        for name, p in network.named_parameters():
            assert torch.equal(p, x[name])
    assert run.network.training
    assert not all(torch.equal(p, x[name]) for name, p in run.network.named_parameters())


def test_what_is_judged_is_the_average_where_there_is_one():
    run = Training(plan("sgd-average"), CPU)
    average = copy.deepcopy(dict(run.network.named_parameters()))
    for step in range(10):
        run.advance()
        for name, p in run.network.named_parameters():
            average[name].data = p.detach().clone() if step == 0 else average[name].lerp(p, 1 - 0.999).detach()
    with run.at_x(everything=False) as network:
        for name, p in network.named_parameters():
            torch.testing.assert_close(p, average[name], rtol=1e-5, atol=1e-6)


def test_the_network_that_is_judged_has_batch_statistics_of_its_own():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(64), torch.nn.Linear(64, 10))
    run = Training(plan("sgd"), CPU)
    run.network = network
    with run.at_x(everything=True) as judged:
        batches = [images.flatten(1) for images in run.task.inputs(everything=True)]
        mean = torch.stack([batch.mean(dim=0) for batch in batches]).mean(dim=0)
        torch.testing.assert_close(judged[1].running_mean, mean)


def test_a_record_says_what_was_done(tmp_path):
    record = train(Training(plan(epochs=2.0), CPU), tmp_path / "x.checkpoint", quiet=True)
    steps = tasks.task("digits", 32, 0, 0, CPU).steps
    assert record.gradient_evaluations == 2 * steps
    assert record.history["epoch"] == [1.0, 2.0]
    assert record.history["gradient_evaluations"] == [steps, 2 * steps]
    assert set(record.results) == {f"{part}_{x}" for part in ("train", "valid", "test") for x in ("loss", "error")}
    assert not any("test" in column for column in record.history)
    assert record.configuration["settings"]["langevin_steps"] == 20 and record.configuration["weights"] == 26_122
    assert record.versions["torch"] == torch.__version__ and record.experiment == "digits-2-epochs"


def test_it_learns(tmp_path):
    """Two classes of ten would be right by chance 10 % of the time; after 5 passes far more are."""
    record = train(Training(plan(epochs=5.0), CPU), tmp_path / "x.checkpoint", quiet=True)
    assert record.results["test_error"] < 15


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(tmp_path):
    recipe = Method("sgd", {"lr": 1e30}, 2)
    run = Training(plan("sgd", recipe=recipe), CPU)
    with pytest.raises(FloatingPointError, match=r"The loss is (nan|inf) at step \d+ of 78\. Try .*lr=1e\+30"):
        train(run, tmp_path / "x.checkpoint", quiet=True)
    kept = restore(tmp_path / "x.checkpoint", CPU)
    assert torch.isfinite(weights(kept)).all()


def test_weights_that_are_not_finite_after_the_last_gradient_stop_the_run_too(tmp_path):
    """The loss is that from before the step."""
    run = Training(plan("sgd", recipe=Method("sgd", {"lr": 1e30}, 0.02)), CPU)
    assert run.steps == 1
    with pytest.raises(FloatingPointError, match=r"The loss is (nan|inf) at step 1 of 1\. Try .*lr=1e\+30"):
        train(run, tmp_path / "x.checkpoint", quiet=True)
    assert not run.history and torch.isfinite(weights(restore(tmp_path / "x.checkpoint", CPU))).all()
    with pytest.raises(FloatingPointError, match=r"The loss is (nan|inf) at step 1 of 1"):
        run.results()


def test_a_record_has_the_versions_of_all_sittings_from_their_starts(tmp_path, monkeypatch):
    now = {"torch": "2.12.0", "commit": "first"}
    monkeypatch.setattr(training, "versions", lambda: dict(now))
    run = Training(plan(epochs=0.2), CPU)
    now["commit"] = "edited while it runs"
    run.advance()
    assert walked(Training(plan(epochs=0.2), CPU), 1).versions["commit"] == "edited while it runs"
    save(run, tmp_path / "x.checkpoint")
    now |= {"torch": "2.13.0", "commit": "second"}
    save(restore(tmp_path / "x.checkpoint", CPU), tmp_path / "x.checkpoint")
    record = train(restore(tmp_path / "x.checkpoint", CPU), tmp_path / "x.checkpoint", quiet=True)
    assert record.versions == {"torch": "2.12.0, 2.13.0", "commit": "first, second"}


def test_other_data_than_the_run_was_begun_on_is_refused(tmp_path):
    begun, now = walked(Training(plan(), CPU), 3), Training(plan(), CPU)
    begun.task.digest = "0" * 64
    save(begun, tmp_path / "x.checkpoint")
    before = weights(now).clone()
    with pytest.raises(ValueError, match=r"x\.checkpoint was begun on other data than is here"):
        go_on(now, tmp_path / "x.checkpoint")
    assert now.step == 0 and torch.equal(weights(now), before)


def test_another_plan_than_the_checkpoints_is_refused(tmp_path):
    save(walked(Training(plan(), CPU), 3), tmp_path / "x.checkpoint")
    recipe = plan().recipe
    slower = dataclasses.replace(recipe, settings={**recipe.settings, "lr": 0.5})
    wetter = dataclasses.replace(recipe, network={"dropout": 0.5})
    for other, said in (
        (plan(precision="bfloat16"), "precision: float32, not bfloat16"),
        (plan(seed=1), "seed: 0, not 1"),
        (plan(epochs=2.0), "experiment: digits-1-epochs, not digits-2-epochs; epochs: 1.0, not 2.0"),
        (plan(recipe=slower), "lr: 1.0, not 0.5"),
        (plan(recipe=wetter), "network: ('digits', {'dropout': 0.15}), not ('digits', {'dropout': 0.5})"),
    ):
        with pytest.raises(ValueError, match=rf"x\.checkpoint is of another run \({re.escape(said)}\): `resume` that"):
            go_on(Training(other, CPU), tmp_path / "x.checkpoint")


def test_a_checkpoint_from_before_data_and_versions_were_kept(tmp_path):
    run = walked(Training(plan(), CPU), 3)
    state = run.state_dict()
    del state["digest"], state["versions"]
    checkpoints.put(state, tmp_path / "x.checkpoint")
    resumed = restore(tmp_path / "x.checkpoint", CPU)
    assert resumed.step == 3 and resumed.versions == run.versions


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux's device that is always full")
def test_a_full_disk_is_said_and_nothing_half_written_is_left(tmp_path):
    run = Training(plan(), CPU)
    save(run, tmp_path / "x.checkpoint")
    before = (tmp_path / "x.checkpoint").read_bytes()
    (tmp_path / "x.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"x\.checkpoint cannot be written; the disk may be full \(.+\)\.$"):
        save(run, tmp_path / "x.checkpoint")
    assert [file.name for file in tmp_path.iterdir()] == ["x.checkpoint"]
    assert (tmp_path / "x.checkpoint").read_bytes() == before


def test_what_else_goes_wrong_while_a_checkpoint_is_written_is_not_the_disks_fault(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("an illegal memory access was encountered")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        save(Training(plan(), CPU), tmp_path / "x.checkpoint")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_after_its_step(tmp_path, number):
    before = signal.getsignal(number)
    run = Training(plan(epochs=2.0), CPU)
    advance = run.advance

    def interrupted():
        advance()
        if run.step == 27:
            os.kill(os.getpid(), number)

    run.advance = interrupted
    with pytest.raises(Stopped, match="Stopped at step 27 of 78; `resume` goes on from there"):
        train(run, tmp_path / "x.checkpoint", quiet=True)
    assert signal.getsignal(number) is before
    resumed = restore(tmp_path / "x.checkpoint", CPU)
    assert resumed.step == 27
    record = train(resumed, tmp_path / "x.checkpoint", quiet=True)
    whole = train(Training(plan(epochs=2.0), CPU), tmp_path / "y.checkpoint", quiet=True)
    assert record.results == whole.results


def test_the_time_of_all_sittings_counts(tmp_path):
    run = Training(plan(epochs=1.0), CPU)
    run.seconds = 1000.0
    started = time.monotonic()
    record = train(run, tmp_path / "x.checkpoint", quiet=True)
    assert 1000 < record.seconds < 1000 + (time.monotonic() - started) + 1


def test_what_is_no_checkpoint(tmp_path):
    (tmp_path / "x.checkpoint").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"x.checkpoint is not a checkpoint of a run"):
        restore(tmp_path / "x.checkpoint", CPU)


def test_a_plan_survives_its_checkpoint():
    original = plan("entropy-sgd", precision="bfloat16", examples=100)
    assert Plan.from_dict(dataclasses.asdict(original)) == original
    assert Plan.of(EXPERIMENTS["digits"], "adam", 0, "float32", 500).experiment == "digits-500-examples"


def test_bfloat16_passes_keep_the_weights_in_32_bits():
    run = walked(Training(plan(precision="bfloat16"), CPU), 3)
    assert {p.dtype for p in run.network.parameters()} == {torch.float32}
    assert not torch.equal(weights(run), weights(walked(Training(plan(), CPU), 3)))


def test_a_history_has_40_lines_at_most():
    assert Training(plan(epochs=40.0), CPU).evaluated_every == 39
    long = Training(plan(epochs=200.0), CPU)
    assert long.evaluated_every == 5 * long.task.steps


def test_trying_how_long_it_takes_leaves_the_run_alone():
    undisturbed, watched = walked(Training(plan(), CPU), 30), walked(Training(plan(), CPU), 13)
    assert watched.seconds_left() > 0
    assert torch.equal(weights(undisturbed), weights(walked(watched, 17)))


@pytest.mark.parametrize("quiet", [False, True])
def test_a_long_run_on_a_cpu_says_so_before_it_starts(tmp_path, monkeypatch, capsys, quiet):
    run = Training(plan(epochs=0.1), CPU)
    monkeypatch.setattr(run, "seconds_left", lambda: 2 * 86400.0)
    train(run, tmp_path / "x.checkpoint", quiet)
    said = capsys.readouterr().err
    assert ("digits-0.1-epochs entropy-sgd-lua seed 0: about 2.0 days of gradients on CPU" in said) is not quiet


def test_durations():
    assert [training.duration(s) for s in (700, 5399, 5400, 129_599, 129_600)] == [
        *("12 min", "90 min", "1.5 h", "36.0 h", "1.5 days")
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_network_trains_as_the_plain_one_does():
    recipe = dataclasses.replace(EXPERIMENTS["digits"].methods["entropy-sgd-lua"], network={"dropout": 0.0})
    plain, compiled = (Training(plan(recipe=recipe, compiled=c), CPU) for c in (False, True))
    assert compiled.trained is not compiled.network and plain.trained is plain.network
    assert torch.equal(weights(plain), weights(compiled))
    for run in (plain, compiled):
        walked(run, 25).evaluate()
    torch.testing.assert_close(weights(plain), weights(compiled), rtol=1e-4, atol=1e-5)
