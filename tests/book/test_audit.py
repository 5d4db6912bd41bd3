"""The audit's entries, read from the source of a page."""

import pytest
from audit import Entry, entries

PAGE = """# Page

```{audit} Smoother than the loss
:where: Lemma 2
:verdict: holds with a correction
:shows: {prf:ref}`prop-one`

The curvature $\\lambda$ never
exceeds γ.
```

Text.

```{audit} Flat minima generalize
:where: §1
:verdict: not checkable here
:shows: {numref}`fig-two`
Not on two dimensions.
```
"""


def test_entries_are_read_in_order():
    first, second = entries(PAGE)
    assert first == Entry(
        "Smoother than the loss",
        "Lemma 2",
        "holds with a correction",
        "{prf:ref}`prop-one`",
        "The curvature $\\lambda$ never exceeds γ.",
    )
    assert second.reason == "Not on two dimensions."


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (":where: Lemma 2\n", "", "needs the options where"),
        ("verdict: holds with a correction", "verdict: sort of holds", "must be one of holds, "),
        ("Not on two dimensions.\n", "", "a reason"),
        (":shows: {numref}`fig-two`\n", ":shown: {numref}`fig-two`\n", "needs the options"),
        ("Not on two dimensions.\n```", "Not on two dimensions.\n", "not closed"),
    ],
)
def test_a_bad_entry_is_refused_in_a_sentence(old, new, complaint):
    assert old in PAGE
    with pytest.raises(ValueError, match=complaint):
        entries(PAGE.replace(old, new))
