"""How parameters come in: with names, in groups, late, none at all."""

import pytest
import torch
from torch import nn

from esgd_minimal.deep.entropy_adam import EntropyAdam
from esgd_minimal.deep.entropy_sgd import EntropySGD

QUICK = {"langevin_steps": 3, "langevin_lr": 0.05}
each_class = pytest.mark.parametrize("cls", [EntropySGD, EntropyAdam])


@each_class
def test_by_default_a_cpu_takes_the_for_loop(cls):
    p = nn.Parameter(torch.ones(2))
    optimizer = cls([p], **QUICK)
    optimizer._langevin_step_foreach = optimizer._outer_step_foreach = None  # would be an error to call
    for _ in range(4):
        p.grad = torch.ones(2)
        optimizer.step()
    assert (p != 1).all()


@pytest.mark.skipif(torch.__version__ < (2, 6), reason="PyTorch's optimizers know names from version 2.6 on")
@each_class
def test_named_parameters_keep_their_names(cls):
    model = nn.Linear(2, 1)
    named, unnamed = cls(model.named_parameters(), **QUICK), cls(model.parameters(), **QUICK)
    assert named.param_groups[0]["param_names"] == ["weight", "bias"]
    named.add_param_group({"params": [("late", nn.Parameter(torch.ones(2)))], "gamma": 0.5})
    assert named.state_dict()["param_groups"][1]["param_names"] == ["late"]
    assert "param_names" not in unnamed.param_groups[0]


@each_class
def test_odd_parameters_are_met_as_torch_meets_them(cls):
    p = nn.Parameter(torch.ones(2))
    with pytest.raises(TypeError):
        cls(p)
    with pytest.raises(TypeError):
        cls([{"params": {p}}])
    with pytest.raises(ValueError, match="empty parameter list"):
        cls([])
    with pytest.warns(UserWarning, match="duplicate parameters"):
        cls([p, p])
    optimizer = cls([p], **QUICK)
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": [p]})
    with pytest.raises(ValueError, match="same langevin_steps"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2))], "langevin_steps": 7})
    assert len(optimizer.param_groups) == 1


@each_class
def test_a_state_that_appears_late_is_made_in_time(cls):
    """Momentum switched on for a parameter that has no gradient until the chain's end."""
    p = nn.Parameter(torch.ones(2))
    optimizer = cls([p], **QUICK)
    p.grad = torch.ones(2)
    optimizer.step()
    p.grad = None
    optimizer.param_groups[0].update(momentum=0.9, langevin_momentum=0.9)
    for _ in range(3):
        optimizer.step()
    assert p.isfinite().all() and (p != 1).all()


@each_class
def test_an_empty_first_group(cls):
    p = nn.Parameter(torch.ones(2))
    optimizer = cls([{"params": []}, {"params": [p]}], noise=0.1, **QUICK)
    p.grad = torch.ones(2)
    optimizer.step()
    assert (p != 1).all()
