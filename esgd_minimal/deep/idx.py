"""The IDX format of MNIST: a header that says the shape, then the bytes, most often in a gzip wrapper."""

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

LARGEST = 1 << 30  # bytes; the largest of MNIST's own files holds 47 million


def read(path: Path) -> np.ndarray:
    """The array of unsigned bytes in an IDX file, in the shape that its header says.

    The header is not trusted: no memory is set aside before the file has shown that it holds so much.

    Raises:
        ValueError: not an IDX file of unsigned bytes, or shorter or longer than its header says, or damaged.
    """
    try:
        with unzipped(path) as file:
            return _read(file, path.name)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise ValueError(f"{path.name} is damaged: its gzip wrapper is cut off or does not fit its content.") from None


def unzipped(path: Path) -> BinaryIO:
    """The file, open for reading, out of its gzip wrapper if it has one."""
    with open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path) if zipped else open(path, "rb"))


def _read(file: BinaryIO, name: str) -> np.ndarray:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise ValueError(f"{name} is not an IDX file: it must begin with two zero bytes, and begins with {magic!r}.")
    if magic[2] != 8 or not 1 <= magic[3] <= 4:
        raise ValueError(
            f"{name} must hold unsigned bytes (type 8) in 1 to 4 dimensions; "
            f"its header says type {magic[2]}, {magic[3]} dimensions."
        )
    header = file.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise ValueError(f"{name} ends within its header.")
    shape = tuple(int(n) for n in np.frombuffer(header, ">u4"))
    size = math.prod(shape)
    if size > LARGEST:
        raise ValueError(f"{name} says that it holds {' × '.join(map(str, shape))} bytes; {LARGEST} is the most.")
    data = bytearray()
    while len(data) <= size and (chunk := file.read(1 << 20)):
        data += chunk
    if len(data) != size:
        has = "more" if len(data) > size else f"{len(data)}"
        raise ValueError(f"{name} must hold {' × '.join(map(str, shape))} = {size} bytes by its header; it has {has}.")
    return np.frombuffer(data, np.uint8).reshape(shape)
