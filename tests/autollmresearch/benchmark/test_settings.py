"""Settings: checked before anything is run or written, and told apart by their digest."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autollmresearch.benchmark.settings import BenchmarkSettings
from autollmresearch.errors import InvalidProtocol, InvalidSettings, UnknownMethod
from autollmresearch.policies.agent import checkpoint_digest
from llmconfig_gym.errors import SuiteFormatError, UnknownName
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.suite import Card, Suite


@pytest.fixture
def settings(toy_path: Path) -> BenchmarkSettings:
    return BenchmarkSettings((str(toy_path),), ("full", "metered:05"), ("random", "copy"), budget=3, seeds=2)


def test_settings_are_resolved_to_the_names_that_results_carry(settings: BenchmarkSettings) -> None:
    resolved, suites = settings.resolve()
    assert resolved == replace(settings, suites=("toy",), protocols=("full", "metered:5"))
    assert [s.name for s in suites] == ["toy"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": ()}, "methods must be one or more distinct names, found none"),
        ({"methods": ("copy", "copy")}, "methods must be one or more distinct names, found copy, copy"),
        ({"protocols": ()}, "protocols must be one or more distinct names, found none"),
        ({"protocols": ("metered:5", "metered:05")}, "protocols must be .* distinct names, found metered:5, metered:5"),
        ({"suites": ()}, "suites must be one or more distinct names, found none"),
        ({"budget": 0}, "budget must be at least 1, found 0"),
        ({"budget": -3}, "budget must be at least 1, found -3"),
        ({"seeds": 0}, "seeds must be at least 1, found 0"),
        ({"level": "low"}, "level must be medium or high .*, found 'low'"),
    ],
)
def test_settings_that_cannot_be_run_are_refused(
    settings: BenchmarkSettings, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidSettings, match=message):
        replace(settings, **change).resolve()


def test_what_is_unknown_is_refused_by_its_own_error(settings: BenchmarkSettings, tmp_path: Path) -> None:
    with pytest.raises(UnknownMethod, match="did you mean 'random'"):
        replace(settings, methods=("randm",)).resolve()
    with pytest.raises(InvalidProtocol, match="did you mean 'full'"):
        replace(settings, protocols=("ful",)).resolve()
    with pytest.raises(UnknownName, match="did you mean 'micro'"):
        replace(settings, suites=("micr",)).resolve()
    (tmp_path / "suite.json").write_text("{")
    with pytest.raises(SuiteFormatError, match=r"suite\.json cannot be read"):
        replace(settings, suites=(str(tmp_path),)).resolve()


def test_one_suite_by_two_paths_is_refused(settings: BenchmarkSettings, toy_path: Path, tmp_path: Path) -> None:
    (tmp_path / "again").symlink_to(toy_path)
    with pytest.raises(InvalidSettings, match="suites must be one or more distinct names, found toy, toy"):
        replace(settings, suites=(str(toy_path), str(tmp_path / "again"))).resolve()


def test_a_suite_with_nothing_cheaper_to_learn_from_is_refused(
    settings: BenchmarkSettings, line: Callable[..., Experiment], tmp_path: Path
) -> None:
    Suite.of("lines", Card("synthetic"), [line([1.0, 2.0])]).save(tmp_path / "lines")
    with pytest.raises(InvalidSettings, match="suite lines has no high experiment with a cheaper one to learn from"):
        replace(settings, suites=(str(tmp_path / "lines"),)).resolve()


def test_the_manifest_is_json_with_every_setting_and_every_table(settings: BenchmarkSettings, toy: Suite) -> None:
    resolved, suites = settings.resolve()
    manifest = json.loads(json.dumps(resolved.manifest(suites)))
    assert BenchmarkSettings(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in manifest["settings"].items()}
    ) == (resolved)
    assert manifest["tables"] == {s.id: s.digest for s in toy.summaries}
    assert len(manifest["digest"]) == 64


def test_the_digest_is_another_for_any_other_setting(settings: BenchmarkSettings) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"protocols": ("full",)},
        {"methods": ("copy", "random")},
        {"methods": ("random",)},
        {"budget": 4},
        {"seeds": 3},
        {"level": "medium"},
    ]
    digests = []
    for change in changes * 2:
        resolved, suites = replace(settings, **change).resolve()
        digests.append(resolved.manifest(suites)["digest"])
    assert len(set(digests)) == len(changes)
    assert digests[: len(changes)] == digests[len(changes) :]


def test_the_digest_is_another_for_another_table_of_the_same_name(
    settings: BenchmarkSettings, toy: Suite, tmp_path: Path
) -> None:
    experiments = [toy.experiment(i) for i in toy.ids]
    values = experiments[0].values.copy()
    values[3] += 1e-9
    Suite.of("toy", toy.card, [replace(experiments[0], values=values), *experiments[1:]]).save(tmp_path / "toy")
    digests = []
    for path in (settings.suites[0], str(tmp_path / "toy")):
        resolved, suites = replace(settings, suites=(path,)).resolve()
        digests.append(resolved.manifest(suites)["digest"])
    assert digests[0] != digests[1]


def digest_of(settings: BenchmarkSettings) -> str:
    resolved, suites = settings.resolve()
    return str(resolved.manifest(suites)["digest"])


def test_the_digest_is_another_for_another_checkpoint_in_the_same_place(
    settings: BenchmarkSettings, checkpoint: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    mine = replace(settings, methods=("random", f"agent:{copy}"))
    before = digest_of(mine)
    assert digest_of(mine) == before
    resolved, suites = mine.resolve()
    assert resolved.manifest(suites)["models"] == {f"agent:{copy}": {"files": checkpoint_digest(checkpoint)}}
    (copy / "agent.json").write_text((copy / "agent.json").read_text() + " ")
    assert digest_of(mine) != before


def test_the_digest_is_another_for_another_server_and_holds_no_secret(
    settings: BenchmarkSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = replace(settings, methods=("endpoint:m",))
    digests = []
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-mine")
    for url in ("http://me:hunter22@localhost:8000/v1", "http://localhost:9000/v1"):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        digests.append(digest_of(mine))
    assert digests[0] != digests[1]
    monkeypatch.setenv("OPENAI_BASE_URL", "http://me:other@localhost:8000/v2")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    assert digest_of(mine) == digests[0]
    resolved, suites = mine.resolve()
    manifest = resolved.manifest(suites)
    assert manifest["models"] == {"endpoint:m": {"model": "m", "host": "localhost:8000"}}
    assert not any(secret in json.dumps(manifest) for secret in ("hunter22", "other", "sk-"))


def test_without_language_models_the_manifest_names_none(settings: BenchmarkSettings) -> None:
    resolved, suites = settings.resolve()
    assert "models" not in resolved.manifest(suites)
