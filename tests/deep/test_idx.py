"""The IDX reader: what it reads, and that it refuses everything else in one sentence."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esgd_minimal.deep import idx


def idx_bytes(array):
    """An IDX file, written by the format's description."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "file-idx"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
@pytest.mark.parametrize("shape", [(7,), (0,), (5, 3, 4), (2, 1, 3, 2)])
def test_what_was_written_is_read(write, wrap, shape):
    array = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    read = idx.read(write(wrap(idx_bytes(array))))
    assert read.dtype == np.uint8 and read.shape == shape and np.array_equal(read, array)


GOOD = idx_bytes(np.arange(60, dtype=np.uint8).reshape(5, 3, 4))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not an IDX file"),
        (b"\0\0\x08", "not an IDX file"),
        (b"<html>no such page</html>", "not an IDX file"),
        (b"\0\0\x0d\x01" + bytes(8), "must hold unsigned bytes .* type 13"),
        (b"\0\0\x08\x00", "0 dimensions"),
        (b"\0\0\x08\xff" + bytes(2000), "255 dimensions"),
        (GOOD[:10], "ends within its header"),
        (GOOD[:-1], "5 × 3 × 4 = 60 bytes by its header; it has 59"),
        (GOOD + b"!", "it has more"),
        (
            struct.pack(">HBB3I", 0, 8, 3, *[2**32 - 1] * 3),
            "4294967295 × 4294967295 × 4294967295 bytes; .* is the most",
        ),
        (gzip.compress(GOOD)[:-9], "gzip wrapper is cut off"),
        (gzip.compress(GOOD)[:-8] + bytes(8), "gzip wrapper is cut off or does not fit"),
        (gzip.compress(GOOD)[:10] + b"\xff" * 30, "gzip wrapper"),
        (b"\x1f\x8bnot gzip at all", "gzip wrapper"),
    ],
    ids=range(14),  # not the content: a gzip wrapper has the time in it
)
def test_anything_else_is_refused(write, content, sentence):
    with pytest.raises(ValueError, match=sentence) as refusal:
        idx.read(write(content))
    assert "\n" not in str(refusal.value) and str(refusal.value).startswith("file-idx ")


def test_a_header_that_lies_gets_no_memory(write):
    path = write(struct.pack(">HBB3I", 0, 8, 3, 1000, 1000, 1000) + b"three")
    tracemalloc.start()
    with pytest.raises(ValueError, match="= 1000000000 bytes by its header; it has 5"):
        idx.read(path)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@given(st.binary(max_size=80), st.booleans(), st.booleans())
def test_no_bytes_bring_it_down(tmp_path_factory, content, headed, zipped):
    content = (b"\0\0\x08" if headed else b"") + content
    path = tmp_path_factory.getbasetemp() / "any-idx"
    path.write_bytes(gzip.compress(content) if zipped else content)
    try:
        assert idx.read(path).dtype == np.uint8
    except ValueError as refusal:
        assert "any-idx" in str(refusal)
