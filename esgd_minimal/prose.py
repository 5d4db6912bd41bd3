"""Numbers for the text: a cell computes them, prints them, and the prose of the page shows them."""

import re


def say(**values: str) -> None:
    """Print each value under its name, and keep it for the page: the prose shows it as {glue:text}`name`.

    The values are strings, formatted as they should be read: say(gibbs_gap=f"{gap:.2f}") prints "gap: 0.51".
    A name begins with a word for its page, since all pages share them; its key has hyphens for underscores.
    """
    values = {name: re.sub(r"(?<!\w)-(?=\d)", "−", value) for name, value in values.items()}  # a minus, not a hyphen
    for name, value in values.items():
        print(f"{name.partition('_')[2].replace('_', ' ')}: {value}")
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        return
    if get_ipython() is None:
        return
    for name, value in values.items():
        # What MyST-NB's `glue` stores, without needing MyST-NB where a reader runs the notebook.
        display(
            {"application/papermill.record/text/plain": repr(value)},
            metadata={"scrapbook": {"name": name.replace("_", "-"), "mime_prefix": "application/papermill.record/"}},
            raw=True,
        )
