"""The prose of this book's own pages, as a text for a network to learn: without code, formulas and directives."""

import re
from collections.abc import Iterable
from pathlib import Path

PLAIN = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "−": "-", "…": "..."})
# What a page is made of besides its sentences, each with what it leaves behind.
MARKUP = (
    (r"\A---\n.*?\n---\n", ""),  # front matter
    (r"^(`{3,}|:{3,})[^`\n]*\n.*?^\1`*[ ]*$", ""),  # code cells and other fenced blocks
    (r"\$\$.*?\$\$(?: *\(.*?\))?", ""),  # formulas on lines of their own, with their labels
    (r"^(?:\||%|\(.+\)=$|<).*$", ""),  # rows of tables, comments, labels, HTML
    (r"\{[\w:-]+\}`[^`]*`", ""),  # roles: references, citations, and numbers that a cell computes
    (r"\$\\?([A-Za-z]+)\$", r"\1"),  # one symbol is read by its name
    (r"\$[^$]*\$", ""),
    (r"!?\[([^]]*)\]\([^)]*\)", r"\1"),  # links
    (r"^#+ ", ""),
    (r"^[-*] |^\d+\. ", ""),
)


def prose(page: str) -> str:
    r"""The sentences of a MyST page in plain characters: a paragraph a line, each ended by \n.

    A formula within a sentence is left out, except for a single symbol, which is spelled: $\beta$ is beta.
    """
    for pattern, rest in MARKUP:
        page = re.sub(pattern, rest, page, flags=re.M | re.S if ".*?" in pattern else re.M)
    page = re.sub(r"[^\w\s.,;:!?'\"()/%+=-]|_", "", page.translate(PLAIN))
    page = re.sub(r"\(\s*\)", "", "".join(c for c in page if c.isascii()))
    paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", page))
    mended = (re.sub(r" +(?=[.,;:!?)])|,(?=[ ,]*[.,;:])", "", paragraph) for paragraph in paragraphs)
    return "".join(f"{paragraph}\n" for paragraph in mended if re.search(r"[a-z]", paragraph))


def read(files: Iterable[Path]) -> str:
    """The prose of some pages, one after the other.

    Raises:
        ValueError: there is none.
    """
    text = "".join(prose(file.read_text(encoding="utf-8")) for file in files)
    if not text:
        raise ValueError("There is no prose in these pages, or there are no pages; is this a clone of the book?")
    return text
