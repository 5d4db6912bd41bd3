"""Read the finished pages as a visitor gets them: no raw TeX or markup in sight, nothing from another host."""

import re
from pathlib import Path

from bs4 import BeautifulSoup
from sphinx.errors import ExtensionError

MARKUP = re.compile(
    r"\$[^\s\d]|\$\$|\\\(|\\\[|\\begin\{|\\[a-zA-Z]{2,}\b|\{[a-z:]+\}`|^:::|```|\|\s*:?[-–—]", re.MULTILINE
)
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href", "video": "src"}
PASSIVE = {"canonical", "next", "prev", "search", "index", "license", "author", "alternate"}


def faults(html: str) -> list[str]:
    """What is wrong with a page, a sentence each."""
    page = BeautifulSoup(html, "html.parser")
    found = []
    for tag in page.find_all(list(LOADS)):
        address = tag.get(LOADS[tag.name]) or ""
        if re.match(r"(https?:)?//", address) and not PASSIVE & set(tag.get("rel") or []):
            found.append(f"it loads {address}")
    for script in page.find_all(["script", "style"]):
        for address in re.findall(r"https?://[^\s\"')]+", script.string or ""):
            found.append(f"a script or style names {address}")
    for hidden in page.select("script, style, pre, code, .math, head"):
        hidden.decompose()
    text = page.get_text()
    for raw in MARKUP.finditer(text):
        context = " ".join(text[max(0, raw.start() - 30) : raw.end() + 30].split())
        found.append(f"it shows raw markup: … {context} …")
    return found


def check(app, exception) -> None:
    if exception is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    wrong = [
        f"{docname}: {fault}"
        for docname in sorted(app.env.found_docs)
        for fault in faults((out / f"{docname}.html").read_text(encoding="utf-8"))
    ]
    if wrong:
        raise ExtensionError("The built pages have faults.\n" + "\n".join(wrong))


def setup(app) -> dict[str, bool]:
    app.connect("build-finished", check, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
