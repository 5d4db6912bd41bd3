"""Drawing from a network: the law at a temperature, the state that is carried, and what is refused."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from esgd_minimal.deep.sampling import go_on, tempered

ALARM = 1e-6  # how often a right sampler fails a test here


class Counter(nn.Module):
    """Predicts from the state alone, which counts the tokens read: the next is (count mod 3) if `sure`."""

    def __init__(self, sure=100.0):
        super().__init__()
        self.sure = sure

    def forward(self, tokens, state=None):
        state = 0 if state is None else state
        logits = []
        for _ in tokens:
            state += 1
            logits.append(self.sure * nn.functional.one_hot(torch.tensor(state % 3), 3).float())
        return torch.stack(logits)[:, None].expand(-1, tokens.shape[1], -1), state


def test_the_gibbs_measure_of_the_surprise():
    logits = torch.tensor([[3.0, 1.0, -2.0], [0.0, 0.5, 0.25]])
    p = torch.softmax(logits.double(), -1)
    for temperature in (0.25, 1.0, 4.0):
        weights = p ** (1 / temperature)
        expected = weights / weights.sum(-1, keepdim=True)
        assert torch.allclose(tempered(logits, temperature), expected, atol=1e-12)
    assert torch.allclose(tempered(logits, 1e-3)[0], torch.tensor([1.0, 0.0, 0.0]).double())
    assert torch.isfinite(tempered(1e4 * logits, 1e-3)).all()


def test_the_state_goes_on_from_the_beginning():
    start = torch.zeros(3, 2, dtype=torch.long)
    assert go_on(Counter(), start, 5, 1.0).tolist() == [[0, 0], [1, 1], [2, 2], [0, 0], [1, 1]]
    assert go_on(Counter(), start, 0, 1.0).shape == (0, 2)


def chi_squared(temperature, assumed, n=20_000):
    start = torch.zeros(1, n, dtype=torch.long)
    drawn = go_on(Counter(1.0), start, 1, temperature, torch.Generator().manual_seed(1))
    expected = n * tempered(torch.tensor([0.0, 1.0, 0.0]), assumed).numpy()
    return np.sum((np.bincount(drawn[0], minlength=3) - expected) ** 2 / expected)


def test_the_law_of_a_draw():
    """A temperature wrong by 10 % moves the likeliest share by 0.02, six standard errors: noticed."""
    limit = stats.chi2.ppf(1 - ALARM, df=2)
    assert chi_squared(0.8, 0.8) < limit
    assert chi_squared(0.8, 0.9) > limit


def test_the_same_generator_writes_the_same():
    start = torch.zeros(1, 50, dtype=torch.long)
    one, two = (go_on(Counter(1.0), start, 9, 1.0, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two) and one.shape == (9, 50)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_is_above_0(temperature):
    with pytest.raises(ValueError, match="temperature is above 0"):
        tempered(torch.zeros(3), temperature)


def test_an_empty_beginning():
    with pytest.raises(ValueError, match="nothing to go on from"):
        go_on(Counter(), torch.zeros(0, 1, dtype=torch.long), 3, 1.0)
