"""Records: written whole, read back equal, refused with a sentence when they are not right."""

import dataclasses
import json

import numpy as np
import pytest

from esgd_minimal import records
from esgd_minimal.records import Record


def record(**changes):
    right = {
        "experiment": "digits",
        "method": "adam",
        "seed": 0,
        "configuration": {"epochs": 2, "published": {"value": 1.5, "spread": 0.1, "epochs": 66}},
        "data": "0" * 64,
        "versions": {"python": "3"},
        "device": "CPU",
        "seconds": 1.5,
        "gradient_evaluations": 20,
        "history": {"gradient_evaluations": [10, 20], "valid_error": [3.0, 2.0]},
        "results": {"test_error": 2.5},
    }
    return Record(**right | changes)


def test_what_is_written_is_read(tmp_path):
    file = records.write(tmp_path, record())
    assert file == tmp_path / "digits" / "adam-seed0.json"
    assert records.read(file) == record()
    assert [p.name for p in file.parent.iterdir()] == [file.name]  # nothing half-written is left


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seed": "0"}, "seed is '0', which is no int"),
        ({"results": {"test_error": float("nan")}}, "test_error has nan, which is not a finite number"),
        ({"history": {"gradient_evaluations": [10, 20], "x": [1.0]}}, r"one length, 1 or more; got \[1, 2\]"),
        ({"history": {}}, r"one length, 1 or more; got \[\]"),
        ({"history": {"x": [1.0]}}, "must say how many gradient evaluations"),
        ({"gradient_evaluations": 21}, "the last entry of the history is not the end of the run"),
    ],
)
def test_a_wrong_record_is_not_written(tmp_path, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        records.write(tmp_path, record(**changes))
    assert not list(tmp_path.rglob("*.json"))


def test_a_wrong_file_is_refused(tmp_path):
    file = records.write(tmp_path, record())
    file.write_text(file.read_text()[:50])
    with pytest.raises(ValueError, match=r"adam-seed0.json is not the record of a run"):
        records.read(file)
    file.write_text(json.dumps({"experiment": "digits"}))
    with pytest.raises(ValueError, match=r"is not the record of a run: .* missing"):
        records.read(file)
    renamed = records.write(tmp_path, record()).rename(tmp_path / "digits" / "adam-seed1.json")
    with pytest.raises(ValueError, match="holds digits's adam, seed 0; was it renamed"):
        records.read(renamed)


def test_records_by_method_in_the_order_of_the_seeds(tmp_path):
    for seed in (2, 10, 1):
        records.write(tmp_path, record(seed=seed, results={"test_error": float(seed)}))
    records.write(tmp_path, record(method="sgd"))
    by_method = records.load(tmp_path, "digits")
    assert list(by_method) == ["adam", "sgd"]
    assert [r.seed for r in by_method["adam"]] == [1, 2, 10]
    assert np.array_equal(records.final(by_method["adam"], "test_error"), [1.0, 2.0, 10.0])
    assert records.curve(by_method["adam"], "valid_error").shape == (3, 2)
    with pytest.raises(ValueError, match=r"no record of mnist in .*; there are: digits"):
        records.load(tmp_path, "mnist")


def test_the_fullest_set_is_the_longest_in_which_every_method_has_two_seeds(tmp_path):
    def add(experiment, evaluations, seeds, method="adam"):
        for seed in range(seeds):
            history = {"gradient_evaluations": [evaluations]}
            changes = {"experiment": experiment, "seed": seed, "history": history, "method": method}
            records.write(tmp_path, record(gradient_evaluations=evaluations, **changes))

    add("digits-5-epochs", 50, 2)
    add("digits-9-epochs", 90, 2)
    add("digits", 300, 2)
    add("digits", 300, 1, method="sgd")
    add("digits-70-examples", 20, 2)
    for other in ("digitsfc", "digits-small", "digits-small-9-epochs", "digits-augmented"):
        add(other, 999, 2)
    assert records.budgets(tmp_path, "digits") == ["digits", "digits-5-epochs", "digits-70-examples", "digits-9-epochs"]
    assert next(iter(records.fullest(tmp_path, "digits").values()))[0].gradient_evaluations == 90
    add("digits", 300, 2, method="sgd")
    assert next(iter(records.fullest(tmp_path, "digits").values()))[0].gradient_evaluations == 300
    assert list(records.fullest(tmp_path, "digits", seeds=1)) == ["adam", "sgd"]
    add("digits-400-epochs", 4000, 1)
    assert next(iter(records.fullest(tmp_path, "digits").values()))[0].gradient_evaluations == 300
    assert next(iter(records.fullest(tmp_path, "digits", seeds=1).values()))[0].gradient_evaluations == 4000
    with pytest.raises(ValueError, match="no complete set of records of lenet"):
        records.fullest(tmp_path, "lenet")


def test_a_record_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        record().seed = 3


def test_the_table_has_the_lowest_first_with_its_interval_and_the_papers_number(tmp_path):
    theirs = {"epochs": 2, "published": {"value": 1.5, "spread": 0.1, "epochs": 66}}
    sets = {
        "adam": [record(seed=k, configuration=theirs, results={"test_error": 2.0 + k}) for k in (0, 1, 2)],
        "sgd": [record(method="sgd", results={"test_error": 1.0}, configuration={"epochs": 2.5, "published": None})],
    }
    assert records.table(sets, "test_error", digits=1).splitlines() == [
        "| method | seeds | effective epochs | test error (%) | in the paper | its epochs |",
        "| :-- | --: | --: | --: | --: | --: |",
        "| sgd | 1 | 2.5 | 1.0 |  |  |",
        "| adam | 3 | 2 | 3.0 ± 2.5 | 1.5 ± 0.1 | 66 |",  # Student's t with 2 degrees of freedom: 4.303 / √3
    ]
    assert records.table({"sgd": sets["sgd"]}, "test_error").splitlines() == [
        "| method | seeds | effective epochs | test error (%) |",
        "| :-- | --: | --: | --: |",
        "| sgd | 1 | 2.5 | 1.00 |",
    ]
