"""The architecture runner: which architectures, what each costs, and the nine trade-offs made of one run."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from llmconfig_gym.collect.architecture import COSTS, DETAILS, MICRO, WEIGHTS, ArchitectureRunner, ArchitectureSetting
from llmconfig_gym.collect.driver import Measurement, Row, collect
from llmconfig_gym.collect.runners import runner_of
from llmconfig_gym.errors import CollectError
from llmconfig_gym.tasks import describe

TINY = ArchitectureSetting(
    "low", 32 * 16 * 4, (1, 2, 3, 4), (8, 16, 32), (1, 2, 4, 8), (1, 2, 4), measured=4, replicated=1
)


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch, little_validation: None) -> None:
    monkeypatch.setattr("llmconfig_gym.collect.lab.latency.forward_seconds", lambda shape, device: shape.layers / 1e3)


def test_the_embedded_sweep_is_what_its_card_says() -> None:
    assert [s.level for s in MICRO] == ["low", "medium", "high"]
    groups = ArchitectureRunner().groups()
    assert len({g.name for g in groups}) == len(groups) == 3 * 64
    for setting in MICRO:
        runs = Counter(json.dumps(r.config) for g in groups for r in g.runs if r.experiment == setting.name)
        assert sorted(runs.values()) == [1] * 56 + [3] * 8
    for group in groups:
        assert len({json.dumps(r.config) for r in group.runs}) == 1
        assert group.seconds > 0


def test_scales_share_their_architectures_by_position() -> None:
    low, medium, high = MICRO
    here = low.configurations()
    for level in (medium, high):
        moved = [level.space.translate(c, low.space) for c in here]
        assert all(level.space.same(a, b) for a, b in zip(moved, level.configurations(), strict=True))
    mean = [np.mean([s.shape(c).flops_per_token * s.tokens for c in s.configurations()]) for s in MICRO]
    assert mean[1] > 1.5 * mean[0]
    assert mean[2] > 1.5 * mean[1]


def test_a_quarter_of_the_architectures_shows_the_ends_and_all_others_are_inside() -> None:
    ends = []
    for config in MICRO[0].configurations():
        axes = zip(MICRO[0].space.parameters, config.values(), strict=True)
        ends.append([(p.name, v) for p, v in axes if v in (p.levels[0], p.levels[-1])])  # type: ignore[attr-defined]
    counts = Counter(end for some in ends for end in some)
    assert all(len(some) == (place % 4 == 3) for place, some in enumerate(ends))
    assert set(counts.values()) == {2}
    assert len(counts) == 8


def test_every_architecture_can_be_built_and_the_learning_rate_falls_with_width() -> None:
    for setting in MICRO:
        configs = setting.configurations()
        assert len({tuple(c.values()) for c in configs}) == len(configs) == setting.measured
        assert all(setting.shape(c).parameters > 0 for c in configs)
    assert ArchitectureSetting.lr(64) == pytest.approx(ArchitectureSetting.lr(16) / 4)


@pytest.mark.usefixtures("_quick")
def test_a_tiny_sweep_becomes_nine_experiments(tmp_path: Path) -> None:
    runner = ArchitectureRunner((TINY,))
    rows = collect(runner, tmp_path, progress=False)
    assert len(rows) == 4 + 2
    assert {r.measurement.status for r in rows} == {"ok"}
    suite = runner.suite("tiny", rows)
    assert len(suite.ids) == 9
    loss = np.array([np.mean([r.measurement.value for r in rows if r.run.config == c]) for c in TINY.configurations()])
    scaled = (loss - loss.min()) / np.ptp(loss)
    for cost, (detail, _) in COSTS.items():
        for weight in WEIGHTS:
            e = suite.experiment(f"tiny/{TINY.name}-{cost}-w{weight}")
            assert (e.task, e.family) == ("architecture", f"{cost}-w{weight}")
            paid = e.details[detail]
            np.testing.assert_allclose(e.values, scaled + weight * (paid - paid.min()) / np.ptp(paid), rtol=1e-9)
            assert set(e.details) == set(DETAILS)
    e = suite.experiment(f"tiny/{TINY.name}-parameters-w0.3")
    shape = TINY.shape(e.pool.config(0))
    assert e.details["all_parameters"][0] == shape.all_parameters
    assert e.details["flops_per_token"][0] == shape.flops_per_token
    assert e.replicates is not None
    assert e.replicates.tolist() == [3, 1, 1, 1]
    assert e.noise > 0


def test_a_run_that_diverged_has_no_value_and_bends_no_scale() -> None:
    runner = ArchitectureRunner((TINY,))
    configs = [g.runs[0].config for g in runner.groups()]
    rows: list[Row] = []
    for place, group in enumerate(runner.groups()):
        details = {name: float(place + 1) for name in DETAILS} if place else {**dict.fromkeys(DETAILS, 1.0)}
        lost = {**details, "validation_loss": None}
        for run in group.runs:
            measured = (
                Measurement(None, "diverged", lost)
                if place == 3
                else Measurement(details["validation_loss"], "ok", details)
            )
            rows.append(Row(group.name, run, measured))
    e = runner.suite("tiny", rows).experiment(f"tiny/{TINY.name}-flops-w0.7")
    assert e.pool.config(3) == configs[3]
    assert np.isnan(e.values[3])
    # losses 1, 2, 3 and costs 1, 2, 3, 4: scaled by their own ranges
    np.testing.assert_allclose(e.values[:3], [0.0, 1 / 2 + 0.7 / 3, 1 + 0.7 * 2 / 3])


@pytest.mark.usefixtures("_quick")
def test_a_run_alone_is_the_run_in_its_group() -> None:
    runner = ArchitectureRunner((TINY,))
    group = runner.groups()[0]
    for run, together in zip(group.runs, runner.measure(group), strict=True):
        (alone,) = runner.measure(runner.alone(run))
        assert alone.value == pytest.approx(together.value, rel=1e-4)


def test_the_description_says_what_a_researcher_needs() -> None:
    runner = ArchitectureRunner((TINY,))
    rows = [
        Row(g.name, r, Measurement(2.0 + i, "ok", dict.fromkeys(DETAILS, 1.0 + i)))
        for i, g in enumerate(runner.groups())
        for r in g.runs
    ]
    text = describe(runner.suite("tiny", rows).experiment(f"tiny/{TINY.name}-latency-w1.5"))
    for words in ("1.5 times relative cost", "time of one forward pass", "lower is better", "mlp_ratio"):
        assert words in text


def test_a_setting_comes_back_from_its_manifest_and_names_are_distinct() -> None:
    runner = ArchitectureRunner((TINY, *MICRO))
    assert runner_of(json.loads(json.dumps(runner.manifest()))) == runner
    assert "latency.py" in runner.manifest()["sources"]
    with pytest.raises(CollectError, match="5 architectures cannot be drawn from a grid with 4 combinations"):
        dataclasses.replace(TINY, measured=5)
    with pytest.raises(CollectError, match="distinct names"):
        ArchitectureRunner((TINY, TINY))
