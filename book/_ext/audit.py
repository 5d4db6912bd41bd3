"""The audit of the paper: each claim is judged beside the cell that shows it, and one table gathers the judgements.

    ```{audit} Local entropy is smoother than the loss
    :where: Lemma 2
    :verdict: holds with a correction
    :shows: {prf:ref}`prop-no-assumption`

    Its curvature never exceeds γ; no condition on the Hessian is needed.
    ```

The argument is the claim; `shows` refers to the figure, proposition or section that shows the verdict, and, like any
reference, fails the build where it points to nothing. `{audit-table}` reads the entries of all pages from their source.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

VERDICTS = ("holds", "holds with a correction", "does not hold", "not checkable here")
BLOCK = re.compile(
    r"^```\{audit\} (?P<claim>.+)\n(?P<options>(?::\w+: .+\n)*)\n*(?P<reason>(?:(?!```).*\n)*)```$", re.M
)


@dataclass(frozen=True)
class Entry:
    claim: str
    where: str
    verdict: str
    shows: str
    reason: str


def entries(text: str) -> list[Entry]:
    """The audit entries of a page, from its source.

    Raises:
        ValueError: an entry lacks an option or a reason, has one that is not known, or a verdict that is not one.
    """
    if len(found := list(BLOCK.finditer(text))) != text.count("```{audit} "):
        raise ValueError("An audit entry is not closed, or has something between its options.")
    return [entry(each["claim"], dict(re.findall(r":(\w+): (.+)", each["options"])), each["reason"]) for each in found]


def entry(claim: str, options: dict[str, str], reason: str) -> Entry:
    reason = " ".join(reason.split())
    if set(options) != {"where", "verdict", "shows"} or not reason:
        raise ValueError(f"The audit entry '{claim}' needs the options where, verdict and shows, and a reason.")
    if options["verdict"] not in VERDICTS:
        raise ValueError(f"The verdict of '{claim}' must be one of {', '.join(VERDICTS)}; got {options['verdict']}.")
    return Entry(claim=claim, reason=reason, **options)


class _Markdown(SphinxDirective):
    """A directive that stands for some MyST text."""

    def parse(self, text: str) -> list[nodes.Node]:
        parent = nodes.container()
        self.state.nested_parse(StringList(text.splitlines(), self.env.docname), self.content_offset, parent)
        return parent.children


class Audit(_Markdown):
    """A box, 'In the paper', with the claim, the verdict and the reason."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = dict.fromkeys(("where", "verdict", "shows"), str.strip)

    def run(self) -> list[nodes.Node]:
        try:
            e = entry(self.arguments[0], self.options, "\n".join(self.content))
        except ValueError as problem:
            raise self.error(str(problem)) from None
        box = nodes.admonition(classes=["audit"])
        box += nodes.title("", "In the paper")
        box += self.parse(f"*{e.claim}* ({e.where}).\n\n**{e.verdict.capitalize()}.** {e.reason} Shown by {e.shows}.")
        return [box]


class AuditTable(_Markdown):
    """All entries, in the order of the book."""

    def run(self) -> list[nodes.Node]:
        lines = ["| the claim | verdict | why | shown by |", "|---|---|---|---|"]
        for path in pages(Path(self.env.srcdir)):
            self.env.note_dependency(str(path))
            for e in entries(path.read_text(encoding="utf-8")):
                cells = (f"{e.claim} ({e.where})", e.verdict, e.reason, e.shows)
                lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
        return self.parse("\n".join(lines))


def pages(source: Path) -> list[Path]:
    """The pages of the book that have source, in its order."""
    contents = yaml.safe_load((source / "_toc.yml").read_text(encoding="utf-8"))
    names = [chapter["file"] for part in contents.get("parts", [contents]) for chapter in part["chapters"]]
    return [path for name in names if (path := source / f"{name}.md").exists()]


def setup(app) -> dict[str, bool]:
    app.add_directive("audit", Audit)
    app.add_directive("audit-table", AuditTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
