"""A record's commit is this project's, or none."""

import subprocess

import pytest
import torch

from esgd_minimal.deep import provenance


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "file").write_text("as it was")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    return tmp_path


def test_the_commit_and_a_plus_once_something_is_edited(clone):
    clean = provenance.commit(clone)
    assert len(clean) == 12 and int(clean, 16) >= 0
    (clone / "file").write_text("edited")
    assert provenance.commit(clone) == clean + "+"


def test_a_package_inside_somebody_elses_repository_has_no_commit(clone):
    (clone / "site-packages").mkdir()
    assert provenance.commit(clone / "site-packages") == ""


def test_versions_are_text():
    assert provenance.versions()["torch"] == torch.__version__
    assert all(type(value) is str for value in provenance.versions().values())


def test_a_package_that_is_not_installed_has_no_version(monkeypatch):
    def missing(name):
        raise provenance.PackageNotFoundError(name)

    monkeypatch.setattr(provenance, "version", missing)
    assert provenance.versions()["esgd_minimal"] == ""


def test_what_is_committed_later_is_not_what_runs(clone, monkeypatch):
    monkeypatch.setattr(provenance, "CLONE", clone)
    loaded = provenance.versions()["commit"]
    git(clone, "commit", "--allow-empty", "-m", "second")
    assert provenance.commit(clone) != loaded == provenance.versions()["commit"]


def test_versions_of_several_sittings():
    first, second = {"torch": "2.12.0", "commit": "", "old": "1"}, {"torch": "2.13.0", "commit": "a", "new": "2"}
    both = provenance.joined(first, second)
    assert both == {"torch": "2.12.0, 2.13.0", "commit": "a", "old": "1", "new": "2"}
    assert provenance.joined(both, first | second) == both and provenance.joined({}, second) == second
