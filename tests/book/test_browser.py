"""The built pages in a browser: all formulas typeset, no error on the console. Skipped where either is missing."""

import re
import shutil
import subprocess

import pytest
from conftest import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HTML = ROOT / "_build" / "html"
PAGES = sorted(path for path in HTML.glob("**/*.html") if "_static" not in path.parts)

TROUBLE = re.compile(r"Uncaught|Error|Failed|Refused|blocked|not allowed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
    pytest.mark.skipif(not PAGES, reason="the book is not built"),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(HTML)))
def test_a_page_typesets_its_formulas_and_reports_no_error_on_the_console(page, tmp_path):
    result = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            f"--user-data-dir={tmp_path}",
            "--enable-logging=stderr",
            "--virtual-time-budget=20000",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    dom = result.stdout
    formulas = page.read_text(encoding="utf-8").count('class="math')
    assert dom.count("<mjx-container") >= formulas > 0 or formulas == 0
    assert "<mjx-merror" not in dom
    said = [line for line in result.stderr.splitlines() if "CONSOLE" in line and TROUBLE.search(line)]
    assert said == []
