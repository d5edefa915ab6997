"""The embedded suite: it follows from its runs, its lab has not changed since, and it can teach something."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from llmconfig_gym.catalog import suite_path
from llmconfig_gym.collect.card import render_card
from llmconfig_gym.collect.driver import Runner
from llmconfig_gym.collect.embed import CARD, CONTENTS, read_manifest, remake
from llmconfig_gym.collect.grpo import GRPORunner
from llmconfig_gym.collect.pretraining import PretrainingRunner
from llmconfig_gym.collect.quality import quality
from llmconfig_gym.collect.raw_runs import RAW_RUNS, read_runs
from llmconfig_gym.experiment import LEVELS
from llmconfig_gym.suite import Suite

ROOT = suite_path("micro")
EMBEDDED = pytest.mark.parametrize(
    ("name", "runner", "command"),
    [
        ("micro", PretrainingRunner(), "llmconfig-gym collect --out micro"),
        ("micro-grpo", GRPORunner(), "llmconfig-gym collect --out micro-grpo --runner grpo"),
    ],
)


@pytest.fixture(scope="module")
def micro() -> Suite:
    return Suite.load(ROOT)


@EMBEDDED
def test_suite_and_card_follow_from_the_runs(name: str, runner: Runner, command: str, tmp_path: Path) -> None:
    root = suite_path(name)
    stored, remade = Suite.load(root), remake(root, name)
    remade.save(tmp_path / name)
    # suite.json holds a digest over the bytes of each table's columns; `experiment` checks it against the file
    assert (tmp_path / name / "suite.json").read_bytes() == (root / "suite.json").read_bytes()
    for id_ in stored.ids:
        assert stored.experiment(id_).values.tobytes() == remade.experiment(id_).values.tobytes()
    card = render_card(remade, read_runs(root / RAW_RUNS), read_manifest(root), command)
    assert card == (root / CARD).read_text(encoding="utf-8")


@EMBEDDED
def test_the_lab_is_still_the_one_that_made_it(name: str, runner: Runner, command: str) -> None:
    stored, now = read_manifest(suite_path(name)), json.loads(json.dumps(runner.manifest()))
    assert {**stored, "torch": "any"} == {**now, "torch": "any"}


@EMBEDDED
def test_every_run_of_the_sweep_is_there_once(name: str, runner: Runner, command: str) -> None:
    rows = read_runs(suite_path(name) / RAW_RUNS)
    assert [r.run for r in rows] == [run for group in runner.groups() for run in group.runs]
    assert all(r.measurement.device and r.measurement.seconds > 0 for r in rows)


def test_it_is_large_enough_to_learn_from(micro: Suite) -> None:
    assert len(micro.ids) >= 6
    for level in LEVELS:
        assert len(micro.split(level)) >= 2
    costs = [s.fidelity.cost for s in micro.summaries]
    assert max(costs) / min(costs) >= 30
    for id_ in micro.ids:
        experiment = micro.experiment(id_)
        assert len(experiment.pool) >= 40
        assert experiment.replicates is not None
        assert (experiment.replicates >= 3).mean() >= 0.1
        assert experiment.noise > 0


def test_the_card_names_every_experiment_that_falls_short(micro: Suite) -> None:
    poor = [q for q in (quality(micro.experiment(i)) for i in micro.ids) if q.shortcomings]
    card = (ROOT / CARD).read_text(encoding="utf-8")
    for q in poor:
        assert f"- {q.experiment}: {'; '.join(q.shortcomings)}." in card
    assert len(poor) <= 0.3 * len(micro.ids)


def test_the_best_configuration_moves_with_fidelity(micro: Suite) -> None:
    best = {level: [quality(e).best for e in micro.split(level)] for level in LEVELS}
    assert all(config not in best["high"] for config in best["low"])
    low, high = (np.mean([np.log2(q["lr"]) for q in best[level]]) for level in ("low", "high"))  # type: ignore[arg-type]
    assert low - high > 1  # the larger models want less than half the learning rate


def test_more_compute_of_one_kind_gives_a_lower_loss(micro: Suite) -> None:
    found = {tuple(s.fidelity.values.values()): micro.experiment(s.id).best for s in micro.summaries}
    sizes, tokens = (sorted({key[axis] for key in found}) for axis in (0, 1))  # type: ignore[type-var]  # numbers
    assert all(found[a, d] > found[b, d] for d in tokens for a, b in pairwise(sizes))
    assert all(found[n, a] > found[n, b] for n in sizes for a, b in pairwise(tokens))


def test_it_is_small_and_holds_nothing_else() -> None:
    assert {p.name for p in ROOT.iterdir()} == CONTENTS
    assert sum(p.stat().st_size for p in ROOT.rglob("*") if p.is_file()) < 1e6
