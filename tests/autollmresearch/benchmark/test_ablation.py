"""Ablation tables: means of groups of equal weight, paired differences, and only what can be switched off."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autollmresearch.benchmark.ablation import (
    WHOLE,
    Row,
    part_rows,
    sections,
    table,
    target_tasks,
    write_ablation,
)
from autollmresearch.benchmark.metrics import bootstrap_interval
from autollmresearch.benchmark.settings import BenchmarkSettings
from autollmresearch.dialogue import Style
from autollmresearch.policies.causal_lm import AgentSettings
from llmconfig_gym.suite import Suite

ROWS = [Row(WHOLE, "agent:a", 0.035), Row("distilled only", "agent:b", 0.144), Row("copy", "copy")]
RNG = np.random.default_rng(5)
LARGE = {row.method: RNG.random((6, 2, 3)) for row in ROWS}
SMALL = {row.method: RNG.random((1, 2, 3)) for row in ROWS}


@pytest.fixture
def frame(frame_of: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """A large and a small group under one protocol, the large one alone under another."""
    small = frame_of(SMALL, suite="few", task="mixture")
    return pd.concat([frame_of(LARGE), small, frame_of(LARGE, protocol="metered:5")])


def test_groups_weigh_the_same_however_large_they_are(frame: pd.DataFrame) -> None:
    full, metered = sections(frame, ROWS)
    assert (full.on, full.protocol) == ("mean of 2 groups", "full")
    assert (metered.on, metered.protocol) == ("mean of 1 group", "metered:5")
    assert len(full.experiments) == 7
    for row, line in zip(ROWS, full.lines, strict=True):
        large, small = LARGE[row.method], SMALL[row.method]
        for t, (mean, low, high) in enumerate(line.regret):
            assert mean == pytest.approx((large[..., t].mean() + small[..., t].mean()) / 2)
            assert (low, high) == bootstrap_interval(large[..., t], small[..., t])
        assert line.cumulative[0] == pytest.approx((large.sum(axis=-1).mean() + small.sum(axis=-1).mean()) / 2)


def test_differences_to_the_whole_agent_are_paired(frame: pd.DataFrame) -> None:
    whole, distilled, _ = sections(frame, ROWS)[1].lines
    assert whole.more is None
    difference = LARGE["agent:b"].sum(axis=-1) - LARGE["agent:a"].sum(axis=-1)
    assert distilled.more is not None
    assert distilled.more == pytest.approx((difference.mean(), *bootstrap_interval(difference)))


def test_each_suite_and_task_has_a_section_of_its_own(frame: pd.DataFrame) -> None:
    found = sections(frame, ROWS, by=("suite", "task"))
    assert [(s.on, s.protocol) for s in found] == [
        ("made, other", "full"),
        ("few, mixture", "full"),
        ("made, other", "metered:5"),
    ]
    assert found[0].lines == found[2].lines


def test_tables_show_budgets_intervals_and_what_the_paper_reports(frame: pd.DataFrame, tmp_path: Path) -> None:
    parts, groups = sections(frame, ROWS), sections(frame, ROWS, by=("suite", "task"))
    data, printed = write_ablation(tmp_path, BenchmarkSettings(budget=3), parts, groups)
    (shown,) = printed
    assert shown.headers[-3:] == ("cumulative, b=3", "more than the whole agent", "paper")
    assert [h for h in shown.headers if h.startswith("regret")] == ["regret b=1", "regret b=3"]
    assert [(r[0], r[1], r[-1]) for r in shown.rows[:3]] == [
        ("mean of 2 groups, full", "whole agent", ".035"),
        ("mean of 2 groups, full", "distilled only", ".144"),
        ("mean of 2 groups, full", "copy", "-"),
    ]
    page = (tmp_path / "ablation.md").read_text()
    assert shown.markdown() in page
    assert "few, mixture, full" in page
    assert "above 0.2 for prompted frontier models" in page
    assert json.loads((tmp_path / "ablation.json").read_text()) == json.loads(json.dumps(data))
    assert "paper" not in table("left out", sections(frame, [Row(WHOLE, "agent:a"), ROWS[2]])).headers


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        (
            Style(evidence=True),
            {
                "no evidence": ",evidence=0",
                "no fidelities or evidence": ",fidelity=0,evidence=0",
                "no demonstrations": ",top=0",
                "no demonstrations or evidence": ",top=0,evidence=0",
            },
        ),
        (Style(), {"no fidelities": ",fidelity=0", "no demonstrations": ",top=0"}),
        (Style(top=0, evidence=True, fidelity=False), {"no evidence": ",evidence=0"}),
    ],
)
def test_only_what_was_read_is_switched_off(style: Style, expected: dict[str, str]) -> None:
    rows = part_rows({"prior": Path("p"), WHOLE: Path("w")}, AgentSettings(style))
    assert rows[:2] == [Row("prior", "agent:p"), Row(WHOLE, "agent:w", 0.035)]
    assert {r.name: r.method for r in rows[2:]} == {f"{WHOLE}, {k}": f"agent:w{v}" for k, v in expected.items()}


def test_tasks_of_targets_and_the_suites_that_have_them(toy: Suite) -> None:
    settings = BenchmarkSettings(suites=("a", "b"))
    mixtures = Suite.of("toy", toy.card, [toy.experiment(s.id) for s in toy.summaries if s.task == "mixture"])
    found = target_tasks(settings, [toy, mixtures])
    assert found == {"pretraining": ("a",), "mixture": ("a", "b"), "architecture": ("a",)}
