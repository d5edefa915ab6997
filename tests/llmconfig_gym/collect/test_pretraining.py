"""The groups of the embedded suite, and a tiny sweep from its settings to a suite on disk."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llmconfig_gym.collect.driver import Run, collect
from llmconfig_gym.collect.pretraining import MICRO, PretrainingRunner, PretrainingSetting
from llmconfig_gym.collect.runners import runner_of
from llmconfig_gym.errors import CollectError
from llmconfig_gym.tasks import describe

Tiny = tuple[PretrainingSetting, ...]


def test_the_embedded_sweep_is_what_its_card_says() -> None:
    assert Counter(setting.level for setting in MICRO) == {"low": 3, "medium": 3, "high": 3}
    flops = [setting.flops for setting in MICRO]
    assert max(flops) / min(flops) == pytest.approx(64)
    assert [s.name for s in MICRO][::8] == ["N6k-D262k", "N98k-D1M"]
    groups = PretrainingRunner().groups()
    assert len({g.name for g in groups}) == len(groups) == 63
    for setting in MICRO:
        runs = Counter(json.dumps(r.config) for g in groups for r in g.runs if r.experiment == setting.name)
        assert len(runs) == 70
        assert sorted(runs.values()) == [1] * 63 + [3] * 7
    for group in groups:
        assert len({(r.config["lr"], r.seed) for r in group.runs}) == len(group.runs)
        assert len({(r.experiment, r.config["batch_size"]) for r in group.runs}) == 1
        assert group.seconds > 0


def test_a_tiny_sweep_from_settings_to_suite(tiny: Tiny, little_validation: None, tmp_path: Path) -> None:
    runner = PretrainingRunner(tiny)
    rows = collect(runner, tmp_path, progress=False)
    assert {r.measurement.status for r in rows} == {"ok"}
    assert all(2 < (r.measurement.value or 0) < 5 for r in rows)
    assert {r.measurement.details["steps"] for r in rows if r.run.experiment == tiny[0].name} == {24, 6, 3}
    suite = runner.suite("small", rows)
    assert suite.ids == ("small/N3k-D384", "small/N3k-D1k")
    low = suite.experiment("small/N3k-D384")
    assert low.replicates is not None
    assert low.replicates.tolist() == [1, 3, 1, 1] * 2 + [1, 1, 3, 1]
    replicas = [r.measurement.value for r in rows if r.run.config == {"lr": 0.004, "batch_size": 1}][:3]
    assert low.values[1] == pytest.approx(np.mean(replicas))  # type: ignore[arg-type]  # none is None
    assert low.fidelity.cost == 6 * 3072 * 384
    assert "learning rate" in describe(low)
    assert "sequences of 16 tokens" in describe(low)


def test_a_run_alone_is_the_run_in_its_group(tiny: Tiny, little_validation: None) -> None:
    runner = PretrainingRunner(tiny)
    group = runner.groups()[2]
    together = runner.measure(group)
    for index in (0, 3, 5):
        (alone,) = runner.measure(runner.alone(group.runs[index]))
        assert alone.value == pytest.approx(together[index].value, rel=1e-5)


def test_a_run_that_blows_up_is_diverged_and_has_no_value(tiny: Tiny, little_validation: None) -> None:
    runner = PretrainingRunner(tiny)
    (lost,) = runner.measure(runner.alone(Run(tiny[0].name, {"lr": 1e30, "batch_size": 4}, 0)))
    assert lost.status == "diverged"
    assert lost.value is None
    assert lost.details["train_loss"] is None
    assert lost.details["steps"] == 6


def test_the_manifest_says_it_all(tiny: Tiny) -> None:
    for runner in (PretrainingRunner(), PretrainingRunner(tiny, "cuda:1")):
        manifest = json.loads(json.dumps(runner.manifest()))
        assert runner_of(manifest, runner.device) == runner
        assert set(manifest["sources"]) == {"corpus.py", "decoder.py", "shape.py", "train.py"}
    assert PretrainingRunner(tiny).manifest() != PretrainingRunner(tiny[:1]).manifest()


def test_two_experiments_of_one_name_are_refused(tiny: Tiny) -> None:
    with pytest.raises(CollectError, match="distinct names"):
        PretrainingRunner((tiny[0], replace(tiny[0], level="high")))


def test_settings_are_read_and_suites_made_without_torch() -> None:
    code = "import sys, llmconfig_gym.collect.runners, llmconfig_gym.collect.verify; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
