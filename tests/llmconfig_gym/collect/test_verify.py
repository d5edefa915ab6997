"""Verification passes on what was measured, and sees what was changed afterwards."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llmconfig_gym.collect.driver import MANIFEST, Row, collect
from llmconfig_gym.collect.embed import embed
from llmconfig_gym.collect.pretraining import PretrainingRunner, PretrainingSetting
from llmconfig_gym.collect.raw_runs import RAW_RUNS, read_runs
from llmconfig_gym.collect.verify import Check, largest_spreads, plan, tolerance, verify
from llmconfig_gym.errors import CollectError
from llmconfig_gym.suite import Suite

pytestmark = pytest.mark.usefixtures("little_validation")


@pytest.fixture(scope="module")
def measured(
    tiny: tuple[PretrainingSetting, ...], little_validation: None, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A tiny suite, really measured. Tests copy it before they change anything."""
    place = tmp_path_factory.mktemp("measured")
    runner = PretrainingRunner(tiny)
    rows = collect(runner, place / "work", progress=False)
    embed(runner, rows, place / "tiny", name="tiny", manifest=runner.manifest(), command="...")
    return place / "tiny"


def changed(measured: Path, out: Path, by: float, *, runs_too: bool) -> Path:
    """A copy of the suite with every value moved; in its tables alone, or in its runs as well."""
    shutil.copytree(measured, out)
    rows = read_runs(measured / RAW_RUNS)
    moved = [Row(r.group, r.run, replace(r.measurement, value=(r.measurement.value or 0) + by)) for r in rows]
    runner = PretrainingRunner(settings(measured))
    if runs_too:
        embed(runner, moved, out, name="tiny", manifest=runner.manifest(), command="...")
    else:
        shutil.rmtree(out / "tables")
        runner.suite("tiny", moved).save(out / "other")
        shutil.move(out / "other" / "tables", out / "tables")
        shutil.move(out / "other" / "suite.json", out / "suite.json")
    return out


def settings(root: Path) -> tuple[PretrainingSetting, ...]:
    data = json.loads((root / MANIFEST).read_text())
    return tuple(PretrainingSetting.from_dict(s) for s in data["settings"])


def test_what_was_measured_here_passes(measured: Path) -> None:
    chosen = plan(measured, 6, seed=1)
    assert chosen.problems == chosen.notes == ()
    assert chosen.seconds > 0
    checks = verify(chosen, progress=False)
    assert len(checks) == 6
    assert all(c.ok for c in checks)
    assert all(abs(c.difference) < 1e-4 for c in checks)


def test_runs_are_drawn_over_all_experiments_without_repetition(measured: Path) -> None:
    for seed in range(5):
        rows = plan(measured, 10, seed).rows
        assert set(Counter(r.run.experiment for r in rows).values()) == {5}
        assert len({json.dumps([r.run.experiment, r.run.config, r.run.seed]) for r in rows}) == 10
    assert plan(measured, 4, 1).rows == plan(measured, 4, 1).rows != plan(measured, 4, 2).rows
    assert len(plan(measured, 36, 0).rows) == 36


def test_tables_that_do_not_follow_from_the_runs_are_seen(measured: Path, tmp_path: Path) -> None:
    root = changed(measured, tmp_path / "falsified", 0.001, runs_too=False)
    assert Suite.load(root).experiment("tiny/N3k-D1k")  # its own digests are in order
    assert len(plan(root, 1, seed=0).problems) == 2


def test_runs_that_were_never_measured_are_seen(measured: Path, tmp_path: Path) -> None:
    sigmas = largest_spreads(read_runs(measured / RAW_RUNS))
    far = 2 * max(tolerance(sigma, 1.0) for sigma in sigmas.values())
    chosen = plan(changed(measured, tmp_path / "falsified", far, runs_too=True), 4, seed=0)
    assert chosen.problems == ()
    assert not any(c.ok for c in verify(chosen, progress=False))


def test_other_code_is_noted(measured: Path, tmp_path: Path) -> None:
    shutil.copytree(measured, tmp_path / "older")
    manifest = json.loads((measured / MANIFEST).read_text())
    manifest["sources"]["train.py"] = "0" * 64
    manifest["torch"] = "1.0"
    (tmp_path / "older" / MANIFEST).write_text(json.dumps(manifest))
    first, second = plan(tmp_path / "older", 1, seed=0).notes
    assert "train.py" in first
    assert "PyTorch 1.0" in second


@pytest.mark.parametrize("count", [-1, 0, 37])
def test_a_number_of_runs_that_is_not_there(measured: Path, count: int) -> None:
    with pytest.raises(CollectError, match="has 36 runs"):
        plan(measured, count, seed=0)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "only suites made by"),
        ("{", "cannot be read"),
        ("[]", "not a sweep's manifest"),
        ("{}", "not a sweep's manifest"),
        ('{"runner": "command", "command": "touch pwned"}', "collect it again"),
        ('{"runner": "pretraining", "settings": [{"level": "low"}]}', "not a sweep's manifest"),
    ],
)
def test_suites_that_cannot_be_verified(measured: Path, tmp_path: Path, manifest: str | None, message: str) -> None:
    root = tmp_path / "suite"
    shutil.copytree(measured, root)
    (root / MANIFEST).unlink()
    if manifest is not None:
        (root / MANIFEST).write_text(manifest)
    with pytest.raises(CollectError, match=message):
        plan(root, 1, seed=0)


def test_tolerance_is_the_largest_spread_of_the_experiment(measured: Path) -> None:
    experiment = Suite.load(measured).experiment("tiny/N3k-D1k")
    rows = read_runs(measured / RAW_RUNS)
    assert experiment.spread is not None
    sigma = largest_spreads(rows)["N3k-D1k"]
    assert sigma == np.nanmax(experiment.spread)
    assert tolerance(sigma, 2.0) == 4 * math.sqrt(2) * sigma
    (unknown,) = largest_spreads([r for r in rows if r.run.experiment == "N3k-D1k" and r.run.seed == 0]).values()
    assert math.isnan(unknown)
    assert tolerance(unknown, 2.0) == 0.02


@pytest.mark.parametrize(
    ("stored", "found", "ok"), [(1.0, 1.0, True), (1.0, 1.2, False), (None, None, True), (None, 1.0, False)]
)
def test_a_check(stored: float | None, found: float | None, ok: bool) -> None:
    assert Check("e", {}, 0, stored, found, tolerance=0.1).ok is ok
    assert Check("e", {}, 0, found, stored, tolerance=0.1).ok is ok
