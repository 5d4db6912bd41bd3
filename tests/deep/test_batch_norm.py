"""Batch-norm statistics at x: torch's own re-estimation where that is right, and dropout off where it is not."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from esgd_minimal.deep.batch_norm import reestimate_batch_norm
from esgd_minimal.deep.entropy_sgd import EntropySGD


def network(dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 6),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(6, 5),
        nn.BatchNorm1d(5, momentum=0.3),
    )


def batches(n=7):
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(16, 4, generator=generator) for _ in range(n)]


def statistics(model):
    return torch.cat([b.flatten() for name, b in model.named_buffers() if "running" in name])


def test_without_dropout_it_is_torchs():
    ours, theirs = network(), network()
    reestimate_batch_norm(ours, batches())
    update_bn(batches(), theirs)
    torch.testing.assert_close(statistics(ours), statistics(theirs), rtol=1e-6, atol=1e-7)


def test_dropout_is_off():
    ours, without, theirs = network(0.5), network(0.0), network(0.5)
    reestimate_batch_norm(ours, batches())
    reestimate_batch_norm(without, batches())
    update_bn(batches(), theirs)
    assert torch.equal(statistics(ours), statistics(without))
    assert (statistics(theirs) - statistics(ours)).abs().max() > 0.05


def test_every_module_is_left_as_it_was_found_even_after_an_error():
    model = network(0.5)
    model.train()
    model[3].eval()
    model[1].eval()
    before = [(m.training, getattr(m, "momentum", None)) for m in model.modules()]
    state = torch.get_rng_state()
    reestimate_batch_norm(model, [(x, "a label") for x in batches()], device="cpu")
    assert [(m.training, getattr(m, "momentum", None)) for m in model.modules()] == before
    assert torch.equal(state, torch.get_rng_state())
    with pytest.raises(RuntimeError):
        reestimate_batch_norm(model, [torch.ones(3, 99)])
    assert [(m.training, getattr(m, "momentum", None)) for m in model.modules()] == before


def test_no_batches_are_refused_and_the_statistics_kept():
    model = network()
    reestimate_batch_norm(model, batches())
    before = statistics(model)
    with pytest.raises(ValueError, match="at least one batch"):
        reestimate_batch_norm(model, iter([]))
    assert torch.equal(statistics(model), before)


def test_an_exception_in_the_middle_keeps_the_statistics():
    model = network()
    reestimate_batch_norm(model, batches())
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with pytest.raises(RuntimeError):
        reestimate_batch_norm(model, [*batches(2), torch.ones(3, 99)])
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())


def test_a_model_without_batch_norm_is_not_run():
    inputs = iter(["not an input"])
    reestimate_batch_norm(nn.Linear(2, 2), inputs)
    assert next(inputs) == "not an input"


def test_the_chain_leaves_statistics_that_are_not_those_of_x():
    """After training the running statistics belong to x′; one call makes them those of x, twice the same."""
    model = network(0.2)
    optimizer = EntropySGD(model.parameters(), langevin_lr=0.5, langevin_steps=5, noise=0.05)
    for x in batches(13):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    optimizer.eval()
    of_the_chain = statistics(model)
    reestimate_batch_norm(model, batches())
    at_x = statistics(model)
    assert (at_x - of_the_chain).abs().max() > 0.05
    reestimate_batch_norm(model, batches())
    assert torch.equal(statistics(model), at_x)
