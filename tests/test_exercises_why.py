"""The checkers of chapter 1 say yes to what is right, and each slip gets the hint that fits it."""

import copy

import numpy as np
import pytest

from esgd_minimal.exercises.why_wide_valleys import check_louder_station, check_same_function


@pytest.mark.parametrize(("widths", "drift"), [((0.6, 0.08), 0.15), ((0.5, 0.2), 0.3), ((0.6, 0.08), 0.05)])
def test_the_closed_form_is_what_the_checker_finds_by_quadrature(widths, drift):
    wide, sharp = np.array(widths) / np.sqrt(np.array(widths) ** 2 + drift**2)
    assert check_louder_station(wide / sharp, widths, drift).startswith("Yes.")
    assert check_louder_station(0.97 * wide / sharp, widths, drift).startswith("Not enough")
    assert check_louder_station(1.03 * wide / sharp, widths, drift).startswith("Too much")


def rescale(networks, factor, slip=""):
    other = networks if slip == "in place" else copy.deepcopy(networks)
    other.w1.mul_(1 / factor if slip == "upside down" else factor)
    if slip != "bias forgotten":
        other.b1.mul_(factor)
    if slip != "second layer forgotten":
        other.w2.div_(factor)
    return other


def test_rescaling():
    assert check_same_function(rescale).startswith("Yes.")


@pytest.mark.parametrize(
    ("slip", "hint"),
    [
        ("in place", "work on a copy"),
        ("upside down", "first layer's weights"),
        ("bias forgotten", "biases included"),
        ("second layer forgotten", "which layer can undo it"),
    ],
)
def test_each_slip_gets_its_hint(slip, hint):
    assert hint in check_same_function(lambda networks, factor: rescale(networks, factor, slip))
