"""The digits helpers, on a tiny budget."""

import numpy as np
import pytest
import torch
from torch import nn

from esgd_minimal.deep import digits
from esgd_minimal.deep.entropy_sgd import EntropySGD

SEEDS = (3, 1, 4)


@pytest.fixture(scope="module")
def parts():
    return digits.split()


def alone(networks, k):
    """The k-th of the stacked networks, as the ordinary module it stands for."""
    one = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    with torch.no_grad():
        for layer, w, b in ((one[0], networks.w1, networks.b1), (one[2], networks.w2, networks.b2)):
            layer.weight.copy_(w[k].T)
            layer.bias.copy_(b[k, 0])
    return one


def test_the_parts_are_the_digits_once_each(parts):
    assert [len(part.labels) for part in parts] == [500, 400, 897]
    everything = torch.cat([torch.cat([part.pixels, part.labels[:, None]], dim=1) for part in parts])
    pixels, labels = digits.load_digits(return_X_y=True)
    original = np.column_stack([pixels / 16, labels])
    assert np.array_equal(np.sort(everything.numpy(), axis=0), np.sort(original.astype(np.float32), axis=0))
    assert len(torch.unique(everything, dim=0)) == len(np.unique(original, axis=0)) == 1797
    assert not torch.equal(digits.split(seed=1)[0].labels, parts[0].labels)


def test_no_part_may_be_empty():
    with pytest.raises(ValueError, match="1797 digits cannot give 1700 \\+ 97"):
        digits.split(1700, 97)


def test_stacked_networks_are_ordinary_ones(parts):
    networks = digits.Networks(SEEDS)
    test = parts[2]
    for k in range(3):
        logits = alone(networks, k)(test.pixels)
        assert torch.allclose(networks(test.pixels)[k], logits, atol=1e-5)
        assert digits.loss(networks, test)[k].item() == pytest.approx(
            nn.functional.cross_entropy(logits, test.labels).item(), rel=1e-5
        )
        wrong = (logits.argmax(1) != test.labels).float().mean().item() * 100
        assert digits.error(networks, test)[k].item() == pytest.approx(wrong, abs=0.01)


def test_weights_in_a_row(parts):
    networks, test = digits.Networks(SEEDS), parts[2]
    x = digits.vectors(networks)
    assert x.shape == (3, 64 * 32 + 32 + 320 + 10)
    assert torch.allclose(digits.loss_at(networks, x, test), digits.loss(networks, test), atol=1e-6)
    many = digits.loss_at(networks, torch.cat([x, 2 * x]), test)
    assert many.shape == (6,) and torch.allclose(many[:3], digits.loss(networks, test), atol=1e-6)
    for k in range(3):
        ours, ordinary = digits.alone(networks, x[k]), alone(networks, k)
        assert torch.allclose(ours(test.pixels), ordinary(test.pixels), atol=1e-5)
    x.zero_()
    assert networks.w1.any()


def test_a_networks_start_depends_on_its_seed_alone():
    few, many = digits.Networks([5]), digits.Networks([1, 5])
    assert torch.equal(few.w1[0], many.w1[1]) and torch.equal(few.w2[0], many.w2[1])
    assert not torch.equal(many.w1[0], many.w1[1])


def test_the_first_weights_have_the_variance_asked_for():
    """A mean of n squared normals has relative error √(2/n); 1e-6 each, and a factor 2 is 21 of them or more."""
    networks = digits.Networks(SEEDS)
    for w, variance in ((networks.w1, 2 / 64), (networks.w2, 1 / 32)):
        z = (w.square().mean().item() / variance - 1) / (2 / w.numel()) ** 0.5
        assert abs(z) < 4.9


@pytest.mark.parametrize(
    "make", [lambda p: torch.optim.SGD(p, lr=0.2), lambda p: EntropySGD(p, langevin_lr=0.2, langevin_steps=5, noise=0)]
)
def test_training_the_stack_is_training_each_alone(parts, make):
    """The same batches, drawn again here, given to one network: it ends where its stacked twin does."""
    networks = digits.Networks(SEEDS)
    one = alone(networks, 1)
    digits.train(networks, make(networks.parameters()), parts[0], 15, seed=7)
    generator = torch.Generator().manual_seed(7)
    optimizer = make(one.parameters())
    for _ in range(15):
        batch = torch.randint(500, (3, 32), generator=generator)[1]
        optimizer.zero_grad()
        nn.functional.cross_entropy(one(parts[0].pixels[batch]), parts[0].labels[batch]).backward()
        optimizer.step()
    assert torch.allclose(alone(networks, 1)[0].weight, one[0].weight, atol=1e-5)
    assert torch.allclose(alone(networks, 1)[2].weight, one[2].weight, atol=1e-5)


def test_every_gradient_is_counted_and_none_is_taken_unseen(parts):
    class Counting(torch.optim.SGD):
        steps = 0

        def step(self, closure=None):
            self.steps += 1
            return super().step(closure)

    networks = digits.Networks(SEEDS)
    optimizer = Counting(networks.parameters(), lr=0.1)
    seen = digits.train(networks, optimizer, parts[0], 25, watch=lambda: optimizer.steps, every=10)
    assert optimizer.steps == 25 and seen == [10, 20]


def test_what_is_watched_and_left_behind_is_x_and_not_the_chain(parts):
    networks = digits.Networks(SEEDS)
    start = networks.w1.detach().clone()
    optimizer = EntropySGD(networks.parameters(), langevin_steps=20)
    seen = digits.train(networks, optimizer, parts[0], 23, watch=lambda: networks.w1.detach().clone(), every=1)
    assert all(torch.equal(w1, start) for w1 in seen[:19])  # the first outer step is yet to come
    assert not torch.equal(seen[19], start)
    assert all(torch.equal(w1, seen[19]) for w1 in (*seen[20:], networks.w1))


def test_an_exception_while_watching_leaves_the_optimizer_in_training():
    networks = digits.Networks(SEEDS)
    optimizer = EntropySGD(networks.parameters(), langevin_steps=20)
    digits.train(networks, optimizer, digits.split()[0], 3)
    optimizer.train()
    x_prime = networks.w1.detach().clone()
    with pytest.raises(ZeroDivisionError), digits.weights_in_place(optimizer):
        1 / 0  # noqa: B018
    assert torch.equal(networks.w1, x_prime)


def test_training_may_go_on_where_it_stopped(parts):
    """… in the middle of a chain, too: with one image to draw from, two legs are the same run as one."""
    single = digits.Images(parts[0].pixels[:1], parts[0].labels[:1])

    def end(*legs):
        networks = digits.Networks(SEEDS)
        optimizer = EntropySGD(networks.parameters(), langevin_steps=5)
        for leg in legs:
            digits.train(networks, optimizer, single, leg)
        return networks.w1

    assert torch.equal(end(3, 12), end(15))


def test_training_learns(parts):
    networks = digits.Networks(SEEDS)
    digits.train(networks, torch.optim.SGD(networks.parameters(), lr=0.3), parts[0], 300)
    assert digits.error(networks, parts[1]).max() < 15
    assert digits.loss(networks, parts[0]).max() < 0.5


def test_random_labels_belong_to_each_seed(parts):
    drawn = digits.with_random_labels(parts[0], SEEDS)
    assert drawn.labels.shape == (3, 500)
    assert torch.equal(drawn.labels[2], digits.with_random_labels(parts[0], [4]).labels[0])
    assert not torch.equal(drawn.labels[0], drawn.labels[1])
    # Right by accident is binomial(1500, 0.1): 150 ± 5 · 11.6, at 1e-6 (two-sided).
    assert 92 < (drawn.labels == parts[0].labels).sum() < 208
    assert digits.error(digits.Networks(SEEDS), drawn).shape == (3,)


def test_a_displacement_has_the_length_asked_for(parts):
    networks = digits.Networks(SEEDS)
    before = [p.detach().clone() for p in networks.parameters()]
    for distance in (0.7, 0.1 * digits.norm(networks)):
        moved = digits.displaced(networks, distance, seed=1)
        step = [m - p for m, p in zip(moved.parameters(), networks.parameters(), strict=True)]
        length = sum(s.square().flatten(1).sum(1) for s in step).sqrt()
        assert torch.allclose(length, torch.as_tensor(distance).expand(3), rtol=1e-4)
    assert all(torch.equal(p, b) for p, b in zip(networks.parameters(), before, strict=True))
    assert torch.equal(digits.displaced(networks, 0.0, seed=1).w1, networks.w1)
    again, other = digits.displaced(networks, 0.7, seed=1), digits.displaced(networks, 0.7, seed=2)
    assert not torch.equal(again.w1, other.w1)
