"""The paper's networks: the numbers of weights that the sources give, shapes, and what each docstring claims."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from esgd_minimal.deep import models

MNIST, CIFAR = (5, 1, 28, 28), (5, 3, 32, 32)
IMAGE_NETWORKS = [
    (models.mnistfc, MNIST, 1_863_690),
    (models.mnistfc_batchnorm, MNIST, 1_867_786),
    (models.lenet, MNIST, 131_220),
    (models.lenet_pytorch, MNIST, 132_220),
    (models.small_lenet, MNIST, 47_658),
    (models.small_mnistfc, MNIST, 50_890),
    (models.allcnn, CIFAR, 1_667_166),
    (models.allcnn_quarter, CIFAR, 105_774),
]


@pytest.mark.parametrize(("network", "shape", "count"), IMAGE_NETWORKS)
def test_image_networks(network, shape, count):
    made = network()
    assert models.weights(made) == count == sum(p.numel() for p in made.parameters())
    logits = made(torch.randn(shape))
    assert logits.shape == (5, 10)
    logits.sum().backward()
    assert all(p.grad is not None for p in made.parameters())


def dropouts(network):
    return [m.p for m in network.modules() if isinstance(m, nn.Dropout)]


def test_dropout_of_the_paper_and_of_the_caller():
    assert dropouts(models.mnistfc()) == [0.5, 0.5] and dropouts(models.mnistfc(0.15)) == [0.15, 0.15]
    assert dropouts(models.mnistfc_batchnorm()) == [0.2, 0.5, 0.5]
    assert dropouts(models.lenet()) == [0.5] * 3 and dropouts(models.lenet(0.25)) == [0.25] * 3
    assert dropouts(models.lenet_pytorch(0.3)) == [0.3] * 3
    assert dropouts(models.allcnn()) == [0.2, 0.5, 0.5] and dropouts(models.allcnn(0.0, 0.1)) == [0.0, 0.1, 0.1]
    assert models.PTBLSTM(10, 4).dropout.p == models.PTBLSTM(10, 4).lstm.dropout == 0.65


def test_where_the_two_lenets_normalize():
    def kinds(network):
        return [type(m).__name__ for m in network][:5]

    assert kinds(models.lenet()) == ["Conv2d", "ReLU", "MaxPool2d", "BatchNorm2d", "Dropout"]
    assert kinds(models.lenet_pytorch()) == ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d", "Dropout"]


def test_allcnn_shrinks_twice_and_ends_in_means_of_relus():
    network = models.allcnn()
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [m.stride[0] for m in convolutions] == [1, 1, 2, 1, 1, 2, 1, 1, 1]
    assert [m.kernel_size[0] for m in convolutions] == [3] * 8 + [1]
    assert len(list(network.parameters())) == 36
    network.eval()
    images = torch.randn(CIFAR)
    features = network[:-2](images)
    assert features.shape == (5, 10, 8, 8) and (features >= 0).all()
    torch.testing.assert_close(network(images), features.mean(dim=(2, 3)))


def test_ptb_lstm_has_the_papers_weights():
    with torch.device("meta"):
        network = models.PTBLSTM()
    assert models.weights(network) == 66_034_000


def test_the_small_one():
    network = models.ptb_small()
    assert models.weights(network) == 4_653_200 and network.dropout.p == 0
    largest = nn.utils.parameters_to_vector(network.parameters()).abs().max()
    assert 0.099 < largest <= 0.1


def test_ptb_lstm_starts_uniform():
    values = nn.utils.parameters_to_vector(models.PTBLSTM(50, 40).parameters())
    assert values.abs().max() <= 0.04
    # The variance of 30,050 uniform values; five standard errors (of the fourth moment: σ² √(4/5 / n)).
    assert values.var().item() == pytest.approx(0.08**2 / 12, rel=5 * math.sqrt(0.8 / len(values)))


@pytest.mark.parametrize("network", [models.PTBLSTM(11, 6, dropout=0.0), models.CharLSTM(11, 5, 6)])
def test_the_state_carries_a_text_over_the_cut(network):
    network.double().eval()
    text = torch.randint(11, (9, 3))
    whole, end = network(text)
    first, state = network(text[:4])
    second, other_end = network(text[4:], tuple(s.detach() for s in state))
    assert whole.shape == (9, 3, 11) and end[0].shape == end[1].shape == (2, 3, 6)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(other_end, end)
    assert not torch.allclose(network(text[4:])[0], second)


def test_char_lstm():
    network = models.CharLSTM()
    embedding, output = 87 * 85, 128 * 87 + 87
    layers = (85 + 128 + 1) * 512 + (128 + 128 + 1) * 512
    assert models.weights(network) == embedding + layers + 2 * 2 * 128 + output == 260_282
    network(torch.randint(87, (50, 4)))[0].sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in network.parameters())


def test_char_lstm_starts_remembering():
    network = models.CharLSTM()
    for lstm, inputs in zip(network.lstms, (85, 128), strict=True):
        i, f, g, o = lstm.bias_ih_l0.chunk(4)
        assert (f == 1).all() and not torch.cat([i, g, o]).any() and not lstm.bias_hh_l0.any()
        values = torch.cat([lstm.weight_ih_l0.flatten(), lstm.weight_hh_l0.flatten()])
        # Five standard errors of the variance of so many normals.
        assert values.var().item() == pytest.approx(1 / (inputs + 128), rel=5 * math.sqrt(2 / len(values)))


def by_pytorchs_lstm(network, characters):
    """A second implementation: PyTorch's own cell with the same weights."""
    recall, output = network
    lstm = torch.nn.LSTM(96, 48).double()
    lstm.weight_ih_l0.data, lstm.bias_ih_l0.data = recall.from_character.weight.T, recall.from_hidden.bias
    lstm.weight_hh_l0.data, lstm.bias_hh_l0.data = recall.from_hidden.weight, torch.zeros(192).double()
    start = [p.expand(1, len(characters), -1).contiguous() for p in (recall.h, recall.c)]
    y, _ = lstm(F.one_hot(characters.T[:-1], 96).double(), tuple(start))
    return (torch.cat([start[0], y]) @ output.weight[:, :, 0].T + output.bias).permute(1, 2, 0)


def test_small_char_lstm():
    network = models.small_char_lstm().double()
    assert models.weights(network) == 32_640
    text = torch.randint(96, (4, 32))
    logits = network(text)
    torch.testing.assert_close(logits, by_pytorchs_lstm(network, text))
    F.cross_entropy(logits, text).backward()
    assert all(p.grad.abs().max() > 0 for p in network.parameters())


def test_small_char_lstm_does_not_look_ahead():
    network = models.small_char_lstm()
    text = torch.randint(96, (2, 8))
    changed = text.clone()
    changed[:, 5] = (changed[:, 5] + 1) % 96
    before, after = network(text), network(changed)
    assert torch.equal(before[..., :6], after[..., :6]) and not torch.allclose(before[..., 6], after[..., 6])
