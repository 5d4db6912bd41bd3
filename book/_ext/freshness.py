"""Execute a page again when the part of the package that it uses has changed, and only then.

The execution cache knows a page by its code cells and its kernel. Here the kernel's metadata also gets
a fingerprint of what those cells use of `esgd_minimal` (see dependencies.py), of the versions that the
book was built with and, where the cells speak of records, of all that is recorded, so that a page whose
package or records have changed is not found in the cache.
"""

import hashlib
import re
import sys
from pathlib import Path

import jupytext
import yaml
from dependencies import Package

MAGIC = ("%", "!", "?")
KEPT_APART = (".checkpoint", ".part", ".pt")  # states and weights of runs, which are not part of the book


def page_code(text: str) -> str | None:
    """The code cells of a MyST notebook, joined; None for a page that has none."""
    if not text.startswith("---") or "{code-cell}" not in text:
        return None
    cells = [cell.source for cell in jupytext.reads(text, fmt="md:myst").cells if cell.cell_type == "code"]
    lines = [line for source in cells for line in source.splitlines() if not line.lstrip().startswith(MAGIC)]
    return "\n".join(lines)


def stamped(text: str, fingerprint: str) -> str:
    """The page with the fingerprint in its kernel's metadata; all else stays on the line where it was."""
    _, front, rest = text.split("---\n", 2)
    metadata = yaml.safe_load(front)
    metadata["kernelspec"]["fingerprint"] = fingerprint
    flat = yaml.safe_dump(metadata, default_flow_style=True, width=float("inf"), sort_keys=False)
    return f"---\n{flat}" + "\n" * (front.count("\n") - flat.count("\n")) + f"---\n{rest}"


def digest(folder: Path) -> str:
    """Of the names and contents of the records in a folder, whatever their dates; where there is none, it is empty."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in KEPT_APART:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(folder).as_posix()}\n{content}\n".encode())
    return total.hexdigest()[:8]


class Freshness:
    """The package, the records and the pinned versions as they are at the start of this build."""

    def __init__(self, package: Path, records: Path, requirements: Path):
        self.package = Package(package)
        self.records = digest(records)
        versions = sys.version.split()[0].encode() + requirements.read_bytes()
        self.versions = hashlib.sha256(versions).hexdigest()[:8]

    def fingerprint(self, text: str) -> str | None:
        code = page_code(text)
        if code is None:
            return None
        parts = [self.package.fingerprint(code), self.versions]
        if re.search(r"records\b", code):
            parts.append(self.records)
        return "-".join(parts)


def start(app) -> None:
    root = Path(app.srcdir).parent
    app.freshness = Freshness(root / "esgd_minimal", Path(app.srcdir, "runs"), root / "requirements.txt")


def stamp(app, docname: str, source: list[str]) -> None:
    fingerprint = app.freshness.fingerprint(source[0])
    if fingerprint is not None:
        source[0] = stamped(source[0], fingerprint)
        app.env.__dict__.setdefault("fingerprints", {})[docname] = fingerprint


def outdated(app, env, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    known = env.__dict__.get("fingerprints", {})
    pages = (docname for docname in known if docname in env.found_docs)
    text = {docname: Path(env.doc2path(docname)).read_text(encoding="utf-8") for docname in pages}
    return [docname for docname in text if app.freshness.fingerprint(text[docname]) != known[docname]]


def setup(app) -> dict[str, bool]:
    app.connect("builder-inited", start)
    app.connect("source-read", stamp)
    app.connect("env-get-outdated", outdated)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
