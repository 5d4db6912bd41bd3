"""What the README says of results is what the records say."""

import re
from pathlib import Path

from esgd_minimal.__main__ import main

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"<!-- (python -m esgd_minimal table .+?) -->\n(.*?)<!-- end -->", re.S)


def test_the_results_are_those_of_the_records(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    blocks = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(blocks) == 1
    command, block = blocks[0]
    assert main(command.split()[3:]) == 0
    assert block.strip() == capsys.readouterr().out.strip(), f"The README's table is to be what `{command}` prints."
