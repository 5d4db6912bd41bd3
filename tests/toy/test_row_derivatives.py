"""The faster derivative of indexing: the same numbers as autograd's own, for every kind of index."""

import autograd.numpy as np
import numpy
import pytest
from autograd import elementwise_grad, grad

from esgd_minimal.toy import landscapes, row_derivatives

X = numpy.random.default_rng(0).standard_normal((3, 4))
INDICES = {
    "row": 0,
    "last row": -1,
    "slice": slice(1, None),
    "backwards": slice(None, None, -1),
    "element": (1, 2),
    "column": (slice(None), 1),
    "new axis": (None, 0),
    "ellipsis": (..., 2),
    "twice": ([0, 0, 2],),
    "array, twice": numpy.array([1, 1]),
    "mask": X > 0,
    "bool": True,
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_the_derivative_of_indexing(index):
    def f(x):
        return np.sum(x[index] ** 3)

    exact = numpy.zeros_like(X)
    numpy.add.at(exact, index, 3 * X[index] ** 2)
    assert numpy.array_equal(grad(f)(X), exact)
    second = numpy.zeros_like(X)
    numpy.add.at(second, index, 6 * X[index])
    assert numpy.allclose(elementwise_grad(grad(f))(X), second, rtol=0, atol=1e-14)


def test_an_index_that_names_an_element_twice_is_left_to_autograd():
    assert row_derivatives.names_each_once((None, 0, slice(2), ...))
    assert not row_derivatives.names_each_once([0, 0])
    assert not row_derivatives.names_each_once(numpy.array([0]))


def test_one_array_that_is_indexed_more_than_once_gets_the_sum():
    def f(x):
        return np.sum(x[0] * x[1] + x[0] ** 2 * np.sum(x[1:], axis=0))

    slope = grad(f)(X)
    assert numpy.allclose(slope[0], X[1] + 2 * X[0] * (X[1] + X[2]), rtol=1e-14)
    assert numpy.allclose(slope[1], X[0] + X[0] ** 2, rtol=1e-14)
    assert numpy.allclose(slope[2], X[0] ** 2, rtol=1e-14)


def test_it_is_in_use(monkeypatch):
    calls = []
    kept = row_derivatives.names_each_once
    monkeypatch.setattr(row_derivatives, "names_each_once", lambda index: calls.append(index) or kept(index))
    landscapes.gradient(landscapes.double_well)(X[:2])
    assert 0 in calls
