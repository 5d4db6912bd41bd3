"""Every chapter has its form, and its code runs: also on its own, and with other random numbers."""

import os
import re
import subprocess
import sys

import jupytext
import pytest
import yaml
from conftest import ROOT

BOOK = ROOT / "book"
PARTS = ("landscapes", "algorithm", "relatives", "networks")
CHAPTERS = [path for part in PARTS for path in sorted(BOOK.glob(f"{part}/*.md"))]
PAGES = [*sorted(BOOK.glob("[!.]*/*.md")), BOOK / "index.md", BOOK / "how-to-use.md"]
WITH_CODE = [path for path in PAGES if "{code-cell}" in path.read_text(encoding="utf-8")]


def name(path):
    return str(path.relative_to(BOOK))


def cells(path):
    return [cell for cell in jupytext.read(path).cells if cell.cell_type == "code"]


def test_every_page_is_in_the_table_of_contents():
    listed = set(re.findall(r"(?:file|root): (\S+)", (BOOK / "_toc.yml").read_text()))
    assert listed == {name(path).removesuffix(".md") for path in PAGES}


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_a_chapter_has_exercises_each_with_a_solution_and_one_that_checks_itself(path):
    text = path.read_text(encoding="utf-8")
    exercises = re.findall(r"\{exercise-start\}.*\n:label: (\S+)", text)
    solutions = re.findall(r"\{solution-start\} (\S+)\n:class: dropdown", text)
    assert 4 <= len(exercises) <= 6
    assert solutions == exercises
    assert f"esgd_minimal.exercises.{path.stem.replace('-', '_')}" in text or "esgd_minimal.exercises import" in text


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_a_chapter_opens_with_its_label_and_ends_its_story_with_a_summary(path):
    text = path.read_text(encoding="utf-8")
    assert f"(chapter-{path.stem})=\n# " in text
    assert "\n## Summary" in text
    assert text.index("\n## Summary") < text.index("\n## Exercises")


@pytest.mark.parametrize("path", WITH_CODE, ids=name)
def test_a_visible_cell_is_short(path):
    for cell in cells(path):
        hidden = {"hide-input", "hide-cell", "remove-cell", "remove-input"} & set(cell.metadata.get("tags", []))
        lines = [line for line in cell.source.splitlines() if line]
        imports = lines and lines[0].startswith(("import ", "from "))
        assert len(lines) <= (30 if hidden or imports else 16), cell.source


@pytest.mark.parametrize("path", WITH_CODE, ids=name)
def test_a_figure_has_a_name_a_message_and_words_for_who_cannot_see_it(path):
    for cell in cells(path):
        if "mystnb" not in cell.metadata:
            continue
        figure = cell.metadata["mystnb"]["figure"]
        assert figure["name"].startswith("fig-")
        assert figure["caption"].startswith("**"), "the caption's first sentence is the message"
        alt = cell.metadata["mystnb"]["image"]["alt"]
        assert len(alt) > 60
        assert "$" not in alt
        assert f"{{numref}}`{figure['name']}`" in path.read_text(encoding="utf-8")


def test_the_notebooks_can_be_opened_by_other_tools():
    for path in WITH_CODE:
        front = yaml.safe_load(path.read_text(encoding="utf-8").split("---\n")[1])
        assert front["kernelspec"]["name"] == "python3"
        assert front["jupytext"]["text_representation"]["format_name"] == "myst"


SHIFTED = """
import sys
import numpy as np
real, shift = np.random.default_rng, int(sys.argv[2])
np.random.default_rng = lambda seed=None: real(seed + shift if isinstance(seed, int) else seed)
source = open(sys.argv[1], encoding="utf-8").read()
exec(compile(source, sys.argv[1], "exec"), {"__name__": "__main__"})
"""


@pytest.mark.slow
@pytest.mark.parametrize("path", WITH_CODE, ids=name)
def test_a_page_runs_as_a_plain_script_with_other_random_numbers(path, tmp_path):
    """What a page asserts must not hang on its seed."""
    script = tmp_path / "page.py"
    script.write_text("\n\n".join(cell.source for cell in cells(path)), encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-c", SHIFTED, str(script), "1000"]
    result = subprocess.run(
        command, cwd=path.parent, capture_output=True, text=True, env={**os.environ, "MPLBACKEND": "Agg"}
    )
    assert result.returncode == 0, result.stderr
