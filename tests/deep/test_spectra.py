"""Whole spectra: the matrix against the products, the eigenvalues against torch's, the summary against the list."""

import numpy as np
import pytest
import torch
from torch import nn

from esgd_minimal import spectrum_records
from esgd_minimal.deep import hessian, models, spectra

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # torch.func's own


def convolutional():
    return nn.Sequential(
        *(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 2), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 4)),
    )


def connected():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.ReLU(), nn.Linear(6, 4))


def case(make, dtype=torch.double):
    """A network, images with a black frame, and labels, in batches of unequal size."""
    torch.manual_seed(0)
    network, images = make().to(dtype), torch.rand(50, 1, 8, 8).to(dtype)
    images[:, :, 0] = images[:, :, :, -1] = 0
    return network, images, torch.randint(4, (50,))


def directly(network, examples):
    n = sum(p.numel() for p in network.parameters())
    product = hessian.hessian_product(spectra.mean_loss(network, examples), examples, network.parameters())
    return hessian.dense(product, torch.empty(n, dtype=next(network.parameters()).dtype))


@pytest.mark.parametrize("make", [convolutional, connected])
@pytest.mark.parametrize("at_once", [7, 1000])
def test_the_matrix_is_that_of_the_products(make, at_once):
    network, images, labels = case(make)
    examples = spectra.batches(images, labels, 32)
    exact = directly(network, examples)
    everything = torch.ones(len(exact), dtype=torch.bool)
    for kept in (everything, spectra.touched(network, examples), torch.arange(len(exact)) % 3 == 1):
        found = spectra.upper_triangle(network, examples, kept, at_once)
        torch.testing.assert_close(found.triu(), exact[kept][:, kept].triu(), rtol=0, atol=1e-15)


def test_the_matrix_is_that_of_the_products_on_lines_of_text():
    torch.manual_seed(0)
    network = models.small_char_lstm(vocabulary=6, hidden=3).double()
    lines = torch.randint(5, (10, 7))  # the last of the symbols does not occur
    examples = spectra.batches(lines, lines, 30)
    assert [len(part) for part, _ in examples] == [4, 4, 2]
    exact, kept = directly(network, examples), spectra.touched(network, examples)
    assert (~kept).sum() == 12  # what the gates would read of the symbol
    found = spectra.upper_triangle(network, examples, kept, 7)
    torch.testing.assert_close(found.triu(), exact[kept][:, kept].triu(), rtol=0, atol=1e-15)
    mean = torch.nn.functional.cross_entropy(network(lines), lines)
    assert spectra.slope(network, examples)[0] == pytest.approx(mean.item(), rel=1e-12)


def test_rows_of_zeros_are_found():
    network, images, labels = case(connected)
    examples = spectra.batches(images, labels, 32)
    kept, exact = spectra.touched(network, examples), directly(network, examples)
    assert torch.equal(kept, exact.any(dim=1))
    black = (images == 0).all(dim=0).flatten()  # the weights of 15 pixels, in each of 6 units
    assert (~kept).sum() >= 6 * black.sum() == 90
    assert not kept[: 6 * 64].view(6, 64)[:, black].any()


@pytest.mark.parametrize("make", [convolutional, connected])
def test_the_eigenvalues_are_all_there(make):
    network, images, labels = case(make)
    exact = torch.linalg.eigvalsh(directly(network, [(images, labels)])).numpy()
    found = spectra.spectrum(network, images, labels)
    n = len(exact)
    assert found.weights == n
    np.testing.assert_allclose(found.smallest, exact[: spectrum_records.ENDS], atol=1e-14)
    np.testing.assert_allclose(found.largest, exact[::-1][: spectrum_records.ENDS], atol=1e-14)
    assert found.trace == pytest.approx(exact.sum())
    assert found.squares == pytest.approx(np.square(exact).sum())
    for threshold in (1e-4, 1e-2):
        assert found.below(threshold) == pytest.approx(np.mean(np.abs(exact) < threshold))


def test_single_precision_agrees_as_far_as_it_can():
    low, high = (spectra.spectrum(*case(connected, dtype)) for dtype in (torch.float32, torch.double))
    np.testing.assert_allclose(low.largest, high.largest, atol=1e-6)
    np.testing.assert_allclose(low.smallest, high.smallest, atol=1e-6)


def test_the_eigenvalues_are_computed_in_place_from_the_upper_triangle():
    symmetric = torch.randn(30, 30)
    symmetric = symmetric + symmetric.T
    upper = (symmetric.triu() + 100 * torch.ones(30, 30).tril(-1)).T.contiguous().T  # as `upper_triangle` stores it
    before = upper.clone()
    np.testing.assert_allclose(spectra.eigenvalues(upper), torch.linalg.eigvalsh(symmetric), atol=1e-4)
    assert not torch.equal(upper, before)


def test_rows_are_counted_for_who_watches():
    network, images, labels = case(connected)
    seen = []
    spectra.spectrum(network, images, labels, 50, seen.append)
    kept = int(spectra.touched(network, [(images, labels)]).sum())
    assert seen == sorted(seen) and seen[-1] == kept


def test_a_summary_counts_every_eigenvalue_once():
    values = np.array([-0.5, -1e-4, -9.9e-5, 0.0, 1e-13, 1e-4, 2e-4, 3.0, 40.0])
    found = spectrum_records.summary(values, 12)
    assert (found.untouched, len(found.largest)) == (3, 12)
    assert found.largest[:2] == [40.0, 3.0] and found.smallest[:2] == [-0.5, -1e-4]
    assert found.below(1e-4) == pytest.approx(6 / 12)
    assert found.below(1.0) == pytest.approx(10 / 12)
    assert sum(found.positive) + sum(found.negative) == 7
    with pytest.raises(ValueError, match=r"not below 0\.0002"):
        found.below(2e-4)
    with pytest.raises(ValueError, match=r"9 eigenvalues from -0\.5 to 40 of 8 weights"):
        spectrum_records.summary(values, 8)
    with pytest.raises(ValueError, match="to 20000 of"):
        spectrum_records.summary(np.array([2e4]), 8)
