"""The small transformer: it sees the past within its context, no more and nothing else."""

import pytest
import torch

from esgd_minimal.deep import models

GENERATOR = torch.Generator().manual_seed(0)
TEXT = torch.randint(82, (40, 3), generator=GENERATOR)


def network(**sizes):
    torch.manual_seed(0)
    return models.CharTransformer(**sizes)


def test_its_size():
    assert models.weights(network()) == 114_770


def test_no_character_sees_the_future():
    other = TEXT.clone()
    other[25] = (other[25] + 1) % 82
    with torch.no_grad():
        before, after = (network()(text)[0] for text in (TEXT, other))
    assert torch.allclose(before[:25], after[:25], atol=1e-5)
    assert (before[25:] - after[25:]).abs().amax(dim=(1, 2)).min() > 1e-4


def test_the_state_is_the_past():
    n = network()
    with torch.no_grad():
        at_once, (seen, _) = n(TEXT)
        state = n(TEXT[:30])[1]
        rest, (again, _) = n(TEXT[30:], state)
    assert torch.allclose(rest, at_once[30:], atol=1e-5)
    assert torch.equal(seen, TEXT) and torch.equal(again, TEXT)
    assert not torch.allclose(n(TEXT[30:])[0], rest, atol=1e-3)


def test_what_is_out_of_sight_is_forgotten():
    n = network(context=16)
    with torch.no_grad():
        state = n(TEXT[:16])[1]
        logits, (seen, _) = n(TEXT[16:26], state)
        other = TEXT.clone()
        other[:10] = 0
        same, _ = n(other[16:26], (other[:16], other[:16]))
    assert torch.equal(seen, TEXT[10:26]) and torch.equal(logits, same)
    with pytest.raises(ValueError, match="17 characters do not fit in the context of 16"):
        n(TEXT[:17])
