"""Langevin chains: their exact laws, by statistical tests that are themselves tested on planted errors.

Each statistical test raises a false alarm once in a million runs of its generator (`ALARM`); the seeds are
fixed, so that it does so never or always. What each can see, its power, is computed beside it.
"""

import inspect
import re
import sys

import numpy as np
import pytest
from scipy import stats

from esgd_minimal.toy import chain_laws, grids, landscapes
from esgd_minimal.toy.langevin import ChainDiverged, langevin, metropolis, noisy

ALARM = 1e-6
CURVATURES = np.array([1.0, 10.0])
N = 40_000  # chains
STEPS = (1, 3, 10, 60)


def mutant(function, old: str, new: str):
    """`function` with an error planted in its source; it must have stood there exactly once."""
    source = inspect.getsource(function)
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {function.__name__}"
    names = dict(vars(sys.modules[function.__module__]))
    exec(source.replace(old, new), names)
    return names[function.__name__]


def chi2_p(statistic, df):
    """The two-sided p-value of a chi-square statistic: too much scatter is wrong, and so is too little."""
    return 2 * np.minimum(stats.chi2.cdf(statistic, df), stats.chi2.sf(statistic, df))


# ---- the law on a quadratic, at every step

X0 = np.repeat([[2.0], [-1.5]], N, axis=1)
STEP, BETA = 0.05, 2.0


def law_p_value(sampler, step=STEP, beta=BETA, law_beta=BETA, seed=1) -> float:
    """The p-value of `sampler` against the exact law at steps 1, 3, 10 and 60, both coordinates together."""
    try:
        samples = sampler(landscapes.quadratic_gradient, X0, step, max(STEPS), beta, rng=np.random.default_rng(seed))
    except ChainDiverged:
        return 0.0
    p = []
    for k in STEPS:
        mean, variance = chain_laws.quadratic_law(CURVATURES, X0, step, k, law_beta)
        p.extend(chi2_p(np.sum((samples[k - 1] - mean) ** 2, axis=1) / variance, N))
    return min(1.0, len(p) * min(p))  # Bonferroni: one alarm for the eight


def test_the_law_on_a_quadratic_is_exact_at_every_step():
    assert law_p_value(langevin) > ALARM


def test_the_law_test_sees_a_variance_wrong_by_eight_percent():
    threshold = ALARM / (2 * 2 * len(STEPS))
    low, high = stats.chi2.isf([1 - threshold, threshold], N)
    assert stats.chi2.sf(high / 1.08, N) > 1 - 1e-6
    assert stats.chi2.cdf(low / 0.92, N) > 1 - 1e-6
    # A mean wrong by 0.3 standard deviations adds 0.09 N to the statistic's centre.
    assert stats.ncx2.sf(high, N, 0.09 * N) > 1 - 1e-6


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("np.sqrt(2 * step / beta)", "np.sqrt(step / beta)"),  # noise too small by √2
        ("np.sqrt(2 * step / beta)", "np.sqrt(4 * step / beta)"),  # noise too large by √2
        ("np.sqrt(2 * step / beta)", "np.sqrt(2 * step)"),  # temperature forgotten
        ("np.sqrt(2 * step / beta)", "np.sqrt(2 * step / beta) * 1.04"),  # 8 % too much variance
        ("x -= np.multiply(slope, step, out=move)", "x += np.multiply(slope, step, out=move)"),  # uphill
        ("x -= np.multiply(slope, step, out=move)", "pass"),  # the pull left out
        ("x -= np.multiply(slope, step, out=move)", "x -= np.multiply(slope, step / 2, out=move)"),  # half of it
    ],
)
def test_the_law_test_fails_on_planted_errors(old, new):
    assert law_p_value(mutant(langevin, old, new)) < ALARM


def test_a_noisy_gradient_raises_the_temperature_exactly():
    """Stochastic-gradient Langevin on a quadratic: the law of β, with the gradient's noise counted in."""
    scale = 3.0

    def stochastic(gradient, x0, step, n_steps, beta, rng):
        return langevin(noisy(gradient, scale, rng), x0, step, n_steps, beta, rng=rng)

    law_beta = chain_laws.effective_beta(BETA, STEP, scale)
    assert law_p_value(stochastic, law_beta=law_beta) > ALARM
    assert law_p_value(stochastic) < ALARM  # the noise not counted
    assert law_p_value(stochastic, law_beta=chain_laws.effective_beta(BETA, STEP, scale * 2**0.5)) < ALARM
    assert law_p_value(stochastic, beta=np.inf, law_beta=2 / (STEP * scale**2)) > ALARM  # a thermometer of its own


def test_a_noisy_gradient_is_the_gradient_on_average():
    x = np.repeat([[1.0], [-2.0]], N, axis=1)
    noise = noisy(landscapes.quadratic_gradient, 0.5, np.random.default_rng(2))(x) - [[1.0], [-20.0]]
    assert np.all(np.abs(stats.norm.isf(ALARM / 4)) > np.abs(noise.mean(axis=1)) * N**0.5 / 0.5)
    assert np.all(chi2_p(np.sum((noise / 0.5) ** 2, axis=1), N) > ALARM / 2)


# ---- a double well, against linear algebra and quadrature in one dimension

LINE = grids.grid(((-2.6, 2.6),), 521)
BINS = 20


def tilted(x):
    return landscapes.double_well(x, tilt=0.3)


def tilted_gradient(x):
    return landscapes.double_well_gradient(x, tilt=0.3)


def gibbs_density(beta: float) -> np.ndarray:
    density = np.exp(-beta * tilted(LINE.points))
    return density / np.sum(density * LINE.weights)


def distribution_function(density: np.ndarray) -> np.ndarray:
    total = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2) * LINE.spacing[0]])
    return total / total[-1]


def drawn_from(density: np.ndarray, n: int, rng) -> np.ndarray:
    """Independent draws of the piecewise linear density, by inversion of its distribution function: (1, n)."""
    x, h = LINE.axes[0], LINE.spacing[0]
    cdf = distribution_function(density)
    u = rng.random(n)
    i = np.clip(np.searchsorted(cdf, u) - 1, 0, len(x) - 2)
    left, right = density[i], density[i + 1]
    rest = (u - cdf[i]) / (cdf[i + 1] - cdf[i]) * (left + right) / 2  # in units of h
    t = 2 * rest / (left + np.sqrt(left**2 + 2 * rest * (right - left)))
    return (x[i] + h * t)[None]


def histogram_p(x: np.ndarray, density: np.ndarray) -> float:
    """Pearson's chi-square on 20 bins that hold equal mass under `density`."""
    edges = np.interp(np.arange(1, BINS) / BINS, distribution_function(density), LINE.axes[0])
    counts = np.bincount(np.searchsorted(edges, x), minlength=BINS)
    return float(stats.chisquare(counts).pvalue)


def histogram_power(law: np.ndarray, density: np.ndarray, n: int = N) -> float:
    """The probability that `histogram_p` raises the alarm at `density`, where the truth is `law`."""
    edges = np.interp(np.arange(1, BINS) / BINS, distribution_function(density), LINE.axes[0])
    mass = np.diff(np.interp(edges, LINE.axes[0], distribution_function(law)), prepend=0, append=1)
    shift = n * np.sum((mass - 1 / BINS) ** 2) * BINS
    return float(stats.ncx2.sf(stats.chi2.isf(ALARM, BINS - 1), BINS - 1, shift))


def test_chains_that_start_from_their_own_law_keep_it():
    step, beta, rng = 0.06, 2.0, np.random.default_rng(3)
    law, gibbs = chain_laws.stationary_density(tilted_gradient, LINE, step, beta), gibbs_density(beta)
    x = langevin(tilted_gradient, drawn_from(law, N, rng), step, 5, beta, rng=rng)[-1, 0]
    assert histogram_p(x, law) > ALARM
    assert histogram_power(law, gibbs) > 1 - 1e-6  # the bias of the step is in plain view
    assert histogram_p(x, gibbs) < ALARM


def test_chains_from_one_point_come_to_their_law():
    step, beta, rng = 0.06, 1.0, np.random.default_rng(4)
    law = chain_laws.stationary_density(tilted_gradient, LINE, step, beta)
    x = langevin(tilted_gradient, np.full((1, N), 1.0), step, 400, beta, rng=rng, record_every=400)[-1, 0]
    assert histogram_p(x, law) > ALARM


def test_the_bias_of_the_step_is_what_linear_algebra_says_and_of_first_order():
    """⟨x²⟩ in a double well by sampling, against quadrature: off it, by an amount that grows like the step."""
    beta, rng, steps = 2.0, np.random.default_rng(5), (0.04, 0.02)
    x2 = LINE.axes[0] ** 2 * LINE.weights
    quadrature = np.sum(x2 * gibbs_density(beta))
    bias, error = [], []
    for step in steps:
        law = chain_laws.stationary_density(tilted_gradient, LINE, step, beta)
        run = round(25 / step)  # the same time for every step
        start = drawn_from(law, 20_000, rng)
        x = langevin(tilted_gradient, start, step, run, beta, rng=rng, record_every=run // 25)
        means = np.mean(x[:, 0] ** 2, axis=0)  # one a chain; the chains are independent, so these tell the error
        bias.append(means.mean() - quadrature)
        error.append(means.std(ddof=1) / len(means) ** 0.5)
        assert abs(means.mean() - np.sum(x2 * law)) < stats.norm.isf(ALARM / 4) * error[-1]
        assert abs(bias[-1]) > stats.norm.isf(ALARM / 4) * error[-1]  # and the bias is seen
    slope = np.log2(bias[0] / bias[1])
    slope_error = np.hypot(*(np.array(error) / bias)) / np.log(2)
    assert slope_error < 0.2
    assert abs(slope - 1) < 5 * slope_error


# ---- Metropolis's correction

MALA_STEP, MALA_BETA = 0.25, 2.0


def stationarity_p(sampler, n_steps=4, seed=6) -> float:
    """Chains that start FROM the Gibbs measure must still have it after a few steps, whatever the step's size."""
    rng, density = np.random.default_rng(seed), gibbs_density(MALA_BETA)
    start = drawn_from(density, N, rng)
    samples, _ = sampler(tilted, tilted_gradient, start, MALA_STEP, n_steps, MALA_BETA, rng=rng)
    return histogram_p(samples[-1, 0], density)


def test_the_gibbs_measure_is_stationary_for_metropolis():
    assert stationarity_p(metropolis) > ALARM
    assert stationarity_p(metropolis, n_steps=1) > ALARM


def test_the_stationarity_test_sees_the_lack_of_a_correction():
    line = grids.grid(((-4.0, 4.0),), 801)
    p = np.exp(-MALA_BETA * tilted(line.points))
    p /= np.sum(p * line.weights)
    after = (p * line.weights) @ chain_laws.transition_matrix(tilted_gradient, line, MALA_STEP, MALA_BETA)
    law = np.interp(LINE.axes[0], line.axes[0], after / line.weights)  # one unadjusted step from the Gibbs measure
    assert histogram_power(law, gibbs_density(MALA_BETA)) > 1 - 1e-6


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("< log_ratio", "< np.inf"),  # no correction
        ("-beta * (f_y - f) + 0.5", "0.5"),  # the energies left out
        ("-beta * (f_y - f)", "beta * (f_y - f)"),  # their sign
        ("-beta * (f_y - f)", "-(f_y - f)"),  # the temperature left out
        (" + 0.5 * np.sum(xi**2 - xi_back**2, axis=0)", ""),  # the proposal's density left out
        ("xi**2 - xi_back**2", "xi_back**2 - xi**2"),  # its sign
        ("step * slope_y", "step * slope"),  # the way back taken with the old slope
    ],
)
def test_the_stationarity_test_fails_on_planted_errors(old, new):
    assert stationarity_p(mutant(metropolis, old, new)) < ALARM


def test_metropolis_comes_to_the_gibbs_measure_from_one_point():
    rng = np.random.default_rng(7)
    start = np.full((1, N), 1.0)
    samples, accepted = metropolis(tilted, tilted_gradient, start, 0.1, 300, 1.0, rng=rng, record_every=300)
    assert histogram_p(samples[-1, 0], gibbs_density(1.0)) > ALARM
    assert samples.shape == (1, 1, N)
    assert accepted.shape == (N,)
    assert 0.5 < accepted.mean() < 0.99


def test_metropolis_samples_a_box_uniformly():
    """An energy that is infinite outside: what is proposed there is refused, and the inside stays uniform."""

    def box(x):
        return np.where(np.max(np.abs(x), axis=0) < 1, 0.0, np.inf)

    rng = np.random.default_rng(8)
    samples, accepted = metropolis(box, np.zeros_like, rng.uniform(-1, 1, (2, N)), 0.3, 8, rng=rng)
    assert np.max(np.abs(samples)) < 1
    counts = np.histogram2d(*samples[-1], bins=5, range=((-1, 1), (-1, 1)))[0]
    assert stats.chisquare(counts.ravel()).pvalue > ALARM
    assert 0.2 < accepted.mean() < 0.8


def test_metropolis_accepts_all_of_a_small_step_and_none_of_a_huge_one():
    x0 = np.random.default_rng(9).standard_normal((2, 1000))
    run = [landscapes.quadratic, landscapes.quadratic_gradient, x0]
    assert metropolis(*run, 1e-6, 20, rng=np.random.default_rng(0))[1].mean() > 0.99
    samples, accepted = metropolis(*run, 1e6, 20, rng=np.random.default_rng(0))
    assert accepted.max() == 0
    assert np.array_equal(samples[-1], x0)


# ---- what the arguments do


def test_given_draws_give_the_recurrence():
    rng = np.random.default_rng(10)
    draws, x0 = rng.standard_normal((7, 2, 5)), rng.standard_normal((2, 5))
    samples = langevin(landscapes.double_well_gradient, x0, 0.03, 7, 2.5, draws=draws)
    x = x0
    for xi, sample in zip(draws, samples, strict=True):
        x = x - 0.03 * landscapes.double_well_gradient(x) + np.sqrt(2 * 0.03 / 2.5) * xi
        assert np.max(np.abs(sample - x)) < 1e-12


def test_a_generator_gives_the_same_as_its_draws():
    x0 = np.ones((2, 5))
    draws = np.random.default_rng(11).standard_normal((7, 2, 5))
    by_rng = langevin(landscapes.double_well_gradient, x0, 0.03, 7, rng=np.random.default_rng(11))
    assert np.array_equal(by_rng, langevin(landscapes.double_well_gradient, x0, 0.03, 7, draws=draws))


@pytest.mark.parametrize(("burn_in", "record_every"), [(0, 1), (3, 1), (0, 4), (3, 4), (19, 1), (2, 18)])
def test_records(burn_in, record_every):
    def run(**options):
        rng = np.random.default_rng(12)
        adjusted, _ = metropolis(
            landscapes.quadratic, landscapes.quadratic_gradient, np.ones((2, 3)), 0.1, 20, rng=rng, **options
        )
        rng = np.random.default_rng(12)
        return langevin(landscapes.quadratic_gradient, np.ones((2, 3)), 0.1, 20, rng=rng, **options), adjusted

    for some, every in zip(run(burn_in=burn_in, record_every=record_every), run(), strict=True):
        assert np.array_equal(some, every[burn_in + record_every - 1 :: record_every])


def test_nothing_that_is_passed_in_is_changed():
    x0, draws = np.ones((2, 3)), np.full((4, 2, 3), 0.5)
    samples = langevin(lambda x: x, x0, 0.1, 4, draws=draws)  # a gradient that hands out the chain's own array
    assert np.all(x0 == 1)
    assert np.all(draws == 0.5)
    assert np.allclose(samples[0], 0.9 + np.sqrt(0.2) * 0.5, rtol=0, atol=1e-15)
    metropolis(landscapes.quadratic, lambda x: x, x0, 0.1, 4, rng=np.random.default_rng(0))
    assert np.all(x0 == 1)


def test_at_zero_temperature_it_is_gradient_descent():
    samples = langevin(landscapes.quadratic_gradient, np.ones((2, 1)), 0.05, 9, np.inf, rng=np.random.default_rng(0))
    assert np.allclose(samples[-1, :, 0], (1 - 0.05 * CURVATURES) ** 9, rtol=1e-14, atol=0)


# ---- chains that run away


@pytest.mark.parametrize(
    ("gradient", "start", "step", "beta"),
    [
        (landscapes.quadratic_gradient, 1.0, 0.21, 1.0),  # ηλ = 2.1
        (landscapes.quadratic_gradient, 1e7, 0.3, 1.0),
        (landscapes.double_well_gradient, 10.0, 0.1, 1.0),  # quartic growth, from far out
        (landscapes.double_well_gradient, 100.0, 0.01, 1.0),
        (landscapes.double_well_gradient, 1.0, 0.1, 0.3),  # kicked out of the well by the noise
        (landscapes.gradient(landscapes.rosenbrock), 1.0, 0.02, 1.0),
        (noisy(landscapes.quadratic_gradient, 1.0, np.random.default_rng(0)), 1.0, 0.21, 1.0),
    ],
)
def test_a_chain_that_diverges_says_so_and_the_step_it_offers_works(gradient, start, step, beta):
    def run(step):
        rng = np.random.default_rng(13)
        return langevin(gradient, np.full((2, 400), start), step, 1000, beta, rng=rng, record_every=1000)

    with pytest.raises(
        ChainDiverged, match=r"^[1-9]\d* of 400 chains diverged by step [1-9]\d*: .* Try a step of "
    ) as told:
        run(step)
    offered = float(re.search(r"Try a step of (.*)\.$", str(told.value)).group(1))
    assert 0 < offered < step
    assert np.all(np.isfinite(run(offered)))


def test_one_chain_of_many_that_diverges_is_counted():
    x0 = np.zeros((2, 1000))
    x0[0, 17] = 50.0
    with pytest.raises(ChainDiverged, match=r"^1 of 1000 chains diverged by step 2:"):
        langevin(landscapes.double_well_gradient, x0, 0.01, 1000, rng=np.random.default_rng(0))


def test_a_gradient_that_is_not_a_number_counts_as_divergence():
    with pytest.raises(ChainDiverged, match="3 of 3 chains diverged by step 1:"):
        langevin(lambda x: np.nan * x, np.ones((2, 3)), 0.1, 5, rng=np.random.default_rng(0))


# ---- bad input

GOOD = {"gradient": landscapes.quadratic_gradient, "x0": np.ones((2, 3)), "step": 0.1, "n_steps": 10}


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"x0": np.ones(2)}, r"starts must have shape \(d, n\), one column for each chain; got \(2,\)"),
        ({"x0": np.array([[np.nan], [0.0]])}, r"must start at finite points"),
        ({"step": 0.0}, r"step must be positive and finite; got 0.0"),
        ({"step": np.inf}, r"step must be positive and finite; got inf"),
        ({"beta": 0.0}, r"beta must be positive; got 0.0"),
        ({"beta": np.nan}, r"beta must be positive; got nan"),
        ({"n_steps": 0}, r"burn_in must leave some of the 0 steps; got 0"),
        ({"burn_in": 10}, r"burn_in must leave some of the 10 steps; got 10"),
        ({"burn_in": 4, "record_every": 7}, r"record_every must lie between 1 and the 6 steps left; got 7"),
        ({"record_every": 0}, r"record_every must lie between 1 and the 10 steps left; got 0"),
        ({"rng": None}, r"Give either a generator, rng, or the standard normals themselves, draws"),
        ({"draws": np.zeros((10, 2, 3))}, r"Give either a generator"),
        ({"rng": None, "draws": np.zeros((9, 2, 3))}, r"draws must have shape .* \(10, 2, 3\); got \(9, 2, 3\)"),
        ({"gradient": lambda x: x[0]}, r"gradient must keep the shape of the points, \(2, 3\); got \(3,\)"),
    ],
)
def test_bad_input_gets_one_clear_sentence(bad, sentence):
    with pytest.raises(ValueError, match=sentence):
        langevin(**{**GOOD, "rng": np.random.default_rng(0), **bad})


def test_metropolis_and_noisy_refuse_bad_input_too():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="Metropolis's rule needs a finite beta; got inf"):
        metropolis(landscapes.quadratic, **GOOD, beta=np.inf, rng=rng)
    with pytest.raises(ValueError, match="must start where the energy is finite; it is inf at a start"):
        metropolis(lambda x: np.where(x[0] > 0, np.inf, 0.0), **GOOD, rng=rng)
    with pytest.raises(ValueError, match=r"scale of the gradient's noise must not be negative; got -1"):
        noisy(landscapes.quadratic_gradient, -1.0, rng)
