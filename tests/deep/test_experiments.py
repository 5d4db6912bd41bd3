"""The registry is the paper's: names, settings, schedules; unknown names get the nearest ones."""

from dataclasses import replace

import pytest

from esgd_minimal.deep import experiments
from esgd_minimal.deep.experiments import EXPERIMENTS, nearest, with_epochs, with_setting
from esgd_minimal.deep.tasks import DATA
from esgd_minimal.deep.training import NETWORKS, OPTIMIZERS

METHODS = [(e, name) for e in EXPERIMENTS.values() for name in e.methods]


@pytest.mark.parametrize(("experiment", "name"), METHODS, ids=lambda x: getattr(x, "name", x))
def test_every_method_can_be_built(experiment, name):
    import torch

    method = experiment.methods[name]
    assert experiment.data in DATA and experiment.network in NETWORKS
    OPTIMIZERS[method.optimizer]([torch.zeros(3, requires_grad=True)], **method.settings)
    assert list(method.at) == sorted(method.at) and all(0 < at < 1 for at in method.at)
    assert 0 < method.drop <= 1 and method.epochs > 0


def test_the_rows_of_table_1():
    rows = {
        (e.name, m): (method.published.value, method.published.epochs)
        for e in EXPERIMENTS.values()
        for m, method in e.methods.items()
        if method.published
    }
    assert rows == {
        ("mnistfc", "entropy-sgd"): (1.37, 120),
        ("mnistfc", "adam"): (1.39, 66),
        ("lenet", "entropy-sgd"): (0.50, 80),
        ("lenet", "adam"): (0.51, 100),
        ("allcnn", "entropy-sgd"): (7.81, 160),
        ("allcnn", "sgd"): (7.71, 180),
        ("ptb-lstm", "entropy-sgd"): (77.656, 25),
        ("ptb-lstm", "sgd"): (78.6, 55),
        ("char-lstm", "entropy-adam"): (1.217, 25),
        ("char-lstm", "adam"): (1.226, 40),
    }


def test_the_settings_of_section_5():
    mnist, cifar = EXPERIMENTS["lenet"].methods["entropy-sgd"], EXPERIMENTS["allcnn"].methods["entropy-sgd"]
    assert mnist.settings["noise"] == 1e-3 and mnist.settings["gamma"] == 1e-4 and mnist.settings["scoping"] == 1e-3
    assert cifar.settings["noise"] == 1e-4 and cifar.settings["gamma"] == 0.03
    assert mnist.network == {"dropout": 0.25} and EXPERIMENTS["mnistfc"].methods["loop"].network == {"dropout": 0.15}
    assert {m.settings["langevin_steps"] for m in (mnist, cifar)} == {20}
    assert EXPERIMENTS["ptb-lstm"].methods["entropy-sgd"].settings["langevin_steps"] == 5


@pytest.mark.parametrize("name", ["mnistfc", "lenet", "allcnn", "digits"])
def test_the_control_is_the_released_loop_without_spring_and_noise(name):
    methods = EXPERIMENTS[name].methods
    lua, loop = methods["entropy-sgd-lua"], methods["loop"]
    differing = {k for k in lua.settings if lua.settings[k] != loop.settings[k]}
    assert differing == {"gamma", "noise"} and loop.settings["gamma"] == loop.settings["noise"] == 0
    assert (lua.at, lua.drop, lua.network, lua.epochs) == (loop.at, loop.drop, loop.network, loop.epochs)


def test_the_small_and_the_augmented_experiment_have_all_methods_and_claim_no_published_number():
    whole = EXPERIMENTS["allcnn"].methods
    for name in ("allcnn-quarter", "allcnn-augmented", "allcnn-quarter-augmented"):
        other = EXPERIMENTS[name]
        assert other.augment is name.endswith("augmented")
        assert list(other.methods) == list(whole)
        for method, recipe in other.methods.items():
            assert recipe.published is None and recipe == replace(whole[method], published=None)


def test_zarembas_rates_are_for_a_sum_over_time():
    assert {name for name, e in EXPERIMENTS.items() if e.summed} == {"ptb-lstm", "ptb-small"}
    assert {m.clip for name in ("ptb-lstm", "ptb-small") for m in EXPERIMENTS[name].methods.values()} == {5.0}


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ValueError, match=r"no experiment 'minstfc'; did you mean: mnistfc"):
        nearest("minstfc", EXPERIMENTS, "experiment")
    with pytest.raises(ValueError, match=r"no experiment 'qqq'; there are: digits, mnistfc, lenet"):
        nearest("qqq", EXPERIMENTS, "experiment")


def test_a_smaller_budget_is_another_experiment():
    cut = with_epochs(EXPERIMENTS["ptb-lstm"], 2.5)
    assert cut.name == "ptb-lstm-2.5-epochs"
    assert {method.epochs for method in cut.methods.values()} == {2.5}
    with pytest.raises(ValueError, match="above 0 epochs; got 0"):
        with_epochs(cut, 0)


def test_a_changed_setting_is_another_method_that_claims_no_published_number():
    changed, name = with_setting(EXPERIMENTS["lenet"], "entropy-sgd", "gamma", 0.5)
    assert name == "entropy-sgd,gamma=0.5"
    assert changed.methods[name].settings["gamma"] == 0.5 and changed.methods[name].published is None
    assert changed.methods["entropy-sgd"] == EXPERIMENTS["lenet"].methods["entropy-sgd"]
    with pytest.raises(ValueError, match="no setting of entropy-sgd 'gama'; did you mean: gamma"):
        with_setting(EXPERIMENTS["lenet"], "entropy-sgd", "gama", 0.5)


def test_nothing_here_can_be_changed_by_accident():
    with pytest.raises(AttributeError):
        experiments.LENET.batch = 3
