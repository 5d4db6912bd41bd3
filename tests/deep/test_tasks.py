"""Batches and scores: every example once, the right target, the same numbers as by hand."""

import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax

from esgd_minimal.deep import tasks
from esgd_minimal.deep.datasets import Corpus, Images
from esgd_minimal.deep.models import CharLSTM
from esgd_minimal.deep.tasks import Classification, NextToken
from esgd_minimal.deep.training import NETWORKS

CPU = torch.device("cpu")


def numbered(n):
    """Images that say which they are, each of class n modulo 10."""
    return Images(torch.arange(n, dtype=torch.float).view(n, 1, 1, 1), torch.arange(n) % 10)


class Spy(nn.Module):
    """Remembers what it was shown; gives every class the same chance."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images):
        self.seen += images.flatten().tolist()
        return torch.zeros(len(images), 10)


def shown(task, steps):
    spy = Spy()
    for step in steps:
        task.loss(spy, step)
    return spy.seen


def test_a_pass_takes_every_training_image_at_most_once_and_none_of_the_validation():
    task = Classification(numbered(200), numbered(50), batch=16, seed=3, device=CPU)
    valid = set(task.parts["valid"].pixels.flatten().tolist())
    assert len(valid) == 20 and task.steps == 180 // 16
    first, second = shown(task, range(task.steps)), shown(task, range(task.steps, 2 * task.steps))
    for seen in (first, second):
        assert len(seen) == len(set(seen)) == 16 * task.steps and not valid & set(seen)
    assert first != second


def test_batches_depend_on_seed_and_step_alone():
    def make(seed):
        return Classification(numbered(200), numbered(50), batch=16, seed=seed, device=CPU)

    assert shown(make(1), [25]) == shown(make(1), [3, 25])[16:]
    assert shown(make(1), [25]) != shown(make(2), [25])
    assert torch.equal(make(1).parts["valid"].labels, make(2).parts["valid"].labels)


def test_an_image_keeps_its_label():
    task = Classification(numbered(200), numbered(50), batch=16, seed=0, device=CPU)
    for part in task.parts.values():
        assert torch.equal(part.pixels.flatten().long() % 10, part.labels)
    number = task.loss(lambda images: 100 * torch.eye(10)[images.flatten().long() % 10], 0)
    assert number < 1e-6


def test_scores_of_classes():
    task = Classification(numbered(200), numbered(1203), batch=16, seed=0, device=CPU)
    threes = torch.zeros(10)
    threes[3] = 2.0
    score = task.score(lambda images: threes.expand(len(images), 10), "test", everything=True)
    labels = torch.arange(1203) % 10
    assert score["error"] == pytest.approx(100 * (labels != 3).double().mean().item(), abs=1e-12)
    expected = -log_softmax(threes.double(), 0)[labels].mean().item()
    assert score["loss"] == pytest.approx(expected, rel=1e-6)


def test_lines_are_scored_by_the_character():
    lines = torch.arange(40).view(10, 4) % 7
    task = Classification(Images(lines, lines), Images(lines, lines), batch=3, seed=0, device=CPU)
    threes = torch.zeros(7)
    threes[3] = 2.0

    def network(inputs):
        return threes.view(1, 7, 1).expand(len(inputs), 7, 4)

    score = task.score(network, "test", everything=True)
    assert score["error"] == pytest.approx(100 * (lines != 3).double().mean().item(), abs=1e-12)
    expected = -log_softmax(threes.double(), 0)[lines].mean().item()
    assert score["loss"] == pytest.approx(expected, rel=1e-6)


def test_the_novel_in_lines(monkeypatch):
    letters = torch.arange(1000) % 90
    novel = Corpus(letters[:800], letters[800:900], letters[900:], tuple(map(str, range(90))))
    monkeypatch.setattr(tasks.datasets, "war_and_peace", lambda: novel)
    train, test = tasks.DATA["war-and-peace-lines"]()
    assert train.pixels.shape == (25, 32) and test.pixels.shape == (3, 32)
    assert torch.equal(train.pixels.flatten(), letters[:800]) and torch.equal(test.labels, test.pixels)
    network = NETWORKS["small-char-lstm"]()
    task = tasks.Classification(train, test, batch=8, seed=0, device=CPU)
    task.loss(network, 0).backward()
    assert 0 < task.score(network.eval(), "test", everything=True)["loss"] < 6


def test_too_few_images():
    with pytest.raises(ValueError, match="18 training images do not fill one batch of 32"):
        Classification(numbered(20), numbered(5), batch=32, seed=0, device=CPU)


def test_digits_are_on_board_and_no_test_image_is_trained_on():
    train, test = tasks.digits()
    assert train.pixels.shape == (1397, 1, 8, 8) and test.pixels.shape == (400, 1, 8, 8)
    assert train.pixels.min() == -1 and train.pixels.max() == 1
    rows = torch.cat([train.pixels, test.pixels]).flatten(1)
    assert len(rows.unique(dim=0)) == len(rows)


def corpus(n=600, symbols=7):
    drawn = torch.from_numpy(np.random.default_rng(0).integers(symbols, size=n))
    return Corpus(drawn[:400], drawn[400:500], drawn[500:], tuple("abcdefg"[:symbols]))


class Echo(nn.Module):
    """A network whose hidden state counts what it has read, and whose logits are its inputs."""

    def forward(self, tokens, hidden):
        read = torch.zeros(1) if hidden is None else hidden[0]
        self.read = read + len(tokens)
        return nn.functional.one_hot(tokens, 7).float(), (self.read, self.read)


def test_windows_follow_one_another_and_the_state_is_carried():
    text = corpus()
    task, network = NextToken(text, batch=4, unroll=30, device=CPU), Echo()
    columns = text.train.view(4, 100).T
    assert task.steps == 4 and task.network == {"vocabulary": 7}
    read = []
    for step in range(6):
        loss = task.loss(network, step)
        k = step % 4
        inputs, targets = columns[30 * k : 30 * k + 30][: 99 - 30 * k], columns[30 * k + 1 : 30 * k + 31]
        expected = cross_entropy(nn.functional.one_hot(inputs, 7).float().flatten(0, 1), targets.flatten())
        assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
        read.append(int(network.read))
    assert read == [30, 60, 90, 99, 30, 60]  # the last window is shorter; a pass starts from nothing


def test_a_loss_summed_over_time_is_that_of_the_windows_length():
    plain, summed = (NextToken(corpus(), 4, 30, CPU, summed=each) for each in (False, True))
    lengths = [(summed.loss(Echo(), k) / plain.loss(Echo(), k)).item() for k in range(4)]
    assert lengths == pytest.approx([30, 30, 30, 9], rel=1e-5)
    assert summed.score(Echo(), "test", True) == plain.score(Echo(), "test", True)


def test_the_score_of_a_text_does_not_depend_on_how_it_is_cut():
    torch.manual_seed(0)
    network = CharLSTM(vocabulary=7, embedding=4, hidden=5).eval()
    scores = [
        NextToken(corpus(), batch=4, unroll=unroll, device=CPU).score(network, "test", everything=True)["loss"]
        for unroll in (3, 24)
    ]
    assert scores[0] == pytest.approx(scores[1], rel=1e-6)
    columns = corpus().test.view(4, 25).T
    logits, _ = network(columns[:-1])
    by_hand = cross_entropy(logits.flatten(0, 1), columns[1:].flatten()).item()
    assert scores[0] == pytest.approx(by_hand, rel=1e-6)


def test_the_digest_is_of_the_data():
    one = Classification(numbered(200), numbered(50), batch=16, seed=0, device=CPU).digest
    other = Classification(numbered(200), numbered(51), batch=16, seed=0, device=CPU).digest
    assert len(one) == 64 and one != other
    assert one == Classification(numbered(200), numbered(50), batch=32, seed=5, device=CPU).digest


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ValueError, match="come with scikit-learn, which is not here: pip install scikit-learn"):
        tasks.digits()
