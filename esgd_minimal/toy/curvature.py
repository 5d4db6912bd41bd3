"""What slope and curvature tell of the surroundings: stationary points, and the size of a well near its bottom."""

import numpy as np

from esgd_minimal.toy.grids import Box, grid
from esgd_minimal.toy.landscapes import Energy, gradient, hessian


def curvatures(energy: Energy, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The eigenvalues of ∇²f at the points x, smallest first, and their unit eigenvectors.

    (d, …) → (d, …) and (d, d, …), where directions[:, i] belongs to eigenvalue i.
    """
    matrices = np.moveaxis(hessian(energy)(x), (0, 1), (-2, -1))
    eigenvalues, directions = np.linalg.eigh(matrices)
    return np.moveaxis(eigenvalues, -1, 0), np.moveaxis(directions, (-2, -1), (0, 1))


def newton(energy: Energy, x: np.ndarray, steps: int = 1) -> np.ndarray:
    """x ← x − [∇²f(x)]⁻¹ ∇f(x), `steps` times, from all points at once: (d, n) → (d, n).

    It looks for a zero of the gradient, whichever kind: minimum, saddle or maximum. Where it leaves the numbers'
    range or meets a singular Hessian, the point becomes NaN.
    """
    x = np.array(x, dtype=float)
    for _ in range(steps):
        with np.errstate(all="ignore"):
            slope, matrices = gradient(energy)(x).T[..., None], np.moveaxis(hessian(energy)(x), -1, 0)
            lost = ~(np.isfinite(slope).all((1, 2)) & (np.abs(np.linalg.det(matrices)) > 1e-200))
            matrices[lost] = np.eye(len(x))
            x = x - np.linalg.solve(matrices, slope)[..., 0].T
        x[:, lost] = np.nan
    return x


def stationary_points(energy: Energy, box: Box, n: int = 41) -> np.ndarray:
    """The zeros of the gradient in the box, lowest first, shape (d, k): Newton's method from n starts along each side.

    A zero that no start leads to is missed, so compare two n. For isolated zeros: a valley floor would give many.
    """
    low, high = np.array(box)[:, :, None].swapaxes(0, 1)
    ends = newton(energy, grid(box, n).points.reshape(len(box), -1), steps=60)
    with np.errstate(all="ignore"):
        arrived = np.all((low <= ends) & (ends <= high), axis=0) & np.all(np.abs(gradient(energy)(ends)) < 1e-9, axis=0)
    ends = ends[:, arrived]
    _, first = np.unique(np.round(ends, 6) + 0.0, axis=1, return_index=True)
    points = ends[:, first]
    return points[:, np.argsort(energy(points), kind="stable")]


def directions(n: int) -> np.ndarray:
    """n unit vectors, evenly around the circle: (2, n)."""
    angle = 2 * np.pi * np.arange(n) / n
    return np.array([np.cos(angle), np.sin(angle)])


def ellipse_radius(energy: Energy, minimum: np.ndarray, rise: float, u: np.ndarray) -> np.ndarray:
    """√(2δ / uᵀ∇²f u): how far the curvature says one can go from the minimum before f has risen by δ, along u.

    Directions u (2, n) → distances (n,). The points x* + r u lie on an ellipse.
    """
    return np.sqrt(2 * rise / np.einsum("in,ij,jn->n", u, hessian(energy)(np.asarray(minimum, dtype=float)), u))


def level_radius(energy: Energy, minimum: np.ndarray, rise: float, u: np.ndarray) -> np.ndarray:
    """How far one can really go from the minimum before f has risen by δ, along u: (2, n) → (n,).

    By bisection, after a look along each ray out to three times the ellipse's radius.

    Raises:
        ValueError: f does not grow to that height along every ray: the well is not that deep.
    """
    centre = np.asarray(minimum, dtype=float)[:, None]
    level = energy(centre) + rise
    reach = np.multiply.outer(np.linspace(0, 3, 97), ellipse_radius(energy, minimum, rise, u))
    heights = energy(centre[:, None] + reach * u[:, None])
    over = np.argmax(heights >= level, axis=0)  # 0 where it never is
    falls = np.cumsum(np.diff(heights, axis=0) <= 0, axis=0)
    if np.any(over == 0) or np.any(np.take_along_axis(falls, over[None] - 1, axis=0)):
        raise ValueError(f"f does not rise by {rise:g} along every ray from {centre[:, 0]}; take a smaller rise.")
    inner, outer = (np.take_along_axis(reach, over[None] - k, axis=0)[0] for k in (1, 0))
    for _ in range(55):
        middle = (inner + outer) / 2
        high = energy(centre + middle * u) >= level
        inner, outer = np.where(high, inner, middle), np.where(high, middle, outer)
    return outer


def area(radius: np.ndarray) -> float:
    """½ ∮ r² dθ, for radii evenly around the circle: the area they enclose."""
    return float(np.pi * np.mean(radius**2))
