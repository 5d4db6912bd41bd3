"""The prose of a page: what stays, what goes, and that the book has some."""

from pathlib import Path

import pytest

from esgd_minimal.deep import pages

PAGE = r"""---
jupytext:
  text_representation: {extension: .md}
---

(chapter-x)=
# A *wide* valley

The walker’s stride is $\eta$ times the slope,
see {numref}`fig-x` ({ref}`here <x>`), and **it** stays {glue:text}`x-share`. It costs $O(n^2)$.

```{code-cell} ipython3
x = 1  # not a sentence
```

````{prf:proof}
```{code-cell} ipython3
inner = 2
```
Hidden.
````

$$
f(x) = \tfrac12 x^2
$$ (eq-x)

| a | table |
|:--|--:|

- One [link](https://example.org).

% a comment
## End – “so”
"""


def test_sentences_stay_and_the_rest_goes():
    assert pages.prose(PAGE).split("\n") == [
        "A wide valley",
        "The walker's stride is eta times the slope, see, and it stays. It costs.",
        "One link.",
        'End - "so"',
        "",
    ]


@pytest.mark.parametrize("page", ["", "```\ncode\n```\n", "$$\nx\n$$\n", "---\na: b\n---\n"])
def test_no_prose(page):
    assert pages.prose(page) == ""


def test_a_page_of_this_book():
    root = Path(__file__).parents[2] / "book"
    text = pages.read([root / "landscapes" / "gibbs-measure.md", root / "landscapes" / "langevin-dynamics.md"])
    assert text.isascii() and text.endswith(".\n") and len(text) > 10_000
    assert not set("`$\\{}#|~^_<>*") & set(text)
    assert "  " not in text and "import " not in text and "np." not in text
    assert text.startswith("The Gibbs measure\n") and "\nLangevin dynamics\n" in text


def test_no_pages():
    with pytest.raises(ValueError, match="no prose in these pages"):
        pages.read([])
