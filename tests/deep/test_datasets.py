"""The four data sets: in small, from files made here, and whole where ESGD_DATA holds them."""

import gzip
import hashlib
import os
import struct

import numpy as np
import pytest
import torch

from esgd_minimal.deep import cifar, datasets, fetching


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data folder of our own, and no way to the network."""
    monkeypatch.setenv("ESGD_DATA", str(tmp_path))
    monkeypatch.setattr(fetching, "cache", lambda: tmp_path / "cache")
    return tmp_path


def idx_file(array):
    return gzip.compress(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


def small_mnist(folder, train=6, test=4, zipped=True):
    rng = np.random.default_rng(0)
    (folder / "mnist").mkdir(exist_ok=True)
    arrays = {}
    for part, n in (("train", train), ("t10k", test)):
        arrays[f"{part}-images-idx3-ubyte"] = rng.integers(256, size=(n, 28, 28), dtype=np.uint8)
        arrays[f"{part}-labels-idx1-ubyte"] = rng.integers(10, size=n, dtype=np.uint8)
    for name, array in arrays.items():
        content = idx_file(array)
        (folder / "mnist" / (name + ".gz" * zipped)).write_bytes(content if zipped else gzip.decompress(content))
    return arrays


@pytest.mark.parametrize("zipped", [True, False])
def test_mnist(folder, zipped):
    arrays = small_mnist(folder, zipped=zipped)
    train, test = datasets.mnist()
    assert train.pixels.shape == (6, 1, 28, 28) and test.pixels.shape == (4, 1, 28, 28)
    assert train.pixels.dtype == torch.uint8 and train.labels.dtype == torch.int64
    assert np.array_equal(train.pixels[:, 0].numpy(), arrays["train-images-idx3-ubyte"])
    assert np.array_equal(test.labels.numpy(), arrays["t10k-labels-idx1-ubyte"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte"),
        ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"),
    ],
)
def test_swapped_files(folder, one, other):
    small_mnist(folder)
    a, b = folder / "mnist" / f"{one}.gz", folder / "mnist" / f"{other}.gz"
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)
    b.write_bytes(first)
    with pytest.raises(ValueError, match="is one of them named as the other"):
        datasets.mnist()


def test_no_digit(folder):
    small_mnist(folder)
    (folder / "mnist/train-labels-idx1-ubyte.gz").write_bytes(idx_file(np.arange(6, 12, dtype=np.uint8)))
    with pytest.raises(ValueError, match="labels are 0 to 9; the train file has 11"):
        datasets.mnist()


def serve_from_cache(folder, monkeypatch, name, content):
    """As if `name` had been fetched: in the cache, whole, with the digest that is expected of it."""
    path = folder / "cache" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return f"md5:{hashlib.md5(content).hexdigest()}"


def test_what_was_fetched_must_unpack_to_mnist(folder, monkeypatch):
    arrays = small_mnist(folder)
    digests = {}
    for name, array in arrays.items():
        (folder / "mnist" / f"{name}.gz").unlink()
        content = idx_file(array)
        md5 = serve_from_cache(folder, monkeypatch, f"mnist/{name}.gz", content).removeprefix("md5:")
        digests[name] = (md5, hashlib.sha256(gzip.decompress(content)).hexdigest())
    monkeypatch.setattr(datasets, "MNIST_DIGESTS", digests)
    assert len(datasets.mnist()[0].labels) == 6
    digests["t10k-labels-idx1-ubyte"] = (digests["t10k-labels-idx1-ubyte"][0], "0" * 64)
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte\.gz unpacks to something else"):
        datasets.mnist()


def test_cifar10(folder):
    (folder / cifar.FOLDER).mkdir()
    for i, name in enumerate((*cifar.TRAIN, cifar.TEST)):
        record = bytes([i]) + bytes([10 * i]) * 3072
        (folder / cifar.FOLDER / name).write_bytes(record * 2)
    train, test = datasets.cifar10()
    assert train.pixels.shape == (10, 3, 32, 32) and train.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert test.labels.tolist() == [5, 5] and test.pixels.unique().tolist() == [50]
    assert (train.pixels.float().mean(dim=(1, 2, 3)) == 10 * train.labels).all()


def test_penn_treebank(folder):
    (folder / "ptb").mkdir()
    for part, words in {"train": " a b \n c <unk> \n", "valid": " c \n", "test": " b a \n"}.items():
        (folder / f"ptb/ptb.{part}.txt").write_bytes(words.replace("\n", "\r\n").encode())
    corpus = datasets.penn_treebank()
    assert corpus.vocabulary == ("a", "b", "<eos>", "c", "<unk>")
    assert corpus.train.tolist() == [0, 1, 2, 3, 4, 2] and corpus.valid.tolist() == [3, 2]
    assert corpus.test.tolist() == [1, 0, 2]
    (folder / "ptb/ptb.test.txt").write_text("dog\n")
    with pytest.raises(ValueError, match="token 'dog'"):
        datasets.penn_treebank()


def test_war_and_peace(folder):
    (folder / "warpeace_input.txt").write_bytes("\ufeffabcdefghi\rabcdefghi\r".encode())
    corpus = datasets.war_and_peace()
    assert "".join(corpus.vocabulary) == "abcdefghi\n" and len(corpus.train) == 16
    assert torch.cat(corpus[:3]).tolist() == [*range(10)] * 2


def test_holding_out():
    images = datasets.Images(torch.arange(10), torch.arange(10))
    train, valid = datasets.hold_out(images, 3)
    assert len(train.labels) == 7 and len(valid.labels) == 3
    assert sorted([*train.labels.tolist(), *valid.labels.tolist()]) == list(range(10))
    assert torch.equal(train.pixels, train.labels) and torch.equal(valid.pixels, valid.labels)
    assert torch.equal(datasets.hold_out(images, 3)[1].labels, valid.labels)
    assert not torch.equal(datasets.hold_out(images, 3, seed=1)[1].labels, valid.labels)
    for n in (0, 10):
        with pytest.raises(ValueError, match=f"1 to 9 can be held out; got {n}"):
            datasets.hold_out(images, n)


def unpacked(name):
    return os.environ.get("ESGD_DATA") and fetching.given(name) is not None


@pytest.mark.skipif(not unpacked("mnist"), reason="ESGD_DATA does not hold MNIST")
def test_the_real_mnist():
    train, test = datasets.mnist()
    assert train.pixels.shape == (60_000, 1, 28, 28) and test.pixels.shape == (10_000, 1, 28, 28)
    assert torch.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    for images, part in ((train, "train"), (test, "t10k")):
        header = struct.pack(">HBB3I", 0, 8, 3, len(images.labels), 28, 28)
        digest = hashlib.sha256(header + images.pixels.numpy().tobytes()).hexdigest()
        assert digest == datasets.MNIST_DIGESTS[f"{part}-images-idx3-ubyte"][1]


@pytest.mark.skipif(not unpacked(cifar.FOLDER), reason="ESGD_DATA does not hold CIFAR-10")
def test_the_real_cifar10():
    train, test = datasets.cifar10()
    assert torch.bincount(train.labels).tolist() == [5000] * 10 and torch.bincount(test.labels).tolist() == [1000] * 10


@pytest.mark.skipif(not unpacked("ptb"), reason="ESGD_DATA does not hold the Penn Treebank")
def test_the_real_penn_treebank():
    corpus = datasets.penn_treebank()
    assert [len(part) for part in corpus[:3]] == [929_589, 73_760, 82_430] and len(corpus.vocabulary) == 10_000
    for part, tokens in zip(("train", "valid", "test"), corpus[:3], strict=True):
        published = f" {' '.join(corpus.vocabulary[i] for i in tokens)} ".replace(" <eos> ", " \n ")
        assert hashlib.sha256(published.rstrip(" ").encode()).hexdigest() == datasets.PTB_DIGESTS[part]


@pytest.mark.skipif(not unpacked("warpeace_input.txt"), reason="ESGD_DATA does not hold War and Peace")
def test_the_real_war_and_peace():
    corpus = datasets.war_and_peace()
    assert len(corpus.vocabulary) == 82
    published = "\ufeff" + "".join(corpus.vocabulary[i] for i in torch.cat(corpus[:3])).replace("\n", "\r")
    assert f"sha256:{hashlib.sha256(published.encode()).hexdigest()}" == datasets.WAR_AND_PEACE.digest
