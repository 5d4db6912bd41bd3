"""The book's own Sphinx extensions are not a package: let the tests import them as the build does."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
