"""What must fail the build does, at once and again when nothing has changed; and what is mended builds."""

import shutil
import subprocess

import pytest
from conftest import ROOT
from strict_pages import faults

FRONT = """---
kernelspec: {display_name: Python 3, language: python, name: python3}
jupytext: {text_representation: {extension: .md, format_name: myst}}
---
# Page

"""
FIGURE = """```{code-cell} ipython3
---
mystnb:
  figure: {name: fig-line, caption: A line.}
  image: {alt: A rising line.}
---
from esgd_minimal import figures
figures.use_style()
figure, ax = figures.panels()
ax.plot([0, 1], color=figures.COLORS["exact"]);
```
"""
AUDIT = """```{audit} A line rises
:where: §1
:verdict: holds
:shows: {numref}`fig-line` there

Look.
```
"""
GOOD = (
    FRONT
    + FIGURE
    + AUDIT
    + "\nSee {numref}`fig-line` and $x^2$. It cost \\$5 {cite:p}`known`.\n\n```python\ncost = '$x'\n```\n"
)
FAULTS = {
    "a failing cell": ("figures.panels()", "figures.panels(1 / 0)", "ZeroDivisionError"),
    "a broken reference": ("See {numref}`fig-line`", "See {numref}`fig-lime`", "fig-lime"),
    "an audit entry that points to nothing": ("{numref}`fig-line` there", "{numref}`fig-lime` there", "fig-lime"),
    "an undefined citation": ("{cite:p}`known`", "{cite:p}`unknown`", "unknown"),
    "a figure without alt text": ("  image: {alt: A rising line.}\n", "", "no alt text"),
    "raw TeX": ("$x^2$", "the sum\n$$\nx^2\n$$ is", "shows raw markup"),
    "a number that no cell gives": ("$x^2$", "{glue:text}`absent`", "absent"),
}


@pytest.fixture
def build(tmp_path):
    """A one-page book with the real Makefile and extensions; `build(text)` says how `make book` went."""
    for name in ("Makefile", "_config.yml", "requirements.txt", "pyproject.toml"):
        shutil.copy2(ROOT / name, tmp_path)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / "esgd_minimal").symlink_to(ROOT / "esgd_minimal")
    book = tmp_path / "book"
    for name in ("_ext", "assets"):
        shutil.copytree(ROOT / "book" / name, book / name)
    (book / "references.bib").write_text("@misc{known, author={A. Author}, title={T}, year={2000}}\n")
    (book / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters: [{file: page}]\n")
    (book / "index.md").write_text("# Index\n\n```{audit-table}\n```\n\n```{bibliography}\n```\n")

    def build(text=None):
        if text is not None:
            (book / "page.md").write_text(text)
        return subprocess.run(["make", "book"], cwd=tmp_path, capture_output=True, text=True)

    build.html = tmp_path / "_build" / "html" / "page.html"
    return build


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".venv" / ".ready").exists(), reason="needs the environment that make makes")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_fails_every_build_until_it_is_mended(build, fault):
    old, new, complaint = FAULTS[fault]
    assert old in GOOD
    for text in (GOOD.replace(old, new), None):
        result = build(text)
        assert result.returncode != 0
        assert complaint in result.stdout + result.stderr
    result = build(GOOD)
    assert result.returncode == 0, result.stdout + result.stderr
    html = build.html.read_text()
    assert html.count('alt="A rising line."') == 2  # for light paper, and for dark
    assert "Fig. 1" in html


@pytest.mark.parametrize(
    "html",
    [
        "<p>A sum $x^2$.</p>",
        "<p>So \\(x\\) holds</p>",
        "<p>\\frac{1}{2}</p>",
        "<p>see {numref}`fig`</p>",
        "<p>| a | b | |—|—| | 1 | 2 |</p>",
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/x.css">',
        "<script>fetch('https://cdn.example/x')</script>",
    ],
)
def test_a_page_with_raw_markup_or_a_foreign_file_is_faulty(html):
    assert faults(html)


@pytest.mark.parametrize(
    "html",
    [
        '<span class="math">\\(x^2\\)</span>',
        "<pre>cost = '$x' # {numref}`fig`</pre>",
        "<p>It costs $5.</p>",
        '<a href="https://arxiv.org/abs/1611.01838">paper</a>',
        '<script src="../_static/x.js"></script>',
    ],
)
def test_a_page_as_it_should_be_is_not(html):
    assert faults(html) == []
