"""The look of every figure: one style, one color for one thing, and what most figures are made of.

Figures are drawn once, in the light colors. `dark` gives the text of the same SVG in the dark ones:
the book's build uses it, so that a page shows whichever fits.
"""

import re
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from esgd_minimal.toy.grids import Grid

WIDTH = 7.4  # inches: the width of the text

INK = "#1f2328"  # axes, text, exact values
PAPER = "#ffffff"  # what the page is made of: the inside of rings, halos
BACKGROUND = "#fffffe"  # behind a figure: white in a notebook, nothing on a page
GREY = "#8a8f98"  # energies; reads on both papers

COLORS = {
    "gradient descent": "#0072b2",
    "SGD": "#0072b2",
    "momentum": "#56a0d3",
    "Adam": "#56a0d3",
    "Entropy-SGD": "#d55e00",
    "local entropy": "#d55e00",
    "Langevin": "#a8518a",
    "SAM": "#7d5fb8",
    "averaging": "#00886a",
    "smoothing": "#00886a",
    "Moreau": "#7d5fb8",
    "Gibbs": "#c98500",
    "exact": INK,
    "bound": INK,
}

# Light color → its twin on dark paper. Fields of color (colormaps) stay as they are.
DARK = {
    INK: "#e3e6ea",
    PAPER: "#121212",
    BACKGROUND: "none",
    GREY: "#8a8f98",
    "#0072b2": "#4aa8e8",
    "#56a0d3": "#8cc4ec",
    "#d55e00": "#f5853f",
    "#a8518a": "#d985bc",
    "#7d5fb8": "#b39ae6",
    "#00886a": "#35bd9b",
    "#c98500": "#e8ab38",
}

STYLE: dict[str, Any] = {
    "figure.figsize": (WIDTH, 3.2),
    "figure.facecolor": BACKGROUND,
    "figure.constrained_layout.use": True,
    "savefig.facecolor": BACKGROUND,
    "font.size": 11.0,
    "axes.titlesize": 11.0,
    "axes.labelsize": 11.0,
    "xtick.labelsize": 10.0,
    "ytick.labelsize": 10.0,
    "legend.fontsize": 10.0,
    "legend.frameon": False,
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.0,
    "errorbar.capsize": 2.0,
    "image.origin": "lower",
    "contour.negative_linestyle": "solid",
    "svg.hashsalt": "wide valleys",  # the same figure gives the same file
}

# From transparent to full color: over any paper, no mass shows as the paper itself.
DENSITY = LinearSegmentedColormap.from_list("density", [(0.87, 0.42, 0.02, a) for a in np.linspace(0, 0.95, 9)])


def use_style() -> None:
    """Set the book's style; in a notebook, also ask for vector figures. Call it once, at the top of a page."""
    plt.style.use(["default", STYLE])
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:  # a plain Python, with no notebook
        pass
    else:
        if get_ipython() is not None:
            set_matplotlib_formats("svg", bbox_inches=None, metadata={"Date": None})


def dark(svg: str) -> str:
    """The text of an SVG figure drawn in this style, in the colors for dark paper."""
    return re.sub("|".join(DARK), lambda found: DARK[found.group().lower()], svg, flags=re.IGNORECASE)


def panels(n: int = 1, height: float = 3.2, **options):
    """A figure of the text's width with n panels side by side, lettered where there are several.

    Returns (figure, axes): axes is one Axes for n = 1, else an array of n. `options` go to `plt.subplots`.
    """
    figure, axes = plt.subplots(1, n, figsize=(WIDTH, height), **options)
    if n > 1:
        for letter, ax in zip("abcdefgh", axes, strict=False):
            ax.set_title(f"({letter})", loc="left")
    return figure, axes


def contours(ax, values: np.ndarray, grid: Grid, levels: int | np.ndarray = 14, top: float | None = None) -> None:
    """An energy on a 2-D grid as grey contours, up to the energy `top` (where walls would crowd them)."""
    if isinstance(levels, int):
        ceiling = np.max(values) if top is None else top
        # Closer together near the bottom, where the wells are.
        levels = np.min(values) + (ceiling - np.min(values)) * np.linspace(0.01, 1, levels) ** 1.5
    ax.contour(*grid.axes, values.T, levels=levels, colors=GREY, linewidths=0.7)
    square(ax, grid)


def field(ax, values: np.ndarray, grid: Grid, cmap=DENSITY, label: str | None = None, **options):
    """Values on a 2-D grid as filled color: the Gibbs density, and everything of local entropy.

    With `label`, a color bar says what the color means. `options` go to `imshow`.
    """
    mesh = ax.imshow(values.T, extent=np.ravel(grid.box), cmap=cmap, interpolation="bilinear", **options)
    if label is not None:
        bar = ax.figure.colorbar(mesh, ax=ax, label=label, shrink=0.9)
        bar.outline.set_edgecolor(INK)
        bar.locator = MaxNLocator(5)
    square(ax, grid)
    return mesh


def square(ax, grid: Grid) -> None:
    """Axes of a 2-D landscape: equal scales, x₀ and x₁, all four sides drawn."""
    ax.set(xlim=grid.box[0], ylim=grid.box[1], xlabel="$x_0$", ylabel="$x_1$", aspect="equal")
    ax.spines[["top", "right"]].set_visible(True)


def trajectory(ax, path: np.ndarray, name: str, label: str | None = None, **options) -> None:
    """A path of points, shape (steps, 2): its start a ring, its end a dot, in the color of `name`."""
    color = COLORS[name]
    ax.plot(path[:, 0], path[:, 1], color=color, linewidth=1.2, label=label, **options)
    ax.plot(*path[0], "o", markerfacecolor=PAPER, markeredgecolor=color, markersize=6)
    ax.plot(*path[-1], "o", color=color, markersize=6)


def estimate(ax, x, mean, error, name: str, label: str | None = None, marker: str = "o") -> None:
    """Estimates with their error bars (± two standard errors, if `error` is one), as markers without a line."""
    color = COLORS[name]
    bars = 2 * np.asarray(error)
    ax.errorbar(x, mean, yerr=bars, fmt=marker, color=color, markerfacecolor=PAPER, label=label, linewidth=1.2)


def scatter(ax, points: np.ndarray, name: str, size: float = 3.0, alpha: float = 0.4, label: str | None = None) -> None:
    """A cloud of points, shape (2, n), in the color of `name`, as an image where a vector would be heavy."""
    heavy = points.shape[1] > 500
    ax.scatter(*points, s=size, color=COLORS[name], alpha=alpha, linewidths=0, label=label, rasterized=heavy)
