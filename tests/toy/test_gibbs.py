"""The Gibbs measure on a grid: against closed forms to 1e-8, its identities, and what it refuses."""

import re

import autograd.numpy as np
import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, ndimage, optimize, special, stats

from esgd_minimal.toy import gibbs, landscapes
from esgd_minimal.toy.grids import grid

CLOSE = 1e-8
BETAS = 10.0 ** numpy.arange(-3, 5)
properties = settings(deadline=None, max_examples=25)


def box_for(beta: float, dimension: int, reach: float = 9.0) -> tuple:
    """A box that holds all of a Gaussian of curvature 1 that doubles can tell from nothing."""
    return ((-reach / beta**0.5, reach / beta**0.5),) * dimension


def parabola(x: np.ndarray) -> np.ndarray:
    return 0.5 * x[0] ** 2 - 3.0


def quartic(x: np.ndarray) -> np.ndarray:
    return x[0] ** 4


def tilted(x: np.ndarray) -> np.ndarray:
    """½ xᵀ A x + 0.7 with A = [[2, 1], [1, 3]]: no symmetry with the grid's axes."""
    return 0.7 + x[0] ** 2 + x[0] * x[1] + 1.5 * x[1] ** 2


def mixture(x: np.ndarray) -> np.ndarray:
    """−log of ½ N(−4, 1²) + ½ N(4, 0.2²): at β = 1 the Gibbs measure is the mixture, half in each well."""
    wide = np.exp(-((x[0] + 4) ** 2) / 2)
    sharp = np.exp(-((x[0] - 4) ** 2) / (2 * 0.2**2)) / 0.2
    return -np.log(0.5 * wide + 0.5 * sharp + 1e-300) + 0.5 * np.log(2 * np.pi)


# ---- closed forms


@pytest.mark.parametrize("beta", BETAS)
def test_a_gaussian_in_one_dimension(beta):
    g = grid(box_for(beta, 1), 129)
    law = stats.norm(scale=beta**-0.5)
    log_z = 3 * beta + 0.5 * numpy.log(2 * numpy.pi / beta)
    assert gibbs.log_partition(parabola, g, beta) == pytest.approx(log_z, rel=CLOSE, abs=CLOSE)
    assert gibbs.free_energy(parabola, g, beta) == pytest.approx(-log_z / beta, rel=CLOSE)
    assert gibbs.mean_energy(parabola, g, beta) == pytest.approx(0.5 / beta - 3, rel=CLOSE)
    assert gibbs.entropy(parabola, g, beta) == pytest.approx(law.entropy(), abs=CLOSE)
    assert gibbs.heat_capacity(parabola, g, beta) == pytest.approx(0.5, abs=CLOSE)
    assert gibbs.log_density(parabola, g, beta) == pytest.approx(law.logpdf(g.axes[0]), abs=CLOSE)


@pytest.mark.parametrize("beta", BETAS)
def test_a_gaussian_in_two_dimensions(beta):
    g = grid(box_for(beta, 2), 129)
    covariance = numpy.linalg.inv([[2.0, 1.0], [1.0, 3.0]]) / beta
    law = stats.multivariate_normal(cov=covariance)
    log_z = -0.7 * beta + numpy.log(2 * numpy.pi / beta) - 0.5 * numpy.log(5)
    assert gibbs.log_partition(tilted, g, beta) == pytest.approx(log_z, rel=CLOSE, abs=CLOSE)
    assert gibbs.mean_energy(tilted, g, beta) == pytest.approx(0.7 + 1 / beta, rel=CLOSE)
    assert gibbs.entropy(tilted, g, beta) == pytest.approx(law.entropy(), abs=CLOSE)
    assert gibbs.heat_capacity(tilted, g, beta) == pytest.approx(1.0, abs=CLOSE)
    density = law.pdf(numpy.moveaxis(g.points, 0, -1))
    assert gibbs.density(tilted, g, beta) == pytest.approx(density, rel=CLOSE, abs=CLOSE * density.max())
    second_moments = gibbs.expectation(lambda x: np.stack([x[0] ** 2, x[0] * x[1], x[1] ** 2]), tilted, g, beta)
    assert second_moments == pytest.approx(covariance[[0, 0, 1], [0, 1, 1]], rel=CLOSE)


@pytest.mark.parametrize("beta", BETAS)
def test_a_quartic(beta):
    g = grid(((-3.2 / beta**0.25, 3.2 / beta**0.25),), 129)
    log_z = numpy.log(2 * special.gamma(5 / 4)) - numpy.log(beta) / 4
    assert gibbs.log_partition(quartic, g, beta) == pytest.approx(log_z, abs=CLOSE)
    assert gibbs.mean_energy(quartic, g, beta) == pytest.approx(0.25 / beta, rel=CLOSE)
    assert gibbs.heat_capacity(quartic, g, beta) == pytest.approx(0.25, abs=CLOSE)


@pytest.mark.parametrize("beta", [0.3, 3.0, 30.0])
def test_the_ring(beta):
    # In u = r² the integral over the plane is half a Gaussian's: π ∫₀^∞ exp(−2β (u − 1)²) du.
    log_z = numpy.log(numpy.pi * stats.norm.cdf(1, scale=(4 * beta) ** -0.5) * (numpy.pi / (2 * beta)) ** 0.5)
    g = grid(((-3.6, 3.6), (-3.6, 3.6)), 257)
    assert gibbs.log_partition(landscapes.ring, g, beta) == pytest.approx(log_z, abs=CLOSE)


@pytest.mark.parametrize("beta", [0.5, 3.0])
def test_against_adaptive_quadrature(beta):
    g = grid(((-1.5, 12.5),), 2049)
    inside = gibbs.log_partition(landscapes.valley_and_well, g, beta)
    weight = lambda u: numpy.exp(-beta * landscapes.valley_and_well(numpy.array([u])))  # noqa: E731
    total, _ = integrate.quad(weight, -1.5, 12.5, points=[0, 3, 6.3, 6.5, 6.7, 11], epsabs=1e-13, limit=200)
    assert inside == pytest.approx(numpy.log(total), abs=CLOSE)


# ---- the error estimate


@pytest.mark.parametrize("n", [9, 13, 17, 25, 33, 65])
@pytest.mark.parametrize("reach", [2.6, 3.3, 5.0, 8.0])
def test_the_error_estimate_covers_the_error(n, reach):
    g = grid((box_for(1.0, 1, reach)[0], box_for(2.0, 1, reach)[0]), n)
    energy = lambda x: 0.5 * x[0] ** 2 + x[1] ** 2  # noqa: E731
    try:
        value, error = gibbs.log_partition(energy, g, 1.0), gibbs.log_partition_error(energy, g, 1.0)
    except ValueError:
        assert n <= 25 or reach < 2.7
        return
    truth = numpy.log(2 * numpy.pi) - 0.5 * numpy.log(2)
    assert abs(value - truth) <= error + 1e-14
    cut_off = 4 * stats.norm.sf(reach)
    if n == 65:  # fine: what is left is what the box cuts off, and the estimate of it is not wild
        assert cut_off - 1e-14 <= error <= 1.7 * cut_off + 1e-9


def test_the_error_estimate_is_of_the_errors_size_at_a_kink():
    energy = lambda x: landscapes.kink(x, left=3.0, right=1.0)  # noqa: E731
    ratios = []
    for shift in numpy.linspace(0, 1, 60):
        g = grid(((-12.1 - shift, 36.0),), 2049)
        error = gibbs.log_partition(energy, g, 1.0) - numpy.log(1 + 1 / 3)
        ratios.append(abs(error) / gibbs.log_partition_error(energy, g, 1.0))
    assert 0.05 < numpy.median(ratios) < 0.5
    assert numpy.mean(numpy.array(ratios) < 1) > 0.7


# ---- identities


@st.composite
def measures(draw):
    """An energy with no symmetry, an inverse temperature, and a grid that holds its measure."""
    a, b, c, d = (draw(st.floats(low, high)) for low, high in ((0.3, 1), (-1, 1), (-2, 2), (-1, 1)))
    dimension = draw(st.integers(1, 2))
    beta = 10 ** draw(st.floats(-3, 1))

    def energy(x):
        return a * np.sum(x**4, axis=0) + b * x[0] ** 3 + c * np.sum(x**2, axis=0) + d * np.sin(2 * x[0] + x[-1])

    half = 4 + 3.2 / (a * beta) ** 0.25
    return energy, grid(((-half, half),) * dimension, 1025 if dimension == 1 else 257), beta


@properties
@given(measures(), st.floats(-1e4, 1e4))
def test_lifting_the_energy_lifts_the_free_energy(measure, lift):
    energy, g, beta = measure
    lifted = lambda x: energy(x) + lift  # noqa: E731
    free = gibbs.free_energy(energy, g, beta)
    assert gibbs.free_energy(lifted, g, beta) == pytest.approx(free + lift, rel=CLOSE, abs=CLOSE)
    assert gibbs.entropy(lifted, g, beta) == pytest.approx(gibbs.entropy(energy, g, beta), abs=1e-6)
    assert gibbs.heat_capacity(lifted, g, beta) == pytest.approx(gibbs.heat_capacity(energy, g, beta), abs=1e-6)


@properties
@given(measures())
def test_the_derivatives_of_beta_times_free_energy(measure):
    energy, g, beta = measure
    step = 1e-3 * beta
    times = [beta + k * step for k in (-2, -1, 1, 2)]
    weights = numpy.array([1, -8, 8, -1]) / (12 * step)
    by_difference = weights @ [-gibbs.log_partition(energy, g, b) for b in times]
    scale = max(1 / beta, abs(by_difference))
    assert gibbs.mean_energy(energy, g, beta) == pytest.approx(by_difference, abs=1e-8 * scale)
    by_difference = -(beta**2) * (weights @ [gibbs.mean_energy(energy, g, b) for b in times])
    assert gibbs.heat_capacity(energy, g, beta) == pytest.approx(by_difference, rel=1e-7, abs=1e-7)


@properties
@given(measures())
def test_free_energy_is_energy_minus_temperature_times_entropy(measure):
    energy, g, beta = measure
    p = gibbs.density(energy, g, beta)
    entropy = -numpy.sum(g.weights * special.xlogy(p, p))
    assert gibbs.entropy(energy, g, beta) == pytest.approx(entropy, rel=CLOSE, abs=CLOSE)
    balance = gibbs.mean_energy(energy, g, beta) - entropy / beta
    assert gibbs.free_energy(energy, g, beta) == pytest.approx(balance, rel=CLOSE, abs=CLOSE / beta)


@properties
@given(measures(), st.floats(0.1, 10))
def test_stretching_space_adds_to_the_entropy(measure, stretch):
    energy, g, beta = measure
    wide = grid(tuple((stretch * low, stretch * high) for low, high in g.box), g.shape[0])
    more = g.dimension * numpy.log(stretch)
    stretched = gibbs.entropy(lambda x: energy(x / stretch), wide, beta)
    assert stretched == pytest.approx(gibbs.entropy(energy, g, beta) + more, rel=CLOSE, abs=CLOSE)


@properties
@given(measures())
def test_the_basins_share_the_whole_measure(measure):
    energy, g, beta = measure
    labels = gibbs.basins(energy, g)
    assert gibbs.basin_masses(energy, g, beta, labels).sum() == pytest.approx(1, abs=1e-12)
    parts = gibbs.basin_log_partitions(energy, g, beta, labels)
    assert special.logsumexp(parts) == pytest.approx(gibbs.log_partition(energy, g, beta), abs=1e-10)
    deepest = [energy(g.points)[labels == k].min() for k in range(labels.max() + 1)]
    assert deepest == sorted(deepest)


# ---- basins


def test_the_boundary_in_one_dimension_is_the_top_of_the_barrier():
    energy = lambda x: landscapes.double_well(x, tilt=0.3)  # noqa: E731
    top = optimize.brentq(lambda u: landscapes.gradient(energy)(numpy.array([u]))[0], -0.5, 0.5)
    g = grid(((-2.1, 2.0),), 513)
    labels = gibbs.basins(energy, g)
    wrong = (labels == 0) != (g.axes[0] < top)
    assert set(labels) == {0, 1}
    assert numpy.all(numpy.abs(g.axes[0][wrong] - top) < g.spacing[0])


def flow_ends(energy, starts: numpy.ndarray, step: float, steps: int) -> numpy.ndarray:
    """Where steepest descent ends, by the midpoint rule at constant speed with exact gradients: a second way."""
    gradient = landscapes.gradient(energy)

    def downhill(x):
        slope = gradient(x)
        return -slope / (numpy.sqrt(numpy.sum(slope**2, axis=0)) + 1e-12)

    x = starts.copy()
    for _ in range(steps):
        x += step * downhill(x + step / 2 * downhill(x))
    return x


def steepest_neighbour_basins(energy, g) -> numpy.ndarray:
    """The usual shortcut, wrong on slopes that run askew: from each point to the steepest of its eight neighbours."""
    values, index = energy(g.points), numpy.arange(numpy.prod(g.shape)).reshape(g.shape)
    target, best = index.copy(), numpy.zeros(g.shape)
    for i, j in [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]:
        drop = values - numpy.roll(values, (i, j), (0, 1))
        drop /= numpy.hypot(i * g.spacing[0], j * g.spacing[1])
        target = numpy.where(drop > best, numpy.roll(index, (i, j), (0, 1)), target)
        best = numpy.maximum(best, drop)
    for _ in range(12):
        target = target.ravel()[target]
    ends = numpy.unique(target)
    order = ends[numpy.argsort(values.ravel()[ends])]
    return numpy.argsort(order)[numpy.searchsorted(numpy.sort(order), target)]


def misplaced(landscape, labels, g) -> int:
    """Of 100 points 3 to 15 spacings from a boundary, how many the flow takes to another basin than their label's."""
    edge = (labels != ndimage.minimum_filter(labels, size=3)) | (labels != ndimage.maximum_filter(labels, size=3))
    distance = ndimage.distance_transform_edt(~edge)
    candidates = numpy.argwhere((distance > 3) & (distance < 15))
    i, j = candidates[numpy.random.default_rng(5).integers(len(candidates), size=100)].T
    ends = flow_ends(landscape.energy, g.points[:, i, j], min(g.spacing) / 4, 3000)
    minima = numpy.transpose(landscape.minima)
    nearest = numpy.argmin(numpy.linalg.norm(minima[:, None] - ends[:, :, None], axis=0), axis=1)
    place = [numpy.argmin(numpy.abs(axis[:, None] - m), axis=0) for axis, m in zip(g.axes, minima, strict=True)]
    return numpy.sum(labels[tuple(place)][nearest] != labels[i, j])


@pytest.mark.parametrize("name", ["muller_brown", "himmelblau", "wide_and_sharp"])
def test_the_boundaries_in_two_dimensions_are_those_of_the_flow(name):
    landscape = landscapes.GALLERY[name]
    g = grid(landscape.box, 257)
    labels = gibbs.basins(landscape.energy, g)
    assert labels.max() + 1 == len(landscape.minima)
    assert misplaced(landscape, labels, g) == 0


def test_the_boundary_of_two_wells_askew():
    # Mirror images across the line through the origin at 0.3 rad from the axis: the boundary is that line.
    c, s = numpy.cos(0.3), numpy.sin(0.3)

    def energy(x):
        across, along = c * x[0] - s * x[1], s * x[0] + c * x[1]
        return 0.3 * (across**2 - 1) ** 2 + 0.5 * along**2

    g = grid(((-3.0, 3.1), (-3.0, 3.1)), 257)
    side = c * g.points[0] - s * g.points[1]
    off_the_line = numpy.abs(side) > 2 * g.spacing[0]

    def misplaced_part(labels):
        same = (labels == labels[200, 128]) == (side > 0)
        return numpy.mean(~same[off_the_line])

    assert misplaced_part(gibbs.basins(energy, g)) == 0
    assert misplaced_part(steepest_neighbour_basins(energy, g)) > 0.01  # the usual shortcut, caught


def test_masses_and_crossing_of_a_mixture():
    g = grid(((-14.0, 7.0),), 2049)
    labels = gibbs.basins(mixture, g)
    assert gibbs.basin_masses(mixture, g, 1.0, labels) == pytest.approx([0.5, 0.5], abs=1e-4)
    assert gibbs.crossing_beta(mixture, g, labels, (0.3, 5.0)) == pytest.approx(1.0, abs=1e-4)
    # Laplace: both wells are Gaussian, ln 25 / 2 = ln 5 apart in depth and 25 in curvature.
    assert gibbs.laplace_crossing_beta(mixture, [-4.0], [4.0]) == pytest.approx(1.0, abs=1e-6)


# ---- Laplace's approximation


def test_laplace_is_exact_for_a_quadratic():
    exact = gibbs.log_partition(tilted, grid(box_for(2.0, 2), 129), 2.0)
    assert gibbs.laplace_log_partition(tilted, [0.0, 0.0], 2.0) == pytest.approx(exact, abs=CLOSE)


@pytest.mark.parametrize("beta", [1e2, 1e3, 1e4])
def test_the_first_correction_to_laplace(beta):
    # For ½ x² + ¼ x⁴ it is −β ⟨¼ x⁴⟩ = −¾ / β under N(0, 1/β), and the next is 3/β².
    energy = lambda x: 0.5 * x[0] ** 2 + 0.25 * x[0] ** 4  # noqa: E731
    correction = gibbs.log_partition(energy, grid(box_for(beta, 1), 129), beta)
    correction -= gibbs.laplace_log_partition(energy, [0.0], beta)
    assert beta * correction == pytest.approx(-0.75, abs=4 / beta)


# ---- what is refused


@pytest.mark.parametrize("beta", [0.0, -1.0, numpy.nan, numpy.inf])
def test_beta_must_be_positive(beta):
    with pytest.raises(ValueError, match=r"^The inverse temperature beta must be positive and finite; got "):
        gibbs.log_partition(parabola, grid(box_for(1.0, 1)), beta)
    with pytest.raises(ValueError, match="inverse temperature"):
        gibbs.laplace_log_partition(parabola, [0.0], beta)


def test_an_energy_that_is_not_finite_is_told_with_its_place():
    g = grid(((-2.0, 2.0), (-1.0, 1.0)), 9)
    energy = lambda x: numpy.where((x[0] == 0.5) & (x[1] == -0.25), numpy.nan, tilted(x))  # noqa: E731
    for refuses in (lambda: gibbs.density(energy, g, 1.0), lambda: gibbs.basins(energy, g)):
        with pytest.raises(ValueError, match=re.escape("The energy is nan at x = (0.5, -0.25); take a smaller box.")):
            refuses()


def test_an_energy_of_the_wrong_shape():
    with pytest.raises(ValueError, match=re.escape("on (9, 9) it gave (2, 9, 9)")):
        gibbs.log_partition(lambda x: x**2, grid(box_for(1.0, 2), 9), 1.0)


@pytest.mark.parametrize("name", ["quadratic", "wide_and_sharp", "valley_and_well", "kink", "ring", "rastrigin"])
@pytest.mark.parametrize("beta", [5.0, 50.0, 1e3, 1e4])
def test_the_resolution_named_would_do(name, beta):
    landscape = landscapes.GALLERY[name]
    try:
        gibbs.log_partition(landscape.energy, grid(landscape.box, 33), beta)
    except ValueError as refusal:
        n = int(re.search(r"too coarse at beta = \S+: n = (\d+) would do", str(refusal))[1])
        if n**landscape.dimension < 2e6:
            assert numpy.isfinite(gibbs.log_partition(landscape.energy, grid(landscape.box, n), beta))
    else:
        pytest.fail("33 points a side cannot do")


@pytest.mark.parametrize("offset", [0.0, 0.1, 0.25, 0.42, 0.5])
@pytest.mark.parametrize("width", [0.05, 0.2, 0.33, 0.5])
def test_a_well_narrower_than_the_spacing_is_never_missed(offset, width):
    # At offset ½ every second point gives the same sum as all of them, though both are far off.
    energy = lambda x: 0.5 * ((x[0] - offset) / width) ** 2  # noqa: E731
    with pytest.raises(ValueError, match="too coarse"):
        gibbs.log_partition(energy, grid(((-8.0, 8.0),), 17), 1.0)


def test_steep_walls_around_a_flat_bottom():
    # The bottom needs no resolution; it is the change from half the points that tells.
    with pytest.raises(ValueError, match="too coarse"):
        gibbs.log_partition(lambda x: x[0] ** 40, grid(((-1.5, 1.5),), 5), 1.0)


@pytest.mark.parametrize("beta", [0.01, 1.0])
def test_a_box_that_cuts_off_the_measure(beta):
    g = grid(((-2.2 / beta**0.5, 30.0 / beta**0.5), (-8.0 / beta**0.5, 8.0 / beta**0.5)), 129)
    energy = lambda x: 0.5 * np.sum(x**2, axis=0)  # noqa: E731
    with pytest.raises(ValueError, match=rf"beyond x_0 = {-2.2 / beta**0.5:g}\."):
        gibbs.mean_energy(energy, g, beta)


def test_an_energy_that_does_not_hold_its_measure():
    with pytest.raises(ValueError, match="box is too small"):
        gibbs.log_partition(lambda x: 0.0 * x[0], grid(box_for(1.0, 2), 33), 1.0)


def test_basins_that_do_not_cross():
    landscape = landscapes.GALLERY["wide_and_sharp"]
    g = grid(landscape.box, 257)
    labels = gibbs.basins(landscape.energy, g)
    with pytest.raises(ValueError, match=r"Basin 1 holds more mass both at beta = 1 and at beta = 3\."):
        gibbs.crossing_beta(landscape.energy, g, labels, (1.0, 3.0))
    with pytest.raises(ValueError, match="labels must have the grid's shape"):
        gibbs.basin_masses(landscape.energy, g, 1.0, labels[1:])


def test_laplace_needs_curvature():
    for energy, x in ((landscapes.ring, [1.0, 0.0]), (quartic, [0.0]), (landscapes.kink, [0.0, 0.0])):
        with pytest.raises(ValueError, match="needs positive curvatures; at"):
            gibbs.laplace_log_partition(energy, x, 1.0)
    shallow_and_sharp = lambda x: landscapes.wide_and_sharp(x, depths=(2.5, 2.0))  # noqa: E731
    with pytest.raises(ValueError, match="never hold equal mass"):
        gibbs.laplace_crossing_beta(shallow_and_sharp, [-1.15, 0.0], [1.19, 0.0])
