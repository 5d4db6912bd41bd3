"""A site that asks no other host for anything: MathJax from the installed package, no remote kernels."""

from importlib.util import find_spec
from pathlib import Path

from sphinx.util.fileutil import copy_asset

MATHJAX = ("tex-chtml-full.js", "output/chtml/fonts/woff-v2", "a11y/assistive-mml.js", "ui/menu.js")


def without_thebe(app, pagename, templatename, context, doctree) -> None:
    """Jupyter Book always loads sphinx-thebe, whose script names a remote host; the book does not use it."""
    scripts = context.get("script_files", [])
    context["script_files"] = [script for script in scripts if "thebe" not in _text(script).lower()]


def _text(script) -> str:
    return f"{getattr(script, 'filename', script)} {getattr(script, 'attributes', {}).get('body', '')}"


def copy_mathjax(app, exception) -> None:
    if exception is None and app.builder.format == "html":
        package = find_spec("sphinx-mathjax-offline")
        source = Path(package.origin).parent / "static" / "mathjax"
        for part in MATHJAX:
            copy_asset(
                str(source / part),
                str(
                    (Path(app.outdir) / "_static/mathjax" / part).parent
                    if (source / part).is_file()
                    else Path(app.outdir) / "_static/mathjax" / part
                ),
            )


def setup(app) -> dict[str, bool]:
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
