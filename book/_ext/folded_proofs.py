"""Let a {prf:proof} with `:class: dropdown` fold like any other admonition: the fold needs a title to click on."""

from docutils import nodes
from sphinx.transforms import SphinxTransform


class FoldedProofs(SphinxTransform):
    default_priority = 210

    def apply(self, **kwargs) -> None:
        for proof in self.document.findall(nodes.admonition):
            if "proof" not in proof["classes"]:
                continue
            proof["ids"] = []  # every proof is given the same one
            if "dropdown" in proof["classes"]:
                opening = next(proof.findall(nodes.Text))
                opening.parent.replace(opening, nodes.Text(opening.removeprefix("Proof. ")))
                proof.insert(0, nodes.title("", "Proof"))


def setup(app) -> dict[str, bool]:
    app.add_transform(FoldedProofs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
