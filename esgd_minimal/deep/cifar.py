"""CIFAR-10's binary version: records of one label byte and 3,072 pixel bytes. Nothing is unpickled."""

import gzip
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

FOLDER = "cifar-10-batches-bin"
TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = "test_batch.bin"
RECORD = 1 + 3 * 32 * 32
LARGEST = 1 << 26  # bytes in one file; the publisher's have 30,730,000


def records(data: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n, 3, 32, 32), red plane first, and labels (n,), both of unsigned bytes.

    Raises:
        ValueError: not a whole number of records, or none, or a label above 9.
    """
    if not data or len(data) % RECORD:
        raise ValueError(
            f"{name} must be records of {RECORD} bytes; {len(data)} bytes are not: it is cut off or damaged."
        )
    rows = np.frombuffer(data, np.uint8).reshape(-1, RECORD)
    labels, pixels = rows[:, 0], rows[:, 1:].reshape(-1, 3, 32, 32)
    if labels.max() > 9:
        first = int(np.argmax(labels > 9))
        raise ValueError(f"{name} has the label {labels[first]} in record {first}; the classes of CIFAR-10 are 0 to 9.")
    return pixels, labels


def from_folder(folder: Path) -> dict[str, bytes]:
    """The six files, from a folder where they lie unpacked.

    Raises:
        ValueError: one is missing.
    """
    missing = [name for name in (*TRAIN, TEST) if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} lacks {', '.join(missing)}.")
    return {name: (folder / name).read_bytes() for name in (*TRAIN, TEST)}


def from_tar(path: Path) -> dict[str, bytes]:
    """The six files, read out of the publisher's archive; whatever else is in it is passed over, nothing is written.

    Raises:
        ValueError: the archive is damaged, or a file in it is missing, not a plain one, or far too large.
    """
    wanted = {f"{FOLDER}/{name}": name for name in (*TRAIN, TEST)}
    found = {}
    try:
        with gzip.open(path) as unzipped, tarfile.open(fileobj=unzipped, mode="r|") as archive:
            for member in archive:
                if member.name in wanted and member.isreg():
                    if member.size > LARGEST:
                        raise ValueError(
                            f"{path.name} has {member.size} bytes of {member.name}; {LARGEST} is the most."
                        )
                    found[wanted[member.name]] = archive.extractfile(member).read()  # type: ignore[union-attr]
            while unzipped.read(1 << 20):  # to its end, where the checksum is
                pass
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error):
        raise ValueError(f"{path.name} is cut off or damaged: it cannot be read to its end.") from None
    missing = [name for name in wanted.values() if name not in found]
    if missing:
        raise ValueError(f"{path.name} lacks {', '.join(missing)}.")
    return found


def join(files: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The batches of the training set, one after the other.

    Raises:
        ValueError: they are not equally long, as if one had been cut off between two records.
    """
    lengths = [len(labels) for _, labels in files]
    if len(set(lengths)) > 1:
        raise ValueError(f"The training batches of CIFAR-10 must be equally long; they have {lengths} images.")
    pixels, labels = zip(*files, strict=True)
    return np.concatenate(pixels), np.concatenate(labels)
