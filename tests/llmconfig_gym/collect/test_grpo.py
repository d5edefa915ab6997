"""The GRPO runner: what is measured, that a micro sweep resumes to the same rows, and the suite made of them."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from llmconfig_gym.collect import grpo
from llmconfig_gym.collect.driver import Group, Measurement, Row, collect
from llmconfig_gym.collect.grpo import GRPORunner
from llmconfig_gym.collect.grpo_settings import MICRO, SPACE, GRPOSetting, configurations
from llmconfig_gym.errors import CollectError
from llmconfig_gym.tasks import describe

torch.set_num_threads(1)
TINY = GRPOSetting("low", "sorting", 16, 128, 1e-3, layers=1, prompts=64, held_out=100, base_accuracy=0.03)


@pytest.fixture
def micro(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three configurations rather than 112, at two numbers of prompts, one of them with three seeds."""
    few = [c for c in configurations() if c["prompts_per_step"] in (4, 8)]
    chosen = [few[0], few[1], next(c for c in few if c["prompts_per_step"] == 8)]
    monkeypatch.setattr(grpo, "configurations", lambda: chosen)
    monkeypatch.setattr(grpo, "PROMPTS_PER_STEP", (4, 8))
    monkeypatch.setattr(grpo, "_replicated", lambda setting, configs: configs[-1:])


def _timeless(rows: list[Row]) -> list[Row]:
    return [dataclasses.replace(r, measurement=dataclasses.replace(r.measurement, seconds=0.0)) for r in rows]


def test_the_fraction_is_balanced() -> None:
    configs = configurations()
    assert len(configs) >= 54
    assert len({tuple(c.values()) for c in configs}) == len(configs)
    for name in SPACE.names:
        counts = Counter(c[name] for c in configs)
        assert len(counts) == len(SPACE[name].options)  # type: ignore[attr-defined]
        assert max(counts.values()) - min(counts.values()) <= 1
    for a, b in combinations(SPACE.names, 2):
        pairs = Counter((c[a], c[b]) for c in configs)
        assert len(pairs) == len(SPACE[a].options) * len(SPACE[b].options)  # type: ignore[attr-defined]


def test_the_sweep_has_every_configuration_once_and_replicates_at_every_number_of_prompts() -> None:
    runner = GRPORunner()
    groups = runner.groups()
    assert len({g.name for g in groups}) == len(groups)
    for setting in MICRO:
        runs = [r for g in groups for r in g.runs if r.experiment == setting.name]
        first = [tuple(r.config.values()) for r in runs if r.seed == 0]
        assert Counter(first) == Counter(tuple(c.values()) for c in configurations())
        repeated = Counter(tuple(r.config.values()) for r in runs if r.seed > 0)
        assert set(repeated.values()) == {2}
        assert Counter(config[1] for config in repeated) == dict.fromkeys(grpo.PROMPTS_PER_STEP, 2)
    for group in groups:
        (prompts,) = {r.config["prompts_per_step"] for r in group.runs}
        assert isinstance(prompts, int)
        assert len(group.runs) * prompts * MICRO[0].group_size <= grpo.STACK


def test_levels_rise_in_cost_and_share_their_families() -> None:
    for name in ("addition", "sorting"):
        ours = [s for s in MICRO if s.family == name]
        assert [s.level for s in ours] == ["low", "medium", "high"]
        assert ours[0].flops * 3 < ours[1].flops < ours[2].flops / 2


def test_cost_counts_every_pass() -> None:
    tokens = TINY.answers * (7 + 6)
    forward = TINY.shape.flops_per_token / 3
    assert TINY.flops == pytest.approx(tokens * forward * (1 + 1 + 4 * 3))


@pytest.mark.usefixtures("micro")
def test_a_micro_sweep_is_resumed_to_the_same_rows_and_makes_a_suite(tmp_path: Path) -> None:
    runner = GRPORunner((TINY,), bases=tmp_path / "bases")
    rows = collect(runner, tmp_path / "sweep", progress=False)
    assert len(rows) == 3 + 2 * 2
    assert {r.measurement.status for r in rows} == {"ok"}
    table = tmp_path / "sweep" / "runs.jsonl"
    table.write_bytes(table.read_bytes()[:-200])  # killed in the middle of a row
    assert _timeless(collect(runner, tmp_path / "sweep", progress=False)) == _timeless(rows)

    suite = runner.suite("tiny", rows)
    (name,) = suite.ids
    experiment = suite.experiment(name)
    assert name == "tiny/grpo-sorting-n3072-a128"
    assert experiment.task == "grpo"
    assert experiment.metric.direction == "maximize"
    assert set(experiment.details) == set(grpo.METRIC_DETAILS) == set(rows[0].measurement.details)
    assert experiment.replicates is not None
    assert experiment.spread is not None
    assert experiment.replicates.tolist() == [3 if n else 1 for n in np.isfinite(experiment.spread)]
    assert experiment.noise > 0
    told = experiment.tell(rows[0].run.config)
    assert told.kind == "measured"
    assert told.value is not None
    assert 0 <= told.value <= 1
    suite.save(tmp_path / "suite")


@pytest.mark.usefixtures("micro")
def test_diverged_runs_leave_their_configuration_without_a_value() -> None:
    runner = GRPORunner((TINY,))
    rows = []
    for group in runner.groups():
        for run in group.runs:
            lost = run.config == grpo.configurations()[0]
            measurement = Measurement(None, "diverged") if lost else Measurement(0.25, "ok", {"kl": 0.5})
            rows.append(Row(group.name, run, measurement))
    experiment = runner.suite("tiny", rows).experiment("tiny/grpo-sorting-n3072-a128")
    assert np.isnan(experiment.values[0])
    assert experiment.values[1:].tolist() == [0.25, 0.25]
    assert experiment.tell(grpo.configurations()[0]).message == "the run diverged: it gave no value."
    assert np.isnan(experiment.details["kl"][0])


@pytest.mark.usefixtures("micro")
def test_the_description_says_what_a_researcher_needs_and_no_id() -> None:
    runner = GRPORunner((TINY,))
    rows = [Row(g.name, r, Measurement(0.25, "ok")) for g in runner.groups() for r in g.runs]
    text = describe(runner.suite("tiny", rows).experiment("tiny/grpo-sorting-n3072-a128"))
    for words in ("sort four letters", "more prompts per step mean fewer steps", "higher is better", "clip_range"):
        assert words in text
    assert "a128" not in text
    assert text.isascii()


def test_the_manifest_names_the_code_and_not_where_bases_are() -> None:
    assert GRPORunner(bases=Path("a")).manifest() == GRPORunner(bases=Path("b")).manifest()
    assert "sampling.py" in GRPORunner().manifest()["sources"]
    assert GRPORunner((TINY,)).manifest() != GRPORunner().manifest()


def test_a_run_alone_is_the_run_in_its_stack(tmp_path: Path) -> None:
    runner = GRPORunner((TINY,), bases=tmp_path)
    group = Group("g", runner.groups()[-1].runs[:2])
    for run, stacked in zip(group.runs, runner.measure(group), strict=True):
        alone = runner.alone(run)
        (found,) = runner.measure(alone)
        assert found.value == pytest.approx(stacked.value, abs=1e-3)
        assert 0 < alone.seconds < 2


def test_a_setting_comes_back_from_its_manifest() -> None:
    runner = GRPORunner()
    manifest = json.loads(json.dumps(runner.manifest()))
    assert tuple(GRPOSetting.from_dict(data) for data in manifest["settings"]) == runner.settings


def test_settings_must_have_names_of_their_own() -> None:
    for settings in ((), (TINY, TINY)):
        with pytest.raises(CollectError, match="distinct names"):
            GRPORunner(settings)
