"""The embedded suite: it follows from its runs, its lab has not changed since, and it can teach something."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from llmconfig_gym.catalog import suite_path
from llmconfig_gym.collect.card import render_card
from llmconfig_gym.collect.embed import CARD, CONTENTS, read_manifest, remake
from llmconfig_gym.collect.grpo_settings import GRPOSetting
from llmconfig_gym.collect.quality import quality, transfers
from llmconfig_gym.collect.raw_runs import RAW_RUNS, read_runs
from llmconfig_gym.collect.runners import runner_named
from llmconfig_gym.experiment import LEVELS
from llmconfig_gym.suite import Suite
from llmconfig_gym.tasks import describe

ROOT = suite_path("micro")


@pytest.fixture(scope="module")
def micro() -> Suite:
    return Suite.load(ROOT)


def test_suite_and_card_follow_from_the_runs(micro: Suite, tmp_path: Path) -> None:
    remade = remake(ROOT, "micro")
    remade.save(tmp_path / "micro")
    # suite.json holds a digest over the bytes of each table's columns; `experiment` checks it against the file
    assert (tmp_path / "micro" / "suite.json").read_bytes() == (ROOT / "suite.json").read_bytes()
    for id_ in micro.ids:
        assert micro.experiment(id_).values.tobytes() == remade.experiment(id_).values.tobytes()
    command = "llmconfig-gym collect --out micro"
    card = render_card(remade, read_runs(ROOT / RAW_RUNS), read_manifest(ROOT), command)
    assert card == (ROOT / CARD).read_text(encoding="utf-8")


def test_the_lab_is_still_the_one_that_made_it() -> None:
    stored, now = read_manifest(ROOT), json.loads(json.dumps(runner_named("micro").manifest()))
    for manifest in (stored, now):
        for part in manifest["parts"]:
            part["torch"] = "any"
    assert stored == now


def test_every_run_of_the_sweep_is_there_once() -> None:
    rows = read_runs(ROOT / RAW_RUNS)
    assert [r.run for r in rows] == [run for group in runner_named("micro").groups() for run in group.runs]
    assert all(r.measurement.device and r.measurement.seconds > 0 for r in rows)
    assert sum(r.measurement.seconds for r in rows) < 8 * 3600


def test_it_holds_all_four_tasks_at_three_levels(micro: Suite) -> None:
    experiments = Counter(s.task for s in micro.summaries)
    assert experiments == {"pretraining": 9, "architecture": 27, "mixture": 9, "grpo": 6}
    for task in experiments:
        assert {s.level for s in micro.summaries if s.task == task} == {*LEVELS}
    for id_ in micro.ids:
        experiment = micro.experiment(id_)
        assert len(experiment.pool) >= 48
        assert experiment.replicates is not None
        assert (experiment.replicates >= 3).mean() >= 0.08
        assert experiment.noise > 0
        assert describe(experiment).isascii()


def test_the_card_names_every_experiment_that_falls_short(micro: Suite) -> None:
    found = [quality(micro.experiment(i)) for i in micro.ids]
    poor = [q for q in found if q.shortcomings]
    card = (ROOT / CARD).read_text(encoding="utf-8")
    for q in poor:
        assert f"- {q.experiment}: {'; '.join(q.shortcomings)}." in card
    assert sum(not q.edges for q in found) >= 0.7 * len(found)


def test_what_is_best_changes_from_cheap_to_expensive(micro: Suite) -> None:
    found = transfers(micro)
    assert len(found) == len({s.family for s in micro.summaries}) == 1 + 9 + 3 + 2
    assert sum(t.moved for t in found) >= len(found) / 2


def test_base_policies_start_where_tuning_matters_and_bad_settings_collapse(micro: Suite) -> None:
    (part,) = (p for p in read_manifest(ROOT)["parts"] if p["runner"] == "grpo")
    starts = {s.name: s.base_accuracy for s in map(GRPOSetting.from_dict, part["settings"])}
    for name, start in starts.items():
        assert 0.1 <= start <= 0.6
        values = micro.experiment(f"micro/{name}").values
        assert values.max() > start + 0.05
        assert values.min() < start / 10


def test_the_best_configuration_moves_with_fidelity(micro: Suite) -> None:
    levels = {level: [e for e in micro.split(level) if e.task == "pretraining"] for level in LEVELS}
    best = {level: [quality(e).best for e in some] for level, some in levels.items()}
    assert all(config not in best["high"] for config in best["low"])
    low, high = (np.mean([np.log2(q["lr"]) for q in best[level]]) for level in ("low", "high"))  # type: ignore[arg-type]
    assert low - high > 1  # the larger models want less than half the learning rate


def test_more_compute_of_one_kind_gives_a_lower_loss(micro: Suite) -> None:
    summaries = [s for s in micro.summaries if s.task == "pretraining"]
    found = {tuple(s.fidelity.values.values()): micro.experiment(s.id).best for s in summaries}
    sizes, tokens = (sorted({key[axis] for key in found}) for axis in (0, 1))  # type: ignore[type-var]  # numbers
    assert all(found[a, d] > found[b, d] for d in tokens for a, b in pairwise(sizes))
    assert all(found[n, a] > found[n, b] for n in sizes for a, b in pairwise(tokens))


def test_it_is_small_and_holds_nothing_else() -> None:
    assert {p.name for p in ROOT.iterdir()} == CONTENTS
    assert sum(p.stat().st_size for p in ROOT.rglob("*") if p.is_file()) < 5e6
