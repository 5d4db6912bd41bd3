"""The rates against the eigenvalues of the methods themselves, and against the polynomial that is the best."""

import numpy as np
import pytest
from numpy.polynomial import Chebyshev
from numpy.testing import assert_allclose

from esgd_minimal.toy import optimal_rates
from esgd_minimal.toy.optimizers import gradient_descent, heavy_ball, nesterov

CONDITIONS = [2.0, 30.0, 1000.0]


def worst_eigenvalue(method, condition, **parameters):
    """The largest modulus of an eigenvalue of (x₋, x) ↦ (x, x₊), over curvatures in [1, κ]: its steps tell."""
    curvatures = np.geomspace(1, condition, 301)[:, None]
    path = method(lambda x: curvatures * x, np.ones((301, 1)), steps=4, **parameters).x[..., 0]
    # x₊ = p x + q x₋ along each direction, from two consecutive triples
    a, b, c, d = path[1:]
    p, q = np.linalg.solve(np.stack([[b, a], [c, b]]).transpose(2, 0, 1), np.stack([c, d], axis=1)[..., None])[..., 0].T
    roots = np.sqrt((p**2 / 4 + q).astype(complex))
    return np.max(np.maximum(np.abs(p / 2 + roots), np.abs(p / 2 - roots)))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_gradient_descent(condition):
    curvatures = np.array([[1.0], [condition]])
    path = gradient_descent(lambda x: curvatures * x, np.ones((2, 1)), 2 / (1 + condition), 9).x
    assert_allclose(np.abs(path[-1]), optimal_rates.gradient_descent(condition) ** 9, rtol=1e-9)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_nesterov(condition):
    root = np.sqrt(3 * condition + 1)
    rate = worst_eigenvalue(nesterov, condition, lr=4 / (3 * condition + 1), momentum=(root - 2) / (root + 2))
    assert_allclose(rate, optimal_rates.nesterov(condition), rtol=1e-5)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_heavy_ball(condition):
    best = optimal_rates.heavy_ball(condition)
    rate = worst_eigenvalue(heavy_ball, condition, lr=4 / (1 + np.sqrt(condition)) ** 2, momentum=best**2)
    assert_allclose(rate, best, rtol=1e-4)
    other = worst_eigenvalue(heavy_ball, condition, lr=4 / (1 + np.sqrt(condition)) ** 2, momentum=best**2 * 0.9)
    assert other > best * 1.001


@pytest.mark.parametrize("condition", CONDITIONS)
def test_chebyshev(condition):
    assert_allclose(optimal_rates.chebyshev(condition, 1), optimal_rates.gradient_descent(condition), rtol=1e-12)
    assert_allclose(optimal_rates.chebyshev(condition, 10**6), optimal_rates.heavy_ball(condition), rtol=1e-5)
    p = Chebyshev.basis(6, domain=[1, condition])
    p = p / p(0.0)
    assert_allclose(np.max(np.abs(p(np.linspace(1, condition, 10_001)))), optimal_rates.chebyshev(condition, 6) ** 6)


def test_the_order_of_the_methods():
    kappa = np.geomspace(2, 1e6, 40)
    assert np.all(optimal_rates.heavy_ball(kappa) < optimal_rates.nesterov(kappa))
    assert np.all(optimal_rates.nesterov(kappa) < optimal_rates.gradient_descent(kappa))
