"""Text: line ends, marks, vocabularies, splits and windows."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from esgd_minimal.deep import text

NOVEL = "«Eh bien, mon prince.\n\nGênes et Lucques\n"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_the_mark_make_no_difference(tmp_path, end, mark):
    path = tmp_path / "novel.txt"
    path.write_bytes((mark + NOVEL.replace("\n", end)).encode())
    assert text.read(path) == NOVEL


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no text"),
        (b"\xef\xbb\xbf", "no text"),
        (b" \r\n\n ", "no text"),
        (NOVEL.encode()[:1], "at byte 0 of 1"),
        ("ab\nê".encode()[:-1], "at byte 3 of 4"),
        (NOVEL.encode("utf-16"), "not UTF-8, or cut off, at byte 0"),
        (b"\x1f\x8b\x08\x00zipped\n", "not UTF-8, or cut off, at byte 1"),
        (NOVEL.encode()[:-3], "ends within a line, as if cut off"),
    ],
)
def test_what_is_no_text(tmp_path, content, sentence):
    path = tmp_path / "novel.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=sentence) as refusal:
        text.read(path)
    assert str(refusal.value).startswith("novel.txt ") and "\n" not in str(refusal.value)


def test_words_and_their_numbers():
    words = text.words(" the cat \n the <unk>\n")
    assert words == ["the", "cat", "<eos>", "the", "<unk>", "<eos>"]
    vocabulary = text.vocabulary(words)
    assert vocabulary == ("the", "cat", "<eos>", "<unk>")
    assert text.encode(words, vocabulary).tolist() == [0, 1, 2, 0, 3, 2]
    assert text.encode("aba", "ab").dtype == torch.int64
    with pytest.raises(ValueError, match="token 'dog' is not among the 4"):
        text.encode(["the", "dog"], vocabulary)


@given(st.integers(10, 1000))
def test_the_three_parts(length):
    parts = text.split(torch.arange(length))
    assert torch.equal(torch.cat(parts), torch.arange(length))
    assert len(parts[1]) == len(parts[2]) == length // 10
    assert 0 <= len(parts[0]) - 0.8 * length < 2


def test_too_short_to_split():
    with pytest.raises(ValueError, match="9 tokens is too short"):
        text.split(torch.arange(9))


@given(st.integers(2, 200), st.integers(1, 10), st.integers(1, 12))
def test_every_token_is_predicted_once_from_the_one_before(length, n, unroll):
    if length < 2 * n:
        with pytest.raises(ValueError, match=f"n = {n} columns"):
            text.side_by_side(torch.arange(length), n)
        return
    columns = text.side_by_side(torch.arange(length), n)
    assert columns.shape == (length // n, n) and columns.is_contiguous()
    assert torch.equal(columns.T.flatten(), torch.arange(length // n * n))
    pairs = list(text.windows(columns, unroll))
    assert all(torch.equal(targets, inputs + 1) for inputs, targets in pairs)
    assert torch.equal(torch.cat([targets for _, targets in pairs]), columns[1:])
    assert [len(inputs) for inputs, _ in pairs[:-1]] == [unroll] * (len(pairs) - 1)
    assert 1 <= len(pairs[-1][0]) <= unroll


def test_no_columns():
    with pytest.raises(ValueError, match="n = 0"):
        text.side_by_side(torch.arange(9), 0)
