"""The paper's preprocessing: closed forms, and NumPy's SVD as a second implementation of the whitening."""

import numpy as np
import pytest
import torch

from esgd_minimal.deep import preprocessing


@pytest.fixture(params=[3, 4096])
def chunk(request, monkeypatch):
    monkeypatch.setattr(preprocessing, "CHUNK", request.param)


def images(n=200, shape=(3, 2, 2), seed=0):
    """Correlated pixels, far from zero."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    mixed = rng.normal(size=(n, size)) @ rng.normal(size=(size, size)) + rng.normal(size=size) * 5
    return torch.tensor(mixed.reshape(n, *shape), dtype=torch.float32)


def test_mnist_scaling():
    scaled = preprocessing.scale_mnist(torch.tensor([0, 126, 252, 255], dtype=torch.uint8))
    torch.testing.assert_close(scaled, torch.tensor([-1, 0, 1, 129 / 126]))


def test_contrast(chunk):
    x = torch.tensor([[[1.0, 2.0], [3.0, 6.0]], [[7.0, 7.0], [7.0, 7.0]], [[1e6, 1e6 + 1], [1e6, 1e6 + 1]]])
    normalized = preprocessing.normalize_contrast(x.repeat(3, 1, 1))[3:6]
    deviation = (14 / 3) ** 0.5
    torch.testing.assert_close(normalized[0], (x[0] - 3) / deviation)
    assert torch.equal(normalized[1], torch.zeros(2, 2))
    torch.testing.assert_close(normalized[2], torch.tensor([[-1, 1], [-1, 1]]) * 0.75**0.5)
    assert normalized.dtype == torch.float32


def test_contrast_takes_bytes():
    x = torch.randint(256, (5, 3, 4, 4), dtype=torch.uint8)
    normalized = preprocessing.normalize_contrast(x)
    torch.testing.assert_close(normalized.flatten(1).mean(dim=1), torch.zeros(5), atol=1e-6, rtol=0)
    torch.testing.assert_close(normalized.flatten(1).std(dim=1), torch.ones(5))


@pytest.mark.parametrize("regularizer", [1e-5, 0.5])
def test_whitened_covariance_is_the_identity_up_to_the_regularizer(chunk, regularizer):
    x = images().double()
    learned = preprocessing.whitening(x, regularizer)
    covariance = np.cov(preprocessing.whiten(x, learned).flatten(1).numpy(), rowvar=False)
    variances, directions = np.linalg.eigh(np.cov(x.flatten(1).numpy(), rowvar=False))
    expected = (directions * (variances / (np.sqrt(variances) + regularizer) ** 2)) @ directions.T
    np.testing.assert_allclose(covariance, expected, atol=1e-9)
    distance = np.abs(covariance - np.eye(12)).max()
    assert distance < 1e-3 if regularizer == 1e-5 else distance > 0.1


def test_whitening_is_that_of_the_released_code(chunk):
    x = images()
    mean, matrix = preprocessing.whitening(x)
    # The released code: the SVD of the centred data over √(n − 1), pixels in rows.
    data = x.flatten(1).numpy().astype(float).T
    u, s, _ = np.linalg.svd((data - data.mean(axis=1, keepdims=True)) / np.sqrt(data.shape[1] - 1), full_matrices=False)
    np.testing.assert_allclose(matrix.numpy(), (u / (s + 1e-5)) @ u.T, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(mean.numpy(), data.mean(axis=1), rtol=1e-9)


def test_new_images_are_whitened_by_the_old_ones():
    learned = preprocessing.whitening(images())
    new = images(7, seed=1)
    expected = (new.flatten(1).double() - learned.mean) @ learned.matrix
    whitened = preprocessing.whiten(new, learned)
    assert whitened.dtype == torch.float32 and whitened.shape == new.shape
    torch.testing.assert_close(whitened.flatten(1).double(), expected, rtol=1e-4, atol=1e-4)


def test_a_direction_without_variance_stays_finite():
    x = preprocessing.normalize_contrast(images())  # each image's pixels add up to zero
    learned = preprocessing.whitening(x)
    whitened = preprocessing.whiten(x, learned)
    assert whitened.isfinite().all()
    covariance = torch.cov(whitened.flatten(1).double().T)
    ones = torch.full((12, 12), 1 / 12, dtype=torch.float64)
    torch.testing.assert_close(covariance, torch.eye(12, dtype=torch.float64) - ones, atol=0.01, rtol=0)


@pytest.mark.parametrize("bad", [images(1), torch.full((4, 3), torch.nan), torch.tensor([[1.0], [torch.inf]])])
def test_what_cannot_be_whitened(bad):
    with pytest.raises(ValueError, match=f"two or more finite images; got {len(bad)}"):
        preprocessing.whitening(bad)


def test_a_whitening_is_learned_once_and_kept(tmp_path, monkeypatch):
    kept = tmp_path / "cache" / "whitening.pt"
    learned = preprocessing.kept_whitening(kept, images())
    monkeypatch.setattr(preprocessing, "whitening", None)
    again = preprocessing.kept_whitening(kept, images())
    assert all(torch.equal(a, b) for a, b in zip(learned, again, strict=True))
    assert [file.name for file in kept.parent.iterdir()] == ["whitening.pt"]


@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_a_broken_file_is_learned_anew(tmp_path, content):
    kept = tmp_path / "whitening.pt"
    kept.write_bytes(content)
    found = preprocessing.kept_whitening(kept, images())
    assert torch.equal(found.matrix, preprocessing.whitening(images()).matrix)
    assert len(torch.load(kept, weights_only=True)) == 2
