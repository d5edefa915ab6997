"""Several sweeps as one: each part's runs are measured by that part, and its experiments are those it makes alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmconfig_gym.collect.composite import CompositeRunner
from llmconfig_gym.collect.driver import collect
from llmconfig_gym.collect.embed import embed, remake
from llmconfig_gym.collect.mixture import MixtureRunner, MixtureSetting
from llmconfig_gym.collect.pretraining import PretrainingRunner, PretrainingSetting
from llmconfig_gym.collect.runners import parts_of, runner_named, runner_of
from llmconfig_gym.collect.verify import plan, verify
from llmconfig_gym.errors import CollectError, UnknownName
from llmconfig_gym.suite import Suite

MIXTURE = MixtureSetting("low", 16, 32 * 8 * 2, mixtures=3, replicated=1)


@pytest.fixture
def both(tiny: tuple[PretrainingSetting, ...], monkeypatch: pytest.MonkeyPatch) -> CompositeRunner:
    monkeypatch.setattr("llmconfig_gym.collect.lab.mixture.VALIDATION_TOKENS", 1024)
    monkeypatch.setattr("llmconfig_gym.collect.lab.mixture.QUESTIONS", 16)
    return CompositeRunner((("pretraining", PretrainingRunner(tiny[:1])), ("mixture", MixtureRunner((MIXTURE,)))))


@pytest.mark.usefixtures("little_validation")
def test_two_sweeps_make_one_suite_that_verifies(both: CompositeRunner, tmp_path: Path) -> None:
    rows = collect(both, tmp_path / "work", progress=False)
    manifest = json.loads(json.dumps(both.manifest()))
    embed(both, rows, tmp_path / "both", name="both", manifest=manifest, command="...")
    suite = Suite.load(tmp_path / "both")
    assert suite.ids == (
        "both/N3k-D384",
        *(f"both/{MIXTURE.name}-{target}" for target in ("loss", "reasoning", "knowledge")),
    )
    for _, part in both.parts:
        mine = {r.experiment for g in part.groups() for r in g.runs}
        alone = part.suite("both", [r for r in rows if r.run.experiment in mine])
        assert all(suite.summary(i) == alone.summary(i) for i in alone.ids)
    assert [s.digest for s in remake(tmp_path / "both", "both").summaries] == [s.digest for s in suite.summaries]

    card = (tmp_path / "both" / "README.md").read_text()
    assert "| N3k-D384 | 18 | 0 |" in card
    assert f"| {MIXTURE.name} | 5 | 0 |" in card
    assert "`answers.py`" in card
    assert "- mixture: " in card
    assert "- pretraining: " in card

    chosen = plan(tmp_path / "both", 4, seed=0)
    assert {r.run.experiment for r in chosen.rows} == {"N3k-D384", MIXTURE.name}
    assert chosen.problems == chosen.notes == ()
    assert all(c.ok for c in verify(chosen, progress=False))


def test_it_comes_back_from_its_manifest(both: CompositeRunner) -> None:
    manifest = json.loads(json.dumps(both.manifest()))
    assert runner_of(manifest) == both
    assert [p["runner"] for p in parts_of(manifest)] == ["pretraining", "mixture"]
    assert parts_of(manifest["parts"][0]) == [manifest["parts"][0]]


def test_names_are_distinct_over_all_parts(tiny: tuple[PretrainingSetting, ...]) -> None:
    with pytest.raises(CollectError, match="distinct names"):
        CompositeRunner((("a", PretrainingRunner(tiny)), ("b", PretrainingRunner(tiny[:1]))))


def test_the_embedded_sweep_is_all_four_tasks_and_any_part_of_it() -> None:
    micro = runner_named("micro")
    assert isinstance(micro, CompositeRunner)
    assert [name for name, _ in micro.parts] == ["pretraining", "architecture", "mixture", "grpo"]
    some = runner_named("micro", ["mixture-N6k-D262k", "N6k-D262k"])
    assert {r.experiment for g in some.groups() for r in g.runs} == {"mixture-N6k-D262k", "N6k-D262k"}
    assert isinstance(runner_named("micro", ["N6k-D262k"]), PretrainingRunner)
    assert runner_named("mixture") == MixtureRunner()
    with pytest.raises(UnknownName, match="did you mean 'mixture-N6k-D262k'"):
        runner_named("micro", ["mixture-N6k-D262"])


@pytest.mark.parametrize(
    "manifest",
    [
        {"runner": "composite"},
        {"runner": "composite", "parts": [{"runner": "command", "command": "touch pwned"}]},
        {"runner": "composite", "parts": 3},
        {"runner": "composite", "parts": ["pretraining"]},
    ],
)
def test_a_manifest_from_elsewhere_is_never_executed(manifest: dict[str, object]) -> None:
    with pytest.raises(CollectError):
        runner_of(manifest)
