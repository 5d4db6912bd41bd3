"""Numbers for the text: a cell computes them, prints them, and the prose of the page shows them."""


def say(**values: str) -> None:
    """Print each value under its name, and keep it for the page: the prose shows it as {glue:text}`name`.

    The values are strings, formatted as they should be read: say(gap=f"{gap:.2f}").
    Names are the page's own; underscores in a name become hyphens in the key.
    """
    for name, value in values.items():
        print(f"{name.replace('_', ' ')}: {value}")
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
            {"application/papermill.record/text/plain": repr(str(value))},
            metadata={"scrapbook": {"name": name.replace("_", "-"), "mime_prefix": "application/papermill.record/"}},
            raw=True,
        )
