"""The exact laws of Langevin chains: against the recurrence, each other, and closed forms."""

import inspect

import autograd.numpy as anp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esgd_minimal.toy import chain_laws, grids, landscapes


def bounded_slope(x):
    """Two wells in one dimension whose slope grows no faster than x: every chain with η < 2 keeps a stationary law."""
    return 0.5 * anp.sum(x**2, axis=0) - 1.5 * anp.log(anp.cosh(2 * x[0] - 0.3))


bounded_gradient = landscapes.gradient(bounded_slope)
WIDE_LINE = grids.grid(((-9.0, 9.0),), 1201)


@settings(max_examples=50, deadline=None)
@given(st.floats(-1, 30), st.floats(-3, 3), st.floats(0.001, 0.15), st.integers(0, 40), st.floats(0.1, 50))
def test_the_quadratic_law_is_the_recurrence(curvature, start, step, k, beta):
    mean, variance = chain_laws.quadratic_law(np.array([curvature]), np.array([[start]]), step, k, beta)
    m, v = start, 0.0
    for _ in range(k):
        m, v = (1 - step * curvature) * m, (1 - step * curvature) ** 2 * v + 2 * step / beta
    assert mean[0, 0] == pytest.approx(m, rel=1e-9, abs=1e-12)
    assert variance[0] == pytest.approx(v, rel=1e-7)


def test_the_quadratic_law_without_curvature_is_diffusion():
    mean, variance = chain_laws.quadratic_law(np.array([0.0, 40.0]), np.ones((2, 1)), 0.05, 9, 2.0)
    assert np.array_equal(mean, [[1.0], [-1.0]])  # and where ηλ = 2 the mean jumps to and fro
    assert variance == pytest.approx([2 * 0.05 / 2.0 * 9] * 2)


def test_the_stationary_variance_is_the_limit():
    curvatures = np.array([1.0, 10.0, 19.0])
    limit = chain_laws.stationary_variance(curvatures, 0.1, 3.0)
    _, late = chain_laws.quadratic_law(curvatures, np.ones((3, 1)), 0.1, 5000, 3.0)
    assert late == pytest.approx(limit, rel=1e-12)
    assert chain_laws.stationary_variance(curvatures, 1e-9, 3.0) == pytest.approx(1 / (3 * curvatures), rel=1e-7)


@pytest.mark.parametrize("curvatures", [(1.0, 20.0), (1.0, -0.1), (0.0,)])
def test_without_a_stationary_law_there_is_no_variance(curvatures):
    with pytest.raises(ValueError, match="A stationary law needs 0 < ηλ < 2 in every direction"):
        chain_laws.stationary_variance(np.array(curvatures), 0.1)


def test_the_effective_beta_adds_the_variances_of_a_step():
    beta, step, scale = 2.0, 0.1, 3.0
    variance = 2 * step / beta + (step * scale) ** 2
    assert 2 * step / chain_laws.effective_beta(beta, step, scale) == pytest.approx(variance, rel=1e-14)
    assert chain_laws.effective_beta(beta, step, 0.0) == beta


def test_the_stationary_density_on_a_quadratic_is_the_normal_law():
    step, beta, curvature = 0.3, 2.0, 3.0
    density = chain_laws.stationary_density(lambda x: curvature * x, WIDE_LINE, step, beta)
    variance = chain_laws.stationary_variance(np.array([curvature]), step, beta)
    normal = np.exp(-(WIDE_LINE.axes[0] ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    assert np.max(np.abs(density - normal)) < 1e-8


def test_the_transition_matrix_is_a_step():
    step, beta = 0.1, 2.0
    moves = chain_laws.transition_matrix(bounded_gradient, WIDE_LINE, step, beta)
    x = WIDE_LINE.axes[0]
    inside = np.abs(x) < 6
    assert np.max(np.abs(moves.sum(axis=1)[inside] - 1)) < 1e-11
    centre = x - step * bounded_gradient(x[None])[0]
    assert np.max(np.abs(moves @ x - centre)[inside]) < 1e-11
    assert np.max(np.abs(moves @ x**2 - centre**2 - 2 * step / beta)[inside]) < 1e-11


def total_variation(p, q):
    return 0.5 * np.sum(np.abs(p - q) * WIDE_LINE.weights)


def gibbs_density(energy, beta):
    f = energy(WIDE_LINE.points)
    density = np.exp(-beta * (f - np.min(f)))
    return density / np.sum(density * WIDE_LINE.weights)


def orders(modified_energy, beta) -> tuple[float, float]:
    """By which power of η the chain's law leaves the Gibbs measure, of the energy and of the modified energy."""
    plain, modified = [], []
    for step in (0.02, 0.01):
        law = chain_laws.stationary_density(bounded_gradient, WIDE_LINE, step, beta)
        plain.append(total_variation(law, gibbs_density(bounded_slope, beta)))
        modified.append(total_variation(law, gibbs_density(modified_energy(bounded_slope, step, beta), beta)))
    return float(np.log2(plain[0] / plain[1])), float(np.log2(modified[0] / modified[1]))


@pytest.mark.parametrize("beta", [0.7, 2.0])
def test_the_bias_is_of_first_order_and_the_modified_energy_accounts_for_it(beta):
    first, second = orders(chain_laws.modified_energy, beta)
    assert first == pytest.approx(1, abs=0.1)
    assert second == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.25 * np.sum", "0.5 * np.sum"),
        ("laplacian / (2 * beta)", "laplacian / beta"),
        ("- laplacian / (2 * beta)", "+ laplacian / (2 * beta)"),
        ("energy(x) - step", "energy(x) + step"),
    ],
)
def test_a_wrong_modified_energy_does_not(old, new):
    source = inspect.getsource(chain_laws.modified_energy)
    assert source.count(old) == 1
    names = dict(vars(chain_laws))
    exec(source.replace(old, new), names)
    assert orders(names["modified_energy"], 2.0)[1] < 1.5


def test_the_modified_energy_of_a_quadratic_has_the_chains_variance_to_first_order():
    step, beta, curvature = 1e-5, 2.0, 3.0
    modified = chain_laws.modified_energy(lambda x: 0.5 * curvature * anp.sum(x**2, axis=0), step, beta)
    f = modified(np.array([[0.0, 1.0]]))
    variance = chain_laws.stationary_variance(np.array([curvature]), step, beta)[0]
    assert 1 / (2 * beta * (f[1] - f[0])) == pytest.approx(variance, rel=1e-9)


def test_what_the_matrix_refuses():
    with pytest.raises(ValueError, match="for one dimension; the grid has 2"):
        chain_laws.transition_matrix(bounded_gradient, grids.grid(((-1, 1), (-1, 1)), 5), 0.1)
    with pytest.raises(ValueError, match=r"spacing 0.26 exceeds a step's noise 0.045; use n = (\d+)") as told:
        chain_laws.transition_matrix(bounded_gradient, grids.grid(((-2.6, 2.6),), 21), 0.001)
    n = int(str(told.value).split("n = ")[1].rstrip("."))
    assert n % 2 == 1
    chain_laws.transition_matrix(bounded_gradient, grids.grid(((-2.6, 2.6),), n), 0.001)
