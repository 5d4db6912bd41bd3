"""Lookahead, SAM and plain averaging in the training loop: against the same by hand, and resumed anywhere."""

import copy
import dataclasses

import pytest
import torch
from torch.nn.functional import cross_entropy

from esgd_minimal import records
from esgd_minimal.deep import tasks, training
from esgd_minimal.deep.experiments import EXPERIMENTS, with_epochs
from esgd_minimal.deep.plan import Plan
from esgd_minimal.deep.training import Training, restore, save, train

CPU = torch.device("cpu")


def plan(method, epochs=1.0):
    """A method of All-CNN on the digits, without dropout, so that a second pass over a batch is the first again."""
    digits = with_epochs(EXPERIMENTS["digits"], epochs)
    recipe = EXPERIMENTS["allcnn"].methods[method]
    recipe = dataclasses.replace(recipe, epochs=epochs, network={"dropout": 0.0})
    methods = {**digits.methods, method: recipe}
    return Plan.of(dataclasses.replace(digits, methods=methods), method, 0, "float32", None)


def walked(run, steps):
    for _ in range(steps):
        run.advance()
    return run


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def by_hand(steps, step):
    """SGD as registered, with `step(sgd, gradient, k)` for what happens at each batch. Returns the network."""
    torch.manual_seed(0)
    task = tasks.task("digits", 32, 0, 0, CPU)
    network = training.models.digits(dropout=0.0)
    sgd = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3)
    pixels, labels = task.parts["train"]

    def gradient(k):
        index = task.of_pass(k // task.steps)[0][k % task.steps * 32 :][:32]
        sgd.zero_grad()
        cross_entropy(network(pixels[index]), labels[index]).backward()

    for k in range(steps):
        step(network, sgd, gradient, k)
    return network


def test_sam_descends_by_the_gradient_of_a_point_uphill():
    def step(network, sgd, gradient, k):
        gradient(k)
        start = [p.detach().clone() for p in network.parameters()]
        norm = torch.cat([p.grad.flatten() for p in network.parameters()]).norm()
        with torch.no_grad():
            for p in network.parameters():
                p += 0.05 * p.grad / norm
        gradient(k)
        with torch.no_grad():
            for p, old in zip(network.parameters(), start, strict=True):
                p.copy_(old)
        sgd.step()

    run = walked(Training(plan("sam", epochs=4.0), CPU), 12)
    torch.testing.assert_close(weights(run.network), weights(by_hand(12, step)), rtol=1e-4, atol=1e-6)


def test_both_gradients_of_sam_are_counted(tmp_path):
    run = Training(plan("sam", epochs=4.0), CPU)
    assert run.steps == 2 * run.task.steps
    record = train(run, tmp_path / "x.checkpoint", quiet=True)
    assert record.gradient_evaluations == 4 * run.task.steps == record.history["gradient_evaluations"][-1]
    assert record.history["epoch"] == [2.0, 4.0]
    records.check(record)


def test_lookahead_is_judged_where_it_looks_from():
    slow = []

    def step(network, sgd, gradient, k):
        if k == 0:
            slow.append(weights(network))
        gradient(k)
        sgd.step()
        if k % 5 == 4:
            slow.append(slow[-1].lerp(weights(network), 0.5))
            torch.nn.utils.vector_to_parameters(slow[-1].clone(), network.parameters())

    run = walked(Training(plan("lookahead", epochs=4.0), CPU), 13)
    network = by_hand(13, step)
    torch.testing.assert_close(weights(run.network), weights(network), rtol=1e-4, atol=1e-6)
    with run.at_x(everything=False) as judged:
        torch.testing.assert_close(weights(judged), slow[2], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(weights(run.network), weights(network), rtol=1e-4, atol=1e-6)


def test_the_plain_average_is_of_the_ends_of_the_last_passes():
    run = Training(plan("sgd-swa", epochs=8.0), CPU)
    ends = []
    for _ in range(8):
        walked(run, run.task.steps)
        ends.append(weights(run.network))
        with run.at_x(everything=False) as judged:
            now = weights(judged)
        expected = ends[-1] if len(ends) < 6 else torch.stack(ends[5:]).mean(dim=0)
        torch.testing.assert_close(now, expected, rtol=1e-5, atol=1e-6)
    assert not torch.equal(now, ends[-1])


@pytest.mark.parametrize("method", ["sam", "lookahead", "sgd-swa"])
@pytest.mark.parametrize("cut", [1, 7, 40, 60])
def test_a_run_resumed_anywhere_is_the_same_run_to_the_bit(tmp_path, method, cut):
    def all_of(run):
        with run.at_x(everything=False) as judged:
            return torch.cat([weights(run.network), weights(judged)])

    whole = walked(Training(plan(method, 2.0), CPU), 77)
    first = walked(Training(plan(method, 2.0), CPU), cut)
    first.look()
    save(first, tmp_path / "x.checkpoint")
    second = walked(restore(tmp_path / "x.checkpoint", CPU), 77 - cut)
    assert torch.equal(all_of(whole), all_of(second))


@pytest.mark.parametrize("method", ["sam", "lookahead", "sgd-swa"])
def test_an_evaluation_leaves_the_run_alone(method):
    undisturbed, watched = (walked(Training(plan(method, 2.0), CPU), n) for n in (78, 43))
    watched.evaluate()
    watched.results()
    assert torch.equal(weights(undisturbed.network), weights(walked(watched, 35).network))


def test_the_weights_that_are_kept_are_the_judged_ones(tmp_path):
    run = Training(plan("lookahead", 0.4), CPU)  # 16 steps: one after a synchronization
    train(run, tmp_path / "x.checkpoint", quiet=True)
    training.keep_weights(run, tmp_path / "x.checkpoint")
    kept = copy.deepcopy(run.network)
    kept.load_state_dict(torch.load(tmp_path / "x.pt", weights_only=True))
    with run.at_x(everything=True) as judged:
        assert torch.equal(weights(kept), weights(judged))
    assert not torch.equal(weights(kept), weights(run.network))
