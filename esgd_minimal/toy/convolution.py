"""Gaussian convolution over a whole grid, one axis at a time.

The kernel exp(−|x − x'|² / 2w²) is a product over the axes, so a convolution in two dimensions is two products of
matrices. Everything in them is positive: nothing cancels, and what is small keeps its relative accuracy. Sums of
exponentials are kept as logarithms throughout.
"""

from math import ceil

import numpy as np

from esgd_minimal.toy.grids import Grid

# Factors below this are dropped from a product, so that no term is denormal (denormal numbers are slow);
# a sum that comes out below 1e20 times this may have lost something that counts, and is done again in logarithms.
DROPPED = 1e-150
LARGEST_BLOCK = 2**18  # numbers held at once where a sum is done term by term: what a cache holds


def require_resolved(grid: Grid, width: float) -> None:
    """Check that the grid resolves a Gaussian of standard deviation `width`.

    At a spacing equal to the width, the trapezoid rule's relative error for its integral is 2 exp(−2π²) ≈ 5e-9.

    Raises:
        ValueError: a spacing is larger than the width; says which n would do.
    """
    if max(grid.spacing) > width * (1 + 1e-9):
        side = max(high - low for low, high in grid.box)
        needed = ceil(side / width) + 1
        needed += 1 - needed % 2
        raise ValueError(
            f"The grid is too coarse: its spacing {max(grid.spacing):.3g} exceeds the kernel's width {width:.3g}; "
            f"n = {needed} points a side would do."
        )


def log_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """log(exp(a) @ exp(b)) for matrices a (m, k) and b (k, n): as fast as the product, and free of overflow."""
    row, column = a.max(axis=1, keepdims=True), b.max(axis=0, keepdims=True)
    product = _exp(a - row) @ _exp(b - column)
    lost = np.argwhere(product < DROPPED * 1e20)
    product[tuple(lost.T)] = 1.0
    result = np.log(product) + row + column
    columns = np.ascontiguousarray(b.T)
    for block in np.array_split(lost, ceil(len(lost) * a.shape[1] / LARGEST_BLOCK) or 1):
        i, j = block.T
        terms = a[i] + columns[j]
        top = terms.max(axis=1, keepdims=True)
        terms -= top
        # In place: scipy.special.logsumexp takes four times as long.
        result[i, j] = np.log(np.exp(terms, out=terms).sum(axis=1)) + top[:, 0]
    return result


def _exp(logs: np.ndarray) -> np.ndarray:
    return np.where(logs > np.log(DROPPED), np.exp(logs), 0.0)


def log_convolve(logs: np.ndarray, grid: Grid, width: float) -> np.ndarray:
    """log ∫ exp(logs(x') − |x − x'|² / 2w²) dx' at every grid point x.

    Raises:
        ValueError: the grid does not resolve the width.
    """
    require_resolved(grid, width)
    for k, (axis, weights) in enumerate(zip(grid.axes, grid.axis_weights, strict=True)):
        log_kernel = -0.5 * ((axis[:, None] - axis) / width) ** 2 + np.log(weights)
        columns = np.moveaxis(logs, k, 0)
        product = log_product(log_kernel, columns.reshape(len(axis), -1))
        logs = np.moveaxis(product.reshape(columns.shape), 0, k)
    return logs


def smooth(values: np.ndarray, grid: Grid, width: float) -> np.ndarray:
    """The mean of `values` under a Gaussian of standard deviation `width` around every grid point.

    Near the box's walls the Gaussian is cut and normalised again, so that a constant stays what it is.

    Raises:
        ValueError: the grid does not resolve the width.
    """
    require_resolved(grid, width)
    for k, (axis, weights) in enumerate(zip(grid.axes, grid.axis_weights, strict=True)):
        kernel = weights * np.exp(-0.5 * ((axis[:, None] - axis) / width) ** 2)
        kernel /= kernel.sum(axis=1, keepdims=True)
        values = np.moveaxis(np.tensordot(kernel, values, axes=(1, k)), 0, k)
    return values
