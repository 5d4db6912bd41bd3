"""Hessian-vector products and Lanczos, against dense Hessians, SciPy and closed forms."""

import math
import warnings

import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from torch import nn
from torch.nn import functional as F

from esgd_minimal.deep import hessian, models


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def net():
    """A tiny network in double precision, its loss on two batches of unequal size, and the dense Hessian."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    x, y = torch.randn(20, 4, dtype=torch.double), torch.randint(3, (20,))
    batches = [(x[:13], y[:13]), (x[13:], y[13:])]

    def loss(batch):
        return F.cross_entropy(network(batch[0]), batch[1], reduction="sum") / 20

    shapes = [p.shape for p in network.parameters()]
    names = [name for name, _ in network.named_parameters()]

    def mean_loss(vector):
        parts = vector.split([math.prod(shape) for shape in shapes])
        weights = {name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
        return F.cross_entropy(torch.func.functional_call(network, weights, (x,)), y)

    at = nn.utils.parameters_to_vector(network.parameters()).detach()
    product = hessian.hessian_product(loss, batches, network.parameters())
    with warnings.catch_warnings(action="ignore"):  # torch deprecates what its own forward mode uses
        exact = torch.func.hessian(mean_loss)(at)
    return product, exact, at


def test_products_are_those_of_the_dense_hessian(net):
    product, exact, at = net
    torch.testing.assert_close(hessian.dense(product, at), exact, rtol=0, atol=1e-14)
    v = torch.randn(len(at), dtype=torch.double)
    torch.testing.assert_close(product(v), exact @ v, rtol=0, atol=1e-13)


def test_a_quadratic_with_weights_held_fixed_or_unused():
    a = torch.randn(6, 6, dtype=torch.double)
    x, held, unused = (torch.randn(n, dtype=torch.double, requires_grad=n != 2) for n in (6, 2, 3))
    product = hessian.hessian_product(
        lambda scale: scale * x @ a @ x + held.sum() * x[0], [1.0, 2.0], [x, held, unused]
    )
    exact = torch.zeros(9, 9, dtype=torch.double)
    exact[:6, :6] = 3 * (a + a.T)
    torch.testing.assert_close(hessian.dense(product, torch.empty(9, dtype=torch.double)), exact)


def test_a_loss_that_is_linear_in_the_weights_has_no_curvature():
    x, y = (torch.randn(n, dtype=torch.double, requires_grad=True) for n in (3, 2))
    v = torch.ones(5, dtype=torch.double)
    linear = hessian.hessian_product(lambda batch: (batch * x).sum() + 2 * y.sum(), [torch.ones(3).double()], [x, y])
    assert torch.equal(linear(v), torch.zeros(5, dtype=torch.double))
    partly = hessian.hessian_product(lambda batch: batch * x.sum() + y.square().sum(), [1.0, 2.0], [x, y])
    assert partly(v).tolist() == [0, 0, 0, 4, 4]


def by_differences(loss, weights, v, step=1e-5):
    """H v from the gradients at two points, a step along v to either side."""
    with torch.no_grad():
        start = nn.utils.parameters_to_vector(weights)
    gradients = []
    for sign in (1, -1):
        nn.utils.vector_to_parameters(start + sign * step * v, weights)
        gradients.append(nn.utils.parameters_to_vector(torch.autograd.grad(loss(), weights)))
    nn.utils.vector_to_parameters(start, weights)
    return (gradients[0] - gradients[1]) / (2 * step)


@pytest.mark.parametrize("kind", ["lstm", "batch-norm", "convolution"])
def test_through_every_kind_of_layer(kind):
    torch.manual_seed(1)
    if kind == "lstm":
        network = models.small_char_lstm(vocabulary=7, hidden=4).double()
        x = y = torch.randint(7, (3, 6))
    elif kind == "convolution":
        layers = [nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3, 7)]
        network = nn.Sequential(*layers).double()
        x, y = torch.randn(18, 1, 6, 6, dtype=torch.double), torch.randint(7, (18,))
    else:
        network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 7)).double()
        x, y = torch.randn(18, 3, dtype=torch.double), torch.randint(7, (18,))

    def loss(_=None):
        return F.cross_entropy(network(x), y)

    weights = [p for p in network.parameters() if p.requires_grad]
    v = torch.randn(models.weights(network), dtype=torch.double)
    product = hessian.hessian_product(loss, [None], network.parameters())
    torch.testing.assert_close(product(v), by_differences(loss, weights, v), rtol=1e-6, atol=1e-7)


def laplacian(n):
    """The second difference on n points, whose eigenvalues are 2 − 2 cos(kπ / (n + 1))."""
    return torch.diag(torch.full((n,), 2.0, dtype=torch.double)) - sum(
        torch.diag(torch.ones(n - 1, dtype=torch.double), k) for k in (-1, 1)
    )


def random_vector(n, seed=0):
    return torch.randn(n, dtype=torch.double, generator=generator(seed))


def test_lanczos_to_the_end_gives_the_closed_form():
    n = 30
    h = laplacian(n)
    krylov = hessian.lanczos(h.mv, random_vector(n), n)
    exact = 2 - 2 * torch.cos(torch.arange(1, n + 1, dtype=torch.double) * math.pi / (n + 1))
    torch.testing.assert_close(hessian.ritz(krylov).values, exact, rtol=0, atol=1e-12)


@pytest.fixture(scope="module")
def gapped():
    """Eigenvalues as networks have them: most near zero, a few large, a few slightly negative."""
    n = 400
    values = torch.cat(
        [torch.logspace(-8, -3, n - 8), torch.tensor([-0.5, -0.1, 1.0, 2.0, 5.0, 9.0, 20.0, 40.0])]
    ).double()
    directions, _ = torch.linalg.qr(torch.randn(n, n, dtype=torch.double, generator=generator()))
    return (directions * values) @ directions.T


def test_the_basis_stays_orthogonal_and_makes_h_tridiagonal(gapped):
    krylov = hessian.lanczos(gapped.mv, random_vector(400), 60)
    m = len(krylov.basis)
    torch.testing.assert_close(krylov.basis @ krylov.basis.T, torch.eye(m, dtype=torch.double), rtol=0, atol=1e-14)
    torch.testing.assert_close(krylov.basis @ gapped @ krylov.basis.T, krylov.tridiagonal, rtol=0, atol=1e-12)


def test_both_ends_of_the_spectrum_are_scipys(net, gapped):
    for product, n in ((net[0], len(net[2])), (gapped.mv, 400)):
        found = hessian.ritz(hessian.lanczos(product, random_vector(n), min(40, n))).values.numpy()
        operator = scipy.sparse.linalg.LinearOperator(
            (n, n), matvec=lambda v, product=product: product(torch.from_numpy(v).flatten()).numpy(), dtype=float
        )
        rng = np.random.default_rng(0)
        for which, ours in (("LA", found[-3:]), ("SA", found[:1])):
            theirs = scipy.sparse.linalg.eigsh(operator, len(ours), which=which, v0=rng.normal(size=n))[0]
            np.testing.assert_allclose(ours, np.sort(theirs), atol=1e-10)


@pytest.mark.parametrize("steps", [1, 4, 12])
def test_an_eigenvalue_lies_within_the_stated_error(gapped, steps):
    values, _, errors = hessian.ritz(hessian.lanczos(gapped.mv, random_vector(400), steps))
    exact = torch.linalg.eigvalsh(gapped)
    nearest = (values[:, None] - exact).abs().min(dim=1).values
    assert (nearest <= errors + 1e-12).all()


def test_gauss_quadrature_is_exact_up_to_degree_2m_minus_1():
    h, v, m = laplacian(25) / 4, random_vector(25), 6
    values, weights, _ = hessian.ritz(hessian.lanczos(h.mv, v, m))
    unit = v / v.norm()
    for degree in range(2 * m + 1):
        exact = unit @ torch.linalg.matrix_power(h, degree) @ unit
        off = abs((weights * values**degree).sum() - exact)
        assert off < 1e-14 if degree < 2 * m else off > 1e-9


def test_it_stops_where_there_is_no_more_to_see():
    krylov = hessian.lanczos(lambda v: 3 * v, random_vector(50), 20)
    assert krylov.basis.shape == (1, 50) and krylov.tridiagonal.item() == pytest.approx(3)
    few = torch.tensor([1.0, 5.0, 2.0]).double().repeat(20)
    values, weights, _ = hessian.ritz(hessian.lanczos(lambda v: few * v, random_vector(60), 20))
    assert values.tolist() == pytest.approx([1, 2, 5]) and weights.sum().item() == pytest.approx(1)
    assert len(hessian.lanczos(torch.zeros_like, random_vector(5), 3).basis) == 1


def test_what_rounding_adds_has_no_weight():
    values, vectors = torch.linalg.eigh(laplacian(50))
    found, weights, _ = hessian.ritz(hessian.lanczos(laplacian(50).mv, vectors[:, 7], 20))
    assert found[weights.argmax()].item() == pytest.approx(values[7].item()) and weights.max() > 1 - 1e-12


def test_single_precision(gapped):
    low = gapped.float()
    krylov = hessian.lanczos(low.mv, random_vector(400).float(), 40)
    top = hessian.ritz(krylov).values[-3:]
    torch.testing.assert_close(top, torch.tensor([9.0, 20.0, 40.0], dtype=torch.double), rtol=1e-5, atol=0)
    assert krylov.basis.dtype == torch.float32


@pytest.mark.parametrize(
    ("start", "steps"), [(torch.ones(4), 0), (torch.ones(4), 5), (torch.zeros(4), 2), (torch.full((4,), torch.nan), 2)]
)
def test_no_lanczos(start, steps):
    with pytest.raises(ValueError, match=f"1 to n = 4 steps from a start that is not zero; got {steps}"):
        hessian.lanczos(lambda v: v, start, steps)


def test_products_that_are_not_finite():
    with pytest.raises(ValueError, match="H v is not finite in step 1"):
        hessian.lanczos(lambda v: v / 0, torch.ones(4), 2)


# Each of the statistical checks below lets a right estimate fail once in a million (4.9 standard errors of a normal).
# With 400 probes a scale of the probes that is off by 10 % shifts the trace by 20 %, over 30 standard errors.


def hutchinson_error(h, probes):
    """The standard error of Hutchinson's estimate in closed form: the variance is 2 Σ H²ᵢⱼ over i ≠ j."""
    return math.sqrt(2 * (h - torch.diag(h.diag())).square().sum() / probes)


def test_trace(net):
    product, exact, at = net
    estimate, error = hessian.trace(product, at, 400, generator())
    truth, width = exact.trace().item(), hutchinson_error(exact, 400)
    assert abs(estimate - truth) < 4.9 * width
    assert error == pytest.approx(width, rel=0.4)
    assert abs(1.1**2 * estimate - truth) > 4.9 * width  # what probes of ±1.1 would give
    with pytest.raises(ValueError, match="two probes or more; got 1"):
        hessian.trace(product, at, 1, generator())


def test_the_trace_of_a_diagonal_matrix_is_exact():
    h = torch.arange(8.0, dtype=torch.double)
    assert hessian.trace(lambda v: h * v, h, 2, generator()) == (28.0, 0.0)


def test_moments_of_the_spectrum(gapped):
    values, weights = hessian.spectrum(gapped.mv, torch.empty(400).double(), 20, 100, generator())
    assert weights.sum().item() == pytest.approx(1)
    for k in (1, 2, 3):
        power = torch.linalg.matrix_power(gapped, k)
        off = abs((weights * values**k).sum() - power.trace() / 400)
        assert off < 4.9 * hutchinson_error(power, 100) / 400


def test_probes_are_signs_and_repeat_with_the_seed():
    v = hessian.signs(torch.empty(10_000), generator(3))
    assert v.dtype == torch.float32 and v.unique().tolist() == [-1, 1] and abs(v.sum()) < 490
    assert torch.equal(v, hessian.signs(torch.empty(10_000), generator(3)))


def test_density():
    values, weights = torch.tensor([-1.0, 0.0, 2.0]).double(), torch.tensor([0.2, 0.5, 0.3]).double()
    at = torch.linspace(-6, 8, 2001, dtype=torch.double)
    found = hessian.density(values, weights, at, 0.5)
    normals = [torch.distributions.Normal(v, 0.5).log_prob(at).exp() for v in values]
    torch.testing.assert_close(found, sum(w * normal for w, normal in zip(weights, normals, strict=True)))
    assert torch.trapezoid(found, at).item() == pytest.approx(1)
