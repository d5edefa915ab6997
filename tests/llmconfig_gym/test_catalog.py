"""The catalog: from names and paths to suites and experiments, with one typed error for every other name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmconfig_gym import catalog
from llmconfig_gym.errors import GymError, SourceUnavailable, SuiteFormatError, UnknownName
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.suite import Card, Suite


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of one's own."""
    path = tmp_path / "cache"
    monkeypatch.setenv(catalog.CACHE_VARIABLE, str(path))
    return path


@pytest.fixture
def own(experiments: Mapping[str, Experiment], tmp_path: Path) -> Path:
    """A suite of one's own, called `test`, in a directory of another name."""
    path = tmp_path / "mine"
    Suite.of("test", Card("mine"), experiments.values()).save(path)
    return path


def test_the_cache_is_where_the_variable_says(cache: Path) -> None:
    assert catalog.cache_dir() == cache
    assert catalog.suite_path("steplaw") == cache / "suites" / "steplaw"


@pytest.mark.parametrize("empty", [None, ""])
def test_without_the_variable_the_cache_is_the_users_own(empty: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if empty is None:
        monkeypatch.delenv(catalog.CACHE_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(catalog.CACHE_VARIABLE, empty)
    assert catalog.cache_dir().name == "autollmresearch"


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", catalog.SOURCES)
def test_a_source_that_was_not_downloaded_says_how_to(name: str) -> None:
    for load in (lambda: catalog.load_suite(name), lambda: catalog.load_experiment(f"{name}/any")):
        with pytest.raises(SourceUnavailable, match=f"run: llmconfig-gym download {name}"):
            load()
    assert name not in catalog.available()


def test_a_suite_of_ones_own_is_known_by_its_path(own: Path, experiments: Mapping[str, Experiment]) -> None:
    assert catalog.load_suite(str(own)).name == "test"
    assert catalog.load_experiment(f"{own}/grpo").outcome(0) == experiments["grpo"].outcome(0)


def test_a_suite_of_ones_own_is_known_by_its_relative_path(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own.parent)
    assert catalog.load_experiment("mine/grpo").id == "test/grpo"


def test_tables_are_read_once_per_process(own: Path) -> None:
    assert catalog.load_experiment(f"{own}/grpo") is catalog.load_experiment(f"{own}/grpo")


def test_a_suite_that_was_replaced_is_read_again(own: Path, experiments: Mapping[str, Experiment]) -> None:
    first = catalog.load_suite(str(own))
    Suite.of("test", Card("replaced"), [experiments["mixture"]]).save(own, replace=True)
    os.utime(own / "suite.json", ns=(1, 1))  # another time, however coarse the clock of the file system
    assert catalog.load_suite(str(own)) is not first
    assert catalog.load_suite(str(own)).card.title == "replaced"


def test_a_downloaded_source_is_available(cache: Path, experiments: Mapping[str, Experiment]) -> None:
    catalog.suite_path("steplaw").parent.mkdir(parents=True)
    (cache / "suites" / "steplaw").mkdir()
    assert "steplaw" not in catalog.available()
    (cache / "suites" / "steplaw" / "suite.json").write_text("{}")
    assert "steplaw" in catalog.available()
    with pytest.raises(SuiteFormatError):
        catalog.load_suite("steplaw")


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("steplw", "no suite is called 'steplw'; did you mean 'steplaw'"),
        (
            "nothing-like-it",
            "no suite is called 'nothing-like-it'; known: admire, hwgpt, micro, regmix, steplaw",
        ),
        ("", "no suite is called ''"),
    ],
)
def test_an_unknown_suite_gets_a_suggestion(name: str, says: str) -> None:
    with pytest.raises(UnknownName, match=says):
        catalog.load_suite(name)


def test_an_unknown_experiment_gets_a_suggestion(own: Path) -> None:
    with pytest.raises(UnknownName, match="no experiment is called 'test/grpp'; did you mean 'test/grpo'"):
        catalog.load_experiment(f"{own}/grpp")


@pytest.mark.usefixtures("cache")
def test_an_id_without_a_suite_says_how_ids_read() -> None:
    with pytest.raises(UnknownName, match="An id reads SUITE/NAME"):
        catalog.load_experiment("grpo")


@pytest.mark.usefixtures("cache")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text() | st.text("./ab", max_size=9) | st.sampled_from(["x" * 300, "\x00", "\ud800", "micro/..", "~"]))
def test_any_other_name_is_a_typed_error(name: str) -> None:
    for load in (catalog.load_suite, catalog.load_experiment):
        with pytest.raises(GymError):
            load(f"no-such/{name}")
    with pytest.raises(GymError):
        catalog.load_suite(f"{name}?")
