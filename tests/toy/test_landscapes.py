"""The gallery: derivatives against finite differences and closed forms, and every claim of the docstrings."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from esgd_minimal.toy import landscapes
from esgd_minimal.toy.grids import grid
from esgd_minimal.toy.landscapes import GALLERY, gradient, hessian

NAMES = sorted(GALLERY)
SMOOTH = [name for name in NAMES if name != "kink"]


def points_in(box, n=40, seed=0):
    """Points all over the box, off its symmetry axes, where a wrong term cannot hide."""
    low, high = np.array(box).T
    return low[:, None] + (high - low)[:, None] * np.random.default_rng(seed).random((len(box), n))


def differences(function, x, step=1e-5):
    """∂function/∂xⱼ by central differences, stacked over j as the last but one axis of derivatives: (..., d, n)."""
    columns = []
    for j in range(len(x)):
        shift = np.zeros_like(x)
        shift[j] = step
        columns.append((function(x + shift) - function(x - shift)) / (2 * step))
    return np.stack(columns, axis=-2)


# Written by hand from the docstrings, in another style than the module: the second implementation.
def quadratic_slope(x):
    return np.array([x[0], 10 * x[1]])


def double_well_slope(x):
    return np.array([4 * x[0] ** 3 - 4 * x[0], x[1]])


def wide_and_sharp_slope(x):
    r2 = x[0] ** 2 + x[1] ** 2
    wide = 2.0 / 0.7**2 * np.exp(-((x[0] + 1.2) ** 2 + x[1] ** 2) / (2 * 0.7**2))
    sharp = 2.5 / 0.2**2 * np.exp(-((x[0] - 1.2) ** 2 + x[1] ** 2) / (2 * 0.2**2))
    return 0.2 * r2 * x + np.array([wide * (x[0] + 1.2) + sharp * (x[0] - 1.2), (wide + sharp) * x[1]])


def valley_and_well_slope(x):
    valley = 5.0 * (x - 3) * np.exp(-0.5 * (x - 3) ** 2)
    well = 6.3 / 0.0225 * (x - 6.5) * np.exp(-((x - 6.5) ** 2) / 0.045)
    return valley + well - 8 * np.exp(-8 * x) + 8 * np.exp(8 * (x - 11))


def muller_brown_slope(x):
    A, a, b, c = [-200, -100, -170, 15], [-1, -1, -6.5, 0.7], [0, 0, 11, 0.6], [-10, -10, -6.5, 0.7]
    u, v = [1, 0, -0.5, -1], [0, 0.5, 1.5, 1]
    total = np.zeros_like(x)
    for k in range(4):
        p, q = x[0] - u[k], x[1] - v[k]
        term = A[k] * np.exp(a[k] * p * p + b[k] * p * q + c[k] * q * q)
        total += term * np.array([2 * a[k] * p + b[k] * q, b[k] * p + 2 * c[k] * q])
    return total / 20


def himmelblau_slope(x):
    p, q = x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7
    return np.array([4 * x[0] * p + 2 * q, 2 * p + 4 * x[1] * q]) / 20


def rosenbrock_slope(x):
    return np.array([2 * x[0] - 2 - 80 * x[0] * (x[1] - x[0] ** 2), 40 * (x[1] - x[0] ** 2)])


def rastrigin_slope(x):
    return x + 2 * np.pi * np.sin(2 * np.pi * x)


def kink_slope(x):
    return np.array([np.where(x[0] < 0, -10.0, 1.0), x[1]])


def saddle_slope(x):
    return np.array([0.5 * x[0] ** 3 - x[0], x[1]])


def ring_slope(x):
    return 8 * (x[0] ** 2 + x[1] ** 2 - 1) * x


def plateau_slope(x):
    r2 = x[0] ** 2 + x[1] ** 2
    return (3 / 0.16 * np.exp(-r2 / 0.32) + 2 / 3 * np.exp(r2 / 3 - 4.5)) * x


SLOPES = {name: globals()[f"{name}_slope"] for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_the_closed_forms(name):
    x = points_in(GALLERY[name].box)
    assert_allclose(gradient(GALLERY[name].energy)(x), SLOPES[name](x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_are_the_limits_of_differences(name):
    energy, x = GALLERY[name].energy, points_in(GALLERY[name].box, seed=1)
    slope = gradient(energy)(x)
    assert_allclose(slope, differences(energy, x), rtol=1e-6, atol=1e-6 * np.abs(slope).max())
    curvature = hessian(energy)(x)
    assert_allclose(curvature, differences(gradient(energy), x), rtol=1e-6, atol=1e-6 * np.abs(curvature).max())
    assert_allclose(curvature, np.swapaxes(curvature, 0, 1), rtol=1e-9, atol=1e-9 * np.abs(curvature).max())


def test_hessians_are_the_closed_forms():
    x = points_in(((-2.0, 2.0), (-2.0, 2.0)), seed=2)
    u, v, zero, one = x[0], x[1], np.zeros(40), np.ones(40)
    closed = {
        "quadratic": [[one, zero], [zero, 10 * one]],
        "double_well": [[12 * u**2 - 4, zero], [zero, one]],
        "saddle": [[1.5 * u**2 - 1, zero], [zero, one]],
        "ring": [[8 * (3 * u**2 + v**2 - 1), 16 * u * v], [16 * u * v, 8 * (u**2 + 3 * v**2 - 1)]],
        "rosenbrock": [[2 - 80 * v + 240 * u**2, -80 * u], [-80 * u, 40 * one]],
        "himmelblau": [
            [(12 * u**2 + 4 * v - 42) / 20, (u + v) / 5],
            [(u + v) / 5, (12 * v**2 + 4 * u - 26) / 20],
        ],
    }
    for name, rows in closed.items():
        assert_allclose(hessian(GALLERY[name].energy)(x), np.array(rows), rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(
    ("energy", "written_out", "parameters"),
    [
        (landscapes.quadratic, landscapes.quadratic_gradient, {"curvatures": (0.3, 7.0)}),
        (landscapes.double_well, landscapes.double_well_gradient, {"barrier": 1.7, "tilt": -0.4}),
        (landscapes.wide_and_sharp, landscapes.wide_and_sharp_gradient, {}),
        (
            landscapes.wide_and_sharp,
            landscapes.wide_and_sharp_gradient,
            {"depths": (1.0, 3.0), "widths": (0.5, 0.3), "bowl": 0.1},
        ),
    ],
)
@pytest.mark.parametrize("d", [1, 2])
def test_gradients_written_out_are_those_of_autograd(energy, written_out, parameters, d):
    x = points_in(((-2.0, 2.0),) * d)
    by_autograd = gradient(lambda x: energy(x, **parameters))(x)
    assert_allclose(written_out(x, **parameters), by_autograd, rtol=1e-13, atol=1e-13)
    assert np.all(x == points_in(((-2.0, 2.0),) * d))  # and the points are still what they were


def test_the_gradient_of_muller_and_brown_written_out_is_that_of_autograd():
    x = points_in(GALLERY["muller_brown"].box)
    by_autograd = gradient(lambda x: landscapes.muller_brown(x, 0.2))(x)
    assert_allclose(landscapes.muller_brown_gradient(x, 0.2), by_autograd, rtol=1e-11, atol=1e-11)


@settings(deadline=None, max_examples=50)
@given(name=st.sampled_from(SMOOTH), shape=st.sampled_from([(), (1,), (3,), (2, 3), (0,)]), seed=st.integers(0, 99))
def test_points_of_any_shape_are_taken_one_by_one(name, shape, seed):
    """(d,), (d, n), (d, n, m): each point's energy, gradient and Hessian are those it has alone."""
    energy, box = GALLERY[name].energy, GALLERY[name].box
    n = int(np.prod(shape, dtype=int))
    flat = points_in(box, n, seed)
    x = flat.reshape(len(box), *shape)
    d = len(box)
    assert energy(x).shape == shape
    assert gradient(energy)(x).shape == (d, *shape)
    assert hessian(energy)(x).shape == (d, d, *shape)
    for k in range(n):
        assert_allclose(energy(x).reshape(n)[k], energy(flat[:, k]), rtol=1e-12, atol=1e-12)
        assert_allclose(gradient(energy)(x).reshape(d, n)[:, k], gradient(energy)(flat[:, k]), rtol=1e-10, atol=1e-10)
        assert_allclose(hessian(energy)(x).reshape(d, d, n)[..., k], hessian(energy)(flat[:, k]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in SMOOTH if GALLERY[name].minima])
def test_the_minima_listed_are_all_the_minima_to_their_digits(name):
    landscape = GALLERY[name]
    values = landscape.energy(grid(landscape.box, 201).points)
    # Every well at least two grid steps wide has a grid point lower than its neighbours; some are only grid artefacts.
    inner = values[(slice(1, -1),) * values.ndim]
    lower = np.ones_like(inner, dtype=bool)
    for shift in np.ndindex(*(3,) * values.ndim):
        if shift != (1,) * values.ndim:
            lower &= inner < values[tuple(slice(s, s + k) for s, k in zip(shift, inner.shape, strict=True))]
    candidates = grid(landscape.box, 201).points[(slice(None), *(slice(1, -1),) * values.ndim)][:, lower].T
    assert len(candidates) >= len(landscape.minima)
    found = set()
    for start in candidates:
        end = minimize(landscape.energy, start, jac=gradient(landscape.energy), method="BFGS", options={"gtol": 1e-8})
        assert np.all(np.linalg.eigvalsh(hessian(landscape.energy)(end.x)) > 0)
        found.add(tuple(np.round(end.x, 3) + 0.0))
    assert found == {tuple(np.round(m, 3) + 0.0) for m in landscape.minima}


def test_the_kink_is_convex_and_its_minimum_is_the_origin():
    energy = GALLERY["kink"].energy
    a, b = points_in(GALLERY["kink"].box, 500, 3), points_in(GALLERY["kink"].box, 500, 4)
    assert np.all(energy((a + b) / 2) <= (energy(a) + energy(b)) / 2 + 1e-12)
    assert np.all(energy(a) > energy(np.zeros(2)))
    assert energy(np.array([-1.0, 0.0])) == 10.0  # steep on the left
    assert energy(np.array([1.0, 0.0])) == 1.0  # shallow on the right


def test_the_double_well_has_the_barrier_and_the_tilt_it_says():
    for barrier in (0.5, 3.0):
        top, left, right = landscapes.double_well(np.array([[0.0, -1.0, 1.0], [0.0, 0.0, 0.0]]), barrier=barrier)
        assert (top - left, top - right) == (barrier, barrier)
    left, right = landscapes.double_well(np.array([[-1.0, 1.0]]), tilt=0.3)
    assert right - left == pytest.approx(0.6)


def test_depth_and_width_of_the_two_wells_are_separate_knobs():
    centres = np.array([[-1.2, 1.2], [0.0, 0.0]])
    bowl = 0.05 * 1.2**4
    for depths in ((2.0, 2.5), (1.0, 4.0)):
        for widths in ((0.7, 0.2), (0.5, 0.1)):
            energy = landscapes.wide_and_sharp(centres, depths, widths)
            # What one well adds at the centre of the other, and no more:
            overlap = np.array(depths)[::-1] * np.exp(-(2.4**2) / (2 * np.array(widths)[::-1] ** 2))
            assert_allclose(energy, bowl - np.array(depths) - overlap, rtol=1e-12)
            # Across the line of the two centres the well is a Gaussian of that depth and width: curvature d / w².
            curvature = hessian(lambda x, d=depths, w=widths: landscapes.wide_and_sharp(x, d, w, bowl=0.0))(centres)
            assert_allclose(curvature[1, 1], np.array(depths) / np.array(widths) ** 2, rtol=0.02)


def test_the_sharp_well_is_deeper_and_the_valley_wider():
    for name in ("wide_and_sharp", "valley_and_well"):
        energy = GALLERY[name].energy
        wide, sharp = np.array(GALLERY[name].minima)
        assert energy(sharp) < energy(wide)
        widest, sharpest = (np.linalg.eigvalsh(hessian(energy)(x)) for x in (wide, sharp))
        assert np.all(sharpest > 10 * widest)


def test_the_cartoon_has_its_plateau_where_it_says():
    u = np.linspace(8, 10, 101)[None]
    assert np.all(np.abs(landscapes.valley_and_well(u) - 6.0) < 1e-3)


def test_himmelblau_has_minima_of_equal_depth_and_unequal_width():
    minima = np.array(GALLERY["himmelblau"].minima).T
    assert np.all(landscapes.himmelblau(minima) < 1e-4)
    volumes = 1 / np.sqrt(np.linalg.det(np.moveaxis(hessian(landscapes.himmelblau)(minima), -1, 0)))
    assert volumes.max() > 2 * volumes.min()


def test_rosenbrock_is_nearly_flat_along_its_curved_floor():
    u = np.linspace(-1.5, 1.5, 31)
    floor = np.array([u, u**2])
    assert_allclose(landscapes.rosenbrock(floor), (1 - u) ** 2, atol=1e-12)
    small, large = np.linalg.eigvalsh(np.moveaxis(hessian(landscapes.rosenbrock)(floor), -1, 0)).T
    assert np.all(large > 19.99 * np.abs(small))


def test_rastrigin_ripples_about_its_bowl():
    x = points_in(((-4.0, 4.0), (-4.0, 4.0)))
    bowl = 0.5 * np.sum(x**2, axis=0)
    assert np.all((landscapes.rastrigin(x) >= bowl) & (landscapes.rastrigin(x) <= bowl + 4))
    assert_allclose(landscapes.rastrigin(np.round(x)), 0.5 * np.sum(np.round(x) ** 2, axis=0), atol=1e-12)


def test_the_saddle_traps_descent_along_x1_only():
    slope, curvature = gradient(landscapes.saddle), hessian(landscapes.saddle)
    assert_allclose(slope(np.zeros(2)), 0)
    assert_allclose(curvature(np.zeros(2)), [[-1, 0], [0, 1]])
    assert slope(np.array([0.0, 1.7]))[0] == 0  # on the axis nothing pushes off it


def test_every_point_of_the_ring_is_a_minimum():
    angle = np.linspace(0, 2 * np.pi, 33)
    circle = np.array([np.cos(angle), np.sin(angle)])
    assert_allclose(landscapes.ring(circle), 0, atol=1e-30)
    assert_allclose(gradient(landscapes.ring)(circle), 0, atol=1e-14)
    flat, stiff = np.linalg.eigvalsh(np.moveaxis(hessian(landscapes.ring)(circle), -1, 0)).T
    assert_allclose(flat, 0, atol=1e-13)  # along the circle
    assert_allclose(stiff, 8 * 2.0, rtol=1e-13)  # across it


def test_the_plateau_is_high_and_flat_outside_its_well():
    """Between |x| = 1.6 and 2 a hundredth of the slopes inside the well is left; past |x| = 3.5 the wall rises."""
    radius = np.array([[0.4, 1.6, 1.8, 2.0, 3.5, 4.2], [0.0] * 6])
    steepness = np.abs(gradient(landscapes.plateau)(radius)[0])
    assert np.all(steepness[1:4] < 0.02 * steepness[0])
    values = landscapes.plateau(radius)
    assert np.all(np.abs(values[1:4] - 3.0) < 0.05)
    assert values[4] - 3.0 < 1.0 < values[5] - 3.0


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_points_are_refused_with_one_sentence(name):
    """The slip that costs an hour: (n, 2) for (2, n). Without the check the answer is wrong and looks right."""
    energy, n = GALLERY[name].energy, 7
    rows = np.zeros((n, GALLERY[name].dimension))
    for function in (energy, gradient(energy), hessian(energy)):
        with pytest.raises(ValueError, match=r"shape \(d, …\); got shape \(7, [12]\)\.$"):
            function(rows)


@pytest.mark.parametrize("name", NAMES)
def test_a_bare_number_is_not_a_point(name):
    with pytest.raises((ValueError, TypeError)):
        GALLERY[name].energy(1.0)


def test_whole_numbers_have_whole_derivatives():
    """Autograd on integers returns integers: 280 for 280.7. Points given as integers count as real."""
    for name in SMOOTH:
        whole = np.ones((GALLERY[name].dimension, 2), dtype=int)
        assert_allclose(gradient(GALLERY[name].energy)(whole), gradient(GALLERY[name].energy)(1.0 * whole))
        assert_allclose(hessian(GALLERY[name].energy)(whole), hessian(GALLERY[name].energy)(1.0 * whole))


@settings(deadline=None, max_examples=30)
@given(arrays(float, (2, 4), elements=st.floats(-3, 3)), st.floats(0.01, 10), st.floats(0.01, 10))
def test_the_quadratic_is_what_its_curvatures_say(x, a, b):
    assert_allclose(landscapes.quadratic(x, (a, b)), 0.5 * (a * x[0] ** 2 + b * x[1] ** 2), rtol=1e-12, atol=1e-300)


def test_every_member_has_a_lesson_and_a_box_that_holds_its_minima():
    for name, landscape in GALLERY.items():
        assert landscape.lesson, name
        assert inspect.getdoc(landscape.energy), name
        assert landscape.dimension == len(landscape.box)
        for minimum in landscape.minima:
            inside = [low < u < high for (low, high), u in zip(landscape.box, minimum, strict=True)]
            assert all(inside), name
