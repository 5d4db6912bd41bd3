"""Figures made by code: each must say in words what it shows, and each gets a twin for dark paper."""

from pathlib import Path

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

from esgd_minimal import figures

logger = logging.getLogger(__name__)


class CodeFigures(SphinxTransform):
    """Warn of a figure without alt text; put the dark twin of every SVG beside it."""

    default_priority = 200

    def apply(self, **kwargs) -> None:
        for image in list(self.document.findall(nodes.image)):
            if "jupyter_execute" not in image["uri"]:
                continue
            if not image.get("alt", "").strip():
                where = image.parent.get("names") or image["uri"]
                logger.warning("a figure made by code has no alt text: %s", where, location=self.env.docname)
            if image["uri"].endswith(".svg"):
                self.add_twin(image)

    def add_twin(self, image: nodes.image) -> None:
        _, path = self.env.relfn2path(image["uri"])
        light = Path(path)
        dark = light.with_suffix(".dark.svg")
        dark.write_text(figures.dark(light.read_text(encoding="utf-8")), encoding="utf-8")
        twin = image.copy()
        twin["uri"] = image["uri"].removesuffix(".svg") + ".dark.svg"
        image["classes"].append("on-light")
        twin["classes"] += ["on-dark", "dark-light"]  # the latter: the theme leaves its colors alone
        image.parent.insert(image.parent.index(image) + 1, twin)


def setup(app) -> dict[str, bool]:
    app.add_transform(CodeFigures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
