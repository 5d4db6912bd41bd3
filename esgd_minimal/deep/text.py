"""Text as numbers: read, split into tokens, cut in three, laid side by side for truncated back-propagation."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor


def read(path: Path) -> str:
    r"""A UTF-8 text, without its byte-order mark, every line ended by one \n whatever ended it in the file.

    Raises:
        ValueError: the file is empty, is not UTF-8 (or cut off within a character), or ends within a line.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        raise ValueError(
            f"{path.name} is not UTF-8, or cut off, at byte {reason.start} of {len(reason.object)}."
        ) from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise ValueError(f"{path.name} has no text in it.")
    if not text.endswith("\n"):
        raise ValueError(f"{path.name} ends within a line, as if cut off; if it is whole, add a line's end.")
    return text


def words(text: str) -> list[str]:
    """The words of a text, and `<eos>` for the end of every line, as in Zaremba et al. (2014)."""
    return text.replace("\n", " <eos> ").split()


def vocabulary(tokens: Sequence[str]) -> tuple[str, ...]:
    """The different tokens, in the order in which they first appear."""
    return tuple(dict.fromkeys(tokens))


def encode(tokens: Sequence[str], vocabulary: Sequence[str]) -> Tensor:
    """The number of each token in the vocabulary, (length,).

    Raises:
        ValueError: a token is not in the vocabulary.
    """
    number = {token: i for i, token in enumerate(vocabulary)}
    try:
        return torch.tensor([number[token] for token in tokens])
    except KeyError as unknown:
        raise ValueError(f"The token {unknown} is not among the {len(number)} of the vocabulary.") from None


def split(tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The first 80 % for training, the next 10 % for validation and the last 10 % for the test (§5.4.2).

    Raises:
        ValueError: fewer than ten tokens, which would leave a part empty.
    """
    tenth = len(tokens) // 10
    if tenth == 0:
        raise ValueError(f"A text of {len(tokens)} tokens is too short to be cut in 80, 10 and 10 %; take 10 or more.")
    train, valid, test = tokens.split([len(tokens) - 2 * tenth, tenth, tenth])
    return train, valid, test


def side_by_side(tokens: Tensor, n: int) -> Tensor:
    """The text cut into n equal pieces, one a column: (length // n, n). What does not fill a row is left off.

    Raises:
        ValueError: n is below 1, or the pieces would be shorter than 2, too short to predict anything.
    """
    if n < 1 or len(tokens) < 2 * n:
        raise ValueError(f"{len(tokens)} tokens cannot be laid in n = {n} columns of 2 or more; take n from 1 on.")
    length = len(tokens) // n
    return tokens[: length * n].view(n, length).T.contiguous()


def windows(columns: Tensor, unroll: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and targets, (unroll, n) each, from the top down: a target is the token that follows its input.

    Every token after the first of its column is a target once; the last window may be shorter.
    """
    for start in range(0, len(columns) - 1, unroll):
        stop = min(start + unroll, len(columns) - 1)
        yield columns[start:stop], columns[start + 1 : stop + 1]
