"""Ends, trace and density of a spectrum: against the dense Hessian of a small network with batch normalization."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn
from tqdm import tqdm

from esgd_minimal import density_records
from esgd_minimal.deep import density, hessian, models, spectra
from esgd_minimal.density_records import DensityRecord, Probe
from esgd_minimal.records import Record

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # torch.func's own


def network():
    """Convolutions, each with batch normalization, and dropout: All-CNN-BN in small, with 96 weights."""
    return nn.Sequential(
        *(nn.Dropout(0.2), nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Conv2d(3, 4, 2, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(3), nn.Flatten()),
    )


@pytest.fixture(scope="module")
def judged():
    """It, in double precision and eval mode, with statistics of its own; 150 images, so two batches; their labels."""
    torch.manual_seed(0)
    net, images = network().double(), torch.randn(150, 1, 8, 8, dtype=torch.double)
    with torch.no_grad():
        for _ in range(20):
            net(images)
    return net.eval(), images, torch.randint(4, (150,))


def dense(net, images, labels):
    """The Hessian by another way: torch.func's, forward over reverse, of one batch."""
    parameters = {name: p.detach() for name, p in net.named_parameters()}
    shapes = [p.shape for p in parameters.values()]

    def loss(vector):
        parts = vector.split([math.prod(shape) for shape in shapes])
        weights = {name: part.view(s) for name, part, s in zip(parameters, parts, shapes, strict=True)}
        return nn.functional.cross_entropy(torch.func.functional_call(net, weights, (images,)), labels)

    return torch.func.hessian(loss)(torch.cat([p.flatten() for p in parameters.values()]))


def record(found, weights, steps):
    run = Record(
        **{"experiment": "digits", "method": "adam", "seed": 0, "configuration": {"epochs": 2}, "data": "0" * 64},
        **{"versions": {"python": "3"}, "device": "CPU", "seconds": 1.5, "gradient_evaluations": 20},
        **{"history": {"gradient_evaluations": [20]}, "results": {"test_error": 2.5}},
    )
    return DensityRecord(
        **{"run": run, "images": 150, "loss": 1.0, "gradient": 0.5, "norm": 3.0, "weights": weights},
        **{"steps": steps, "probes": found, "data": "0" * 64, "precision": "float64", "versions": {"python": "3"}},
        **{"device": "CPU", "seconds": 2.0},
    )


def found(net, images, labels, steps, starts):
    probes = density.probes(net, images, labels, steps, starts, tqdm(disable=True))
    return record(probes, models.weights(net), steps)


def reaches(exact, values, errors):
    """Whether every value has an eigenvalue as near as it says."""
    nearest = np.abs(np.asarray(values)[:, None] - exact).min(axis=1)
    return bool(np.all(nearest <= np.asarray(errors) + 1e-12))


@pytest.fixture(scope="module")
def exact(judged):
    return torch.linalg.eigvalsh(dense(*judged)).numpy()


@pytest.mark.parametrize("steps", [5, 12, 40])
def test_both_ends_are_those_of_the_dense_hessian(judged, exact, steps):
    got = found(*judged, steps, 4)
    values, errors = density_records.largest(got, 3)
    low, off = density_records.smallest(got)
    assert reaches(exact, values, errors) and reaches(exact, [low], [off])
    assert np.all(values <= exact[::-1][:3] + 1e-12) and low >= exact[0] - 1e-12
    for p in got.probes:
        assert reaches(exact, p.values, p.errors) and len(p.values) == steps
    if steps == 40:
        np.testing.assert_allclose(values, exact[::-1][:3], atol=1e-10)
        assert low == pytest.approx(exact[0], abs=1e-6) and low < 0


def test_it_is_the_network_judged_and_not_the_one_that_trains(judged, exact):
    """With the statistics of the batch, the loss does not change as a filter grows, and has other eigenvalues."""
    net, images, labels = copy.deepcopy(judged[0]).train(), *judged[1:]
    for dropout in (net[0], net[4]):
        dropout.eval()
    other = found(net, images, labels, 40, 2)
    values, errors = density_records.largest(other, 3)
    assert not reaches(exact, values, errors)


def starts(weights, count):
    generator = torch.Generator().manual_seed(density.SEED)
    return [hessian.signs(torch.empty(weights, dtype=torch.double), generator) for _ in range(count)]


def test_moments_are_hutchinsons_on_the_same_starts(judged):
    h, steps = dense(*judged), 4
    got = found(*judged, steps, 6)
    scale = torch.linalg.eigvalsh(h).abs().max().item()
    for power in range(2 * steps + 2):
        each = [(v @ torch.linalg.matrix_power(h, power) @ v).item() for v in starts(len(h), 6)]
        mean, error = density_records.power_trace(got, power)
        off = abs(mean - np.mean(each)) / (len(h) * scale**power)
        assert off < 1e-14 if power < 2 * steps else off > 1e-10
        if power < 2 * steps:
            assert error == pytest.approx(np.std(each, ddof=1) / math.sqrt(6), rel=1e-6, abs=1e-10)
    examples = spectra.batches(*judged[1:])
    product = hessian.hessian_product(spectra.mean_loss(judged[0], examples), examples, judged[0].parameters())
    generator = torch.Generator().manual_seed(density.SEED)
    assert density_records.power_trace(got) == pytest.approx(hessian.trace(product, h[0], 6, generator))


def test_with_every_step_the_traces_are_within_their_errors(judged, exact):
    """The variance of ⟨v, H v⟩ is 2 Σ H²ᵢⱼ over i ≠ j. A right estimate fails once in a million (4.9 such errors)."""
    h, got = dense(*judged), found(*judged, 3, 40)
    for power in (1, 2):
        p = torch.linalg.matrix_power(h, power)
        width = math.sqrt(2 * (p - torch.diag(p.diag())).square().sum() / 40)
        mean, error = density_records.power_trace(got, power)
        assert abs(mean - np.sum(exact**power)) < 4.9 * width
        assert error == pytest.approx(width, rel=0.6)
        assert abs(2 * mean - np.sum(exact**power)) > 4.9 * width  # a start of the wrong length would be seen


def test_the_census_counts(judged):
    """It is the trace of a projection, by Hutchinson's estimate, whose error is known as above."""
    h = dense(*judged)
    values, vectors = torch.linalg.eigh(h)
    all_steps = (hessian.ritz(hessian.lanczos(h.mv, v, 96)) for v in starts(96, 40))
    got = record([Probe(*(part.tolist() for part in ritz)) for ritz in all_steps], 96, 96)
    for sign, level in ((1, 1e-3), (1, 1e-2), (1, 0.05), (-1, 1e-3), (-1, -1e-3)):
        kept = vectors[:, sign * values > level]
        p = kept @ kept.T
        width = math.sqrt(2 * (p - torch.diag(p.diag())).square().sum() / 40)
        (count,), (error,) = density_records.beyond(got, [level], sign)
        assert abs(count - kept.shape[1]) < 4.9 * width and 0 < kept.shape[1] < 96
        assert error == pytest.approx(width, rel=0.6)
    assert density_records.beyond(got, [-1e9])[0] == pytest.approx([96])


def test_the_layout_and_the_batches_do_not_matter(judged, monkeypatch):
    net, images, labels = judged
    one = found(net, images, labels, 8, 2)
    monkeypatch.setattr(density, "AT_ONCE", 40)
    other = copy.deepcopy(net).to(memory_format=torch.channels_last)
    many = found(other, images.to(memory_format=torch.channels_last), labels, 8, 2)
    slopes = spectra.slope(other, spectra.batches(images, labels, 40))
    for a, b in zip(one.probes, many.probes, strict=True):
        np.testing.assert_allclose(a.values, b.values, atol=1e-11)
    loss = nn.functional.cross_entropy(net(images), labels)
    gradient = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(net.parameters()))])
    norm = nn.utils.parameters_to_vector(net.parameters()).norm()
    assert slopes == pytest.approx((loss.item(), gradient.norm().item(), norm.item()))


def test_single_precision_agrees_as_far_as_it_can(judged):
    net, images, labels = judged
    high = found(net, images, labels, 12, 2)
    low = found(copy.deepcopy(net).float(), images.float(), labels, 12, 2)
    top = high.probes[0].values[-1]
    np.testing.assert_allclose(density_records.largest(low, 3)[0], density_records.largest(high, 3)[0], atol=1e-5 * top)
    assert density_records.power_trace(low) == pytest.approx(density_records.power_trace(high), rel=1e-4)


def test_on_a_gpu_the_products_would_keep_their_digits(judged, monkeypatch):
    seen = []
    monkeypatch.setattr(hessian, "lanczos", lambda *_: seen.append(torch.backends.cudnn.allow_tf32))
    monkeypatch.setattr(hessian, "ritz", lambda _: [torch.ones(1)] * 3)
    found(*judged, 1, 2)
    assert seen == [False, False]


TWO = [Probe([-1.0, 0.0, 5.0], [0.1, 0.7, 0.2], [0.3, 0.1, 1e-3]), Probe([-2.0, 4.0], [0.5, 0.5], [0.2, 1e-2])]


def test_what_two_probes_say():
    got = record(TWO, 10, 3)
    values, errors = density_records.largest(got, 2)
    assert (values.tolist(), errors.tolist()) == ([5.0, 0.0], [1e-3, 0.1])
    assert density_records.smallest(got) == (-2.0, 0.2)
    assert density_records.largest(dataclasses.replace(got, precision="float32"), 1)[1] == pytest.approx([1e-3])
    sure = [dataclasses.replace(p, errors=[0.0] * len(p.errors)) for p in TWO]
    for precision, eps in (("float32", 2.0**-23), ("float64", 2.0**-52)):
        each = dataclasses.replace(got, probes=sure, precision=precision)
        assert density_records.largest(each, 1)[1] == pytest.approx([50 * eps], abs=0)
        assert density_records.smallest(each)[1] == pytest.approx(50 * eps, abs=0)
    # ten times the means: −0.1 + 1 = 0.9 and −1 + 2 = 1; 0.1 + 5 = 5.1 and 2 + 8 = 10. Half their difference.
    assert density_records.power_trace(got) == pytest.approx((9.5, 0.5))
    assert density_records.power_trace(got, 2) == pytest.approx((75.5, 24.5))
    count, error = density_records.beyond(got, [-0.5, 4.5])
    assert count == pytest.approx([7.0, 1.0]) and error == pytest.approx([2.0, 1.0])
    assert density_records.beyond(got, [0.5], sign=-1)[0] == pytest.approx([3.0])
    at = np.linspace(-8, 11, 4001)
    mean, error = density_records.density(got, at, 0.5)
    assert np.trapezoid(mean, at) == pytest.approx(1)
    each = [
        sum(w * np.exp(-(((at - v) / 0.5) ** 2) / 2) for v, w in zip(p.values, p.weights, strict=True)) for p in TWO
    ]
    np.testing.assert_allclose(mean, (each[0] + each[1]) / 2 / (0.5 * math.sqrt(2 * math.pi)), atol=1e-12)
    np.testing.assert_allclose(error, np.abs(each[0] - each[1]) / 2 / (0.5 * math.sqrt(2 * math.pi)), atol=1e-12)
    with pytest.raises(ValueError, match="2 Ritz values from every start; got k = 3"):
        density_records.largest(got, 3)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"probes": TWO[:1]}, "two probes or more; got 1"),
        ({"steps": 2}, "probe 0 has 3 values after 2 steps"),
        ({"weights": 2}, "more steps than weights"),
        ({"precision": "float16"}, "precision is float32 or float64; got 'float16'"),
        ({"loss": math.nan}, "a number is not finite"),
        ({"probes": [TWO[0], Probe([2.0, 1.0], [0.5, 0.5], [0.0, 0.0])]}, "probe 1 is not a measure"),
        ({"probes": [TWO[0], Probe([1.0, 2.0], [0.5, 0.6], [0.0, 0.0])]}, "probe 1 is not a measure"),
        ({"probes": [TWO[0], Probe([1.0, 2.0], [1.5, -0.5], [0.0, 0.0])]}, "probe 1 is not a measure"),
        ({"probes": [TWO[0], Probe([1.0, 2.0], [0.5, 0.5], [0.0])]}, "probe 1 has 2 values"),
        ({"probes": [TWO[0], Probe([1.0, math.inf], [0.5, 0.5], [0.0, 0.0])]}, "a number is not finite"),
    ],
)
def test_a_wrong_record_is_not_written(tmp_path, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        density_records.write(tmp_path, dataclasses.replace(record(TWO, 10, 3), **changes))
    assert not list(tmp_path.iterdir())


def test_what_is_written_is_read_and_a_failure_leaves_the_old_one(tmp_path, monkeypatch):
    first = record(TWO, 10, 3)
    file = density_records.write(tmp_path, first)
    assert file == tmp_path / "digits" / "adam-seed0-spectral-density.json"
    assert density_records.read(file) == first

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="no space"):
        density_records.write(tmp_path, dataclasses.replace(first, images=3))
    assert density_records.read(file) == first
