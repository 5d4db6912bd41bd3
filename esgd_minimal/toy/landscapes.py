"""The gallery: energies in one and two dimensions, each there for what it teaches.

An energy maps an array of points (d, …) to their energies (…). `gradient` and `hessian` turn any
energy into the function of its derivatives, by autograd, for all points at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TypeVar

import autograd.numpy as np
import numpy
from autograd import elementwise_grad

from esgd_minimal.toy import row_derivatives
from esgd_minimal.toy.grids import Box

Array = numpy.ndarray
Energy = Callable[[Array], Array]
AnyEnergy = TypeVar("AnyEnergy", bound=Callable[..., Array])

row_derivatives.install()  # gradients of x[0], x[1:] … in half the time


def gradient(energy: Energy) -> Callable[[Array], Array]:
    """∇f, as a function of points: (d, …) → (d, …)."""
    # Each energy depends on its own column alone, so the derivative of the sum is every point's gradient.
    slope = elementwise_grad(energy)
    # Autograd returns derivatives in the type of x: integers would be cut off without a word.
    return lambda x: slope(numpy.asarray(x, dtype=float))


def hessian(energy: Energy) -> Callable[[Array], Array]:
    """∇²f, as a function of points: (d, …) → (d, d, …)."""
    slope = elementwise_grad(energy)

    def second_derivatives(x: Array) -> Array:
        x = numpy.asarray(x, dtype=float)
        rows = [elementwise_grad(lambda x, i=i: slope(x)[i])(x) for i in range(len(x))]
        return numpy.stack(rows)

    return second_derivatives


def dimensions(*allowed: int) -> Callable[[AnyEnergy], AnyEnergy]:
    """Make an energy refuse points of any other dimension: most often an (n, 2) array that should be (2, n)."""

    def guard(energy: AnyEnergy) -> AnyEnergy:
        @wraps(energy)
        def guarded(x, *parameters, **named):
            if numpy.ndim(x) == 0 or len(x) not in allowed:
                raise ValueError(
                    f"{energy.__name__} takes points of dimension {' or '.join(map(str, allowed))}, one a column, "
                    f"in an array of shape (d, …); got shape {np.shape(x)}."
                )
            return energy(x, *parameters, **named)

        return guarded  # type: ignore[return-value]

    return guard


def quadratic(x: Array, curvatures: tuple[float, ...] = (1.0, 10.0)) -> Array:
    """½ Σ λᵢ xᵢ²: everything about it is known in closed form."""
    return 0.5 * np.sum(_along(x, curvatures) * x**2, axis=0)


def quadratic_gradient(x: Array, curvatures: tuple[float, ...] = (1.0, 10.0)) -> Array:
    """The gradient of `quadratic`, written out: λᵢ xᵢ."""
    return _along(x, curvatures) * x


def _along(x: Array, curvatures: tuple[float, ...]) -> Array:
    """One curvature for each dimension of x, shaped to multiply it."""
    if len(x) > len(curvatures):
        raise ValueError(
            f"{len(curvatures)} curvatures do for points of at most that dimension, one a column, "
            f"in an array of shape (d, …); got shape {np.shape(x)}."
        )
    return numpy.reshape(curvatures[: len(x)], (-1, *[1] * (numpy.ndim(x) - 1)))


@dimensions(1, 2)
def double_well(x: Array, barrier: float = 1.0, tilt: float = 0.0) -> Array:
    """b (x₀² − 1)² + t x₀, and ½ x₁² in the second dimension: two wells, and a barrier of height b between."""
    return barrier * (x[0] ** 2 - 1) ** 2 + tilt * x[0] + 0.5 * np.sum(x[1:] ** 2, axis=0)


def double_well_gradient(x: Array, barrier: float = 1.0, tilt: float = 0.0) -> Array:
    """The gradient of `double_well`, written out."""
    g = numpy.array(x, dtype=float)
    g[0] *= g[0] ** 2 - 1
    g[0] *= 4 * barrier
    g[0] += tilt
    return g


@dimensions(1, 2)
def wide_and_sharp(
    x: Array,
    depths: tuple[float, float] = (2.0, 2.5),
    widths: tuple[float, float] = (0.7, 0.2),
    bowl: float = 0.05,
) -> Array:
    """Two Gaussian wells, a wide one at x₀ = −1.2 and a sharp one at x₀ = +1.2, in a shallow bowl κ |x|⁴.

    Depth and width of each well are separate knobs; `bowl` (κ) keeps the Gibbs measure finite.
    """
    energy = bowl * np.sum(x**2, axis=0) ** 2
    for centre, depth, width in zip((-1.2, 1.2), depths, widths, strict=True):
        distance = (x[0] - centre) ** 2 + np.sum(x[1:] ** 2, axis=0)
        energy = energy - depth * np.exp(-distance / (2 * width**2))
    return energy


def wide_and_sharp_gradient(
    x: Array,
    depths: tuple[float, float] = (2.0, 2.5),
    widths: tuple[float, float] = (0.7, 0.2),
    bowl: float = 0.05,
) -> Array:
    """The gradient of `wide_and_sharp`, written out."""
    g = 4 * bowl * numpy.sum(x**2, axis=0) * x
    for centre, depth, width in zip((-1.2, 1.2), depths, widths, strict=True):
        away = numpy.array(x, dtype=float)
        away[0] -= centre
        g += depth / width**2 * numpy.exp(-numpy.sum(away**2, axis=0) / (2 * width**2)) * away
    return g


@dimensions(1)
def valley_and_well(x: Array) -> Array:
    """One dimension, after Figure 2 of the paper: a wide valley (x = 3), a deeper sharp well (6.5), a plateau (8–10).

    Chaudhari et al. (2017) draw such a cartoon to show what local entropy prefers; the numbers here are ours.
    """
    u = x[0]
    valley = 5.0 * np.exp(-((u - 3.0) ** 2) / 2)
    well = 6.3 * np.exp(-((u - 6.5) ** 2) / (2 * 0.15**2))
    walls = np.exp(-8.0 * u) + np.exp(8.0 * (u - 11.0))
    return 6.0 - valley - well + walls


# Height, three coefficients of the quadratic form in the exponent, and the centre, for each of the four terms.
MULLER_BROWN = (
    (-200.0, -1.0, 0.0, -10.0, 1.0, 0.0),
    (-100.0, -1.0, 0.0, -10.0, 0.0, 0.5),
    (-170.0, -6.5, 11.0, -6.5, -0.5, 1.5),
    (15.0, 0.7, 0.6, 0.7, -1.0, 1.0),
)


@dimensions(2)
def muller_brown(x: Array, scale: float = 0.05) -> Array:
    """Müller and Brown's (1979) reaction surface, times `scale`: three minima, and a bent path between them."""
    energy = np.zeros(np.shape(x)[1:])
    for height, a, b, c, u, v in MULLER_BROWN:
        du, dv = x[0] - u, x[1] - v
        energy = energy + height * np.exp(a * du**2 + b * du * dv + c * dv**2)
    return scale * energy


def muller_brown_gradient(x: Array, scale: float = 0.05) -> Array:
    """The gradient of `muller_brown`, written out."""
    g = numpy.zeros(numpy.shape(x))
    for height, a, b, c, u, v in MULLER_BROWN:
        du, dv = x[0] - u, x[1] - v
        term = scale * height * numpy.exp(a * du**2 + b * du * dv + c * dv**2)
        g[0] += term * (2 * a * du + b * dv)
        g[1] += term * (b * du + 2 * c * dv)
    return g


@dimensions(2)
def himmelblau(x: Array, scale: float = 0.05) -> Array:
    """(x₀² + x₁ − 11)² + (x₀ + x₁² − 7)², times `scale`: four minima of equal depth and unequal width."""
    return scale * ((x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2)


@dimensions(2)
def rosenbrock(x: Array, steepness: float = 20.0) -> Array:
    """(1 − x₀)² + s (x₁ − x₀²)²: a curved valley, nearly flat along its floor."""
    return (1 - x[0]) ** 2 + steepness * (x[1] - x[0] ** 2) ** 2


@dimensions(1, 2)
def rastrigin(x: Array, ripple: float = 1.0) -> Array:
    """Σ ½ xᵢ² + a (1 − cos 2π xᵢ): one broad bowl under a lattice of sharp wells."""
    return np.sum(0.5 * x**2 + ripple * (1 - np.cos(2 * np.pi * x)), axis=0)


@dimensions(1, 2)
def kink(x: Array, left: float = 10.0, right: float = 1.0) -> Array:
    """max(−l x₀, r x₀), and ½ x₁² in the second dimension: convex, with a steep side and a shallow one."""
    return np.maximum(-left * x[0], right * x[0]) + 0.5 * np.sum(x[1:] ** 2, axis=0)


@dimensions(2)
def saddle(x: Array) -> Array:
    """½ (x₁² − x₀²) + ⅛ x₀⁴: a saddle at the origin, where plain descent along x₁ gets stuck."""
    return 0.5 * (x[1] ** 2 - x[0] ** 2) + 0.125 * x[0] ** 4


@dimensions(1, 2)
def ring(x: Array, stiffness: float = 2.0) -> Array:
    """k (|x|² − 1)²: every point of the unit circle is a minimum."""
    return stiffness * (np.sum(x**2, axis=0) - 1) ** 2


@dimensions(1, 2)
def plateau(x: Array, depth: float = 3.0, width: float = 0.4) -> Array:
    """A narrow well in a wide plateau of high energy, with walls past |x| ≈ 3.5: almost no gradient to follow."""
    r2 = np.sum(x**2, axis=0)
    return depth * (1 - np.exp(-r2 / (2 * width**2))) + np.exp(3.0 * (r2 / 9.0 - 1.5))


@dataclass(frozen=True)
class Landscape:
    """An energy of the gallery, the box that shows it, and what it is there to teach."""

    energy: Energy
    box: Box
    lesson: str
    minima: tuple[tuple[float, ...], ...] = ()  # to three digits, where they are few

    @property
    def dimension(self) -> int:
        return len(self.box)


def _square(half_width: float) -> Box:
    return ((-half_width, half_width), (-half_width, half_width))


GALLERY: dict[str, Landscape] = {
    "quadratic": Landscape(quadratic, _square(3.0), "curvature, with everything in closed form", ((0.0, 0.0),)),
    "double_well": Landscape(double_well, _square(2.2), "a barrier between equals", ((-1.0, 0.0), (1.0, 0.0))),
    "wide_and_sharp": Landscape(wide_and_sharp, _square(3.5), "depth against width", ((-1.129, 0.0), (1.194, 0.0))),
    "valley_and_well": Landscape(
        valley_and_well, ((-0.4, 11.4),), "the paper's cartoon: valley, well and plateau", ((3.0,), (6.5,))
    ),
    "muller_brown": Landscape(
        muller_brown,
        ((-1.7, 1.2), (-0.5, 2.1)),
        "a path that bends",
        ((-0.558, 1.442), (-0.050, 0.467), (0.623, 0.028)),
    ),
    "himmelblau": Landscape(
        himmelblau,
        _square(5.5),
        "equal depth, unequal width",
        ((3.0, 2.0), (-2.805, 3.131), (-3.779, -3.283), (3.584, -1.848)),
    ),
    "rosenbrock": Landscape(
        rosenbrock, ((-2.0, 2.2), (-1.2, 3.6)), "a valley floor that curves and hardly slopes", ((1.0, 1.0),)
    ),
    "rastrigin": Landscape(rastrigin, _square(4.0), "many wells in one bowl"),
    "kink": Landscape(
        kink, ((-1.5, 6.0), (-3.5, 3.5)), "convex, steep on one side and shallow on the other", ((0.0, 0.0),)
    ),
    "saddle": Landscape(
        saddle, ((-3.0, 3.0), (-2.2, 2.2)), "a way out that starts flat", ((-1.414, 0.0), (1.414, 0.0))
    ),
    "ring": Landscape(ring, _square(1.8), "a continuum of minima"),
    "plateau": Landscape(plateau, _square(4.2), "high, flat and uninformative", ((0.0, 0.0),)),
}
