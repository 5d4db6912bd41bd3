"""The stale-page trap: a changed function re-executes the pages that use it, and no others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from freshness import page_code, stamped

EXT = Path(__file__).resolve().parents[2] / "book" / "_ext"
CHAPTER = """---
kernelspec: {{display_name: Python 3, language: python, name: python3}}
jupytext: {{text_representation: {{extension: .md, format_name: myst}}}}
---
# {name}

```{{code-cell}} ipython3
from esgd_minimal import numbers
open({log!r}, "a").write("{name} ")
print("value", numbers.{name}())
```
"""
NUMBERS = "def shared():\n    return 1\ndef one():\n    return 10 + shared()\ndef two():\n    return 20\n"


@pytest.fixture
def book(tmp_path):
    """A book of two pages: `one` uses numbers.one (which uses shared), `two` uses numbers.two."""
    (tmp_path / "esgd_minimal").mkdir()
    (tmp_path / "esgd_minimal" / "__init__.py").touch()
    (tmp_path / "esgd_minimal" / "numbers.py").write_text(NUMBERS)
    (tmp_path / "requirements.txt").write_text("numpy==1\n")
    source = tmp_path / "book"
    source.mkdir()
    for name in ("one", "two"):
        (source / f"{name}.md").write_text(CHAPTER.format(name=name, log=str(tmp_path / "log")))
    (source / "index.md").write_text("# Book\n\n```{toctree}\none\ntwo\n```\n")
    (source / "conf.py").write_text(
        f"import sys; sys.path.insert(0, {str(EXT)!r})\n"
        "extensions = ['myst_nb', 'freshness', 'ahead_of_time']\nhtml_theme = 'basic'\n"
        "nb_execution_mode = 'cache'\nnb_execution_raise_on_error = True\n"
        f"nb_execution_cache_path = {str(tmp_path / 'cache')!r}\n"
    )

    class Book:
        root = tmp_path

        @staticmethod
        def executed():
            """Build, and say which pages were executed."""
            log = tmp_path / "log"
            log.write_text("")
            subprocess.run(
                [sys.executable, "-m", "sphinx", "-q", str(source), str(tmp_path / "out")],
                check=True,
                capture_output=True,
                env={**os.environ, "PYTHONPATH": str(tmp_path)},
            )
            return sorted(log.read_text().split())

        @staticmethod
        def page(name):
            return (tmp_path / "out" / f"{name}.html").read_text()

        @staticmethod
        def change(file, old, new):
            path = tmp_path / file
            assert old in path.read_text()
            path.write_text(path.read_text().replace(old, new))

    return Book


def test_only_the_pages_that_use_a_changed_function_are_executed_again(book):
    numbers = "esgd_minimal/numbers.py"
    assert book.executed() == ["one", "two"]
    assert book.executed() == []
    book.change(numbers, "20", "21")
    assert book.executed() == ["two"]
    assert "value 21" in book.page("two")
    book.change(numbers, "return 1\n", "return 2\n")  # what `one` calls, not what it names
    assert book.executed() == ["one"]
    assert "value 12" in book.page("one")
    book.change(numbers, "def two", "# A comment.\ndef two")
    book.change("book/two.md", "# two", "# Two\n\nMore prose.")
    assert book.executed() == []
    assert "More prose" in book.page("two")
    book.change(numbers, "21", "20")  # back to what was cached: no need to run it again
    assert book.executed() == []
    assert "value 20" in book.page("two")
    book.change("requirements.txt", "numpy==1", "numpy==2")
    assert book.executed() == ["one", "two"]


def test_a_page_that_reads_records_is_executed_again_when_one_has_changed(book):
    runs = book.root / "book" / "runs" / "digits"
    runs.mkdir(parents=True)
    (runs / "adam-seed0.json").write_text("7")
    read = 'print("record", open("runs/digits/adam-seed0.json").read())  # of the records\n'
    book.change("book/two.md", 'print("value"', read + 'print("value"')
    assert book.executed() == ["one", "two"]
    assert book.executed() == []
    os.utime(runs / "adam-seed0.json", (0, 0))  # the same, at another time
    for kind in ("checkpoint", "part", "pt"):
        (runs / f"adam-seed1.{kind}").write_text("no record")
    assert book.executed() == []
    book.change("book/runs/digits/adam-seed0.json", "7", "8")
    assert book.executed() == ["two"]
    assert "record 8" in book.page("two")
    (runs / "adam-seed1.json").write_text("9")
    assert book.executed() == ["two"]
    (runs / "adam-seed1.json").rename(runs / "sgd-seed1.json")
    assert book.executed() == ["two"]


def test_a_stamp_moves_no_line():
    text = CHAPTER.format(name="one", log="log").replace("kernelspec: {", "kernelspec:\n  {")
    after = stamped(text, "abc")
    assert "fingerprint: abc" in after
    assert after.split("---\n", 2)[2] == text.split("---\n", 2)[2]
    assert after.count("\n") == text.count("\n")


def test_a_page_without_code_has_no_fingerprint_and_magics_are_left_out():
    assert page_code("# Prose\n") is None
    page = CHAPTER.format(name="one", log="log").replace("from esgd", "%matplotlib inline\nfrom esgd")
    assert "matplotlib" not in page_code(page)
    assert "numbers.one" in page_code(page)
