"""Ablation: what each part of a trained agent is worth, told from the rows of benchmarks.

Suites differ in size, so a mean over several of them is one of groups (a suite's experiments of one task), all of the
same weight; within a group it is the benchmark's own: over experiments and seeds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from autollmresearch.benchmark.metrics import bootstrap_interval
from autollmresearch.benchmark.settings import BenchmarkSettings
from autollmresearch.benchmark.summary import cube, shown_budgets
from autollmresearch.benchmark.tables import Table, digits, signed
from llmconfig_gym.files import write_text
from llmconfig_gym.parameter import FloatArray

if TYPE_CHECKING:
    import pandas as pd

    from autollmresearch.policies.causal_lm import AgentSettings
    from llmconfig_gym.suite import Suite

WHOLE = "whole agent"
BESIDE = ("copy", "analyst")
"""What every table shows beside the agents."""

NOTES = (
    "Simple regret after b trials and cumulative regret, on the clipped scale of the benchmark, with 95 % bootstrap "
    "intervals over experiments and seeds within them. A mean over groups gives each suite's experiments of one task "
    "the same weight. 'More than the whole agent': paired difference of cumulative regret, with its interval.",
    "The whole agent is the prior's model distilled, then reinforced; 'distilled only' and 'RL only' leave one of both "
    "out. A row with 'no' is the whole agent, shown less. Evidence rests on fidelities, so who hides these hides both.",
    "An agent trained without a task never saw a landscape or an experiment of it; its tokenizer knows the words, and "
    "the analyst's evidence that it reads was not trained. It had fewer rows to learn from.",
    "Paper: regret as reported by Guo et al., arXiv 2605.11518, for distilled only, RL only and both. It also reports "
    "0.01-0.03 for its 4B agent and above 0.2 for prompted frontier models. Its setting is another: a pretrained model "
    "of 4B parameters without our prior or evidence, its own tables and splits, its own scale and budget of regret. "
    "Orders may be compared, sizes may not.",
)

Estimate: TypeAlias = tuple[float, float, float]
"""A mean with the low and high end of its interval."""


@dataclass(frozen=True)
class Row:
    """A method under the name that tables give it, and the regret that the paper reports for its like."""

    name: str
    method: str
    paper: float | None = None


@dataclass(frozen=True)
class Line:
    """What came of a row.

    Attributes:
        name, method, paper: of the row.
        regret: simple regret after each trial.
        cumulative: regret of all trials together.
        more: paired difference of `cumulative` to the whole agent; None for itself.
    """

    name: str
    method: str
    paper: float | None
    regret: tuple[Estimate, ...]
    cumulative: Estimate
    more: Estimate | None


@dataclass(frozen=True)
class Section:
    """All rows on the same experiments under one protocol."""

    on: str
    protocol: str
    experiments: tuple[str, ...]
    lines: tuple[Line, ...]


def part_rows(checkpoints: Mapping[str, Path], agent: AgentSettings) -> list[Row]:
    """The rows that show what a part is worth: one per checkpoint, and the whole agent with parts of its prompt off.

    Args:
        checkpoints: of `untrained`, `prior`, `distilled only`, `RL only` and the whole agent, by name.
        agent: how it is asked; what it was not trained to read is not switched off.
    """
    style = agent.style
    paper = {"distilled only": 0.144, "RL only": 0.190, WHOLE: 0.035}
    trained = [Row(name, f"agent:{path}", paper.get(name)) for name, path in checkpoints.items()]
    evidence = {"evidence": "evidence=0"} if style.evidence else {}
    fidelities = {"fidelities": "fidelity=0"} if style.fidelity else {}
    demonstrations = {"demonstrations": "top=0"} if style.top else {}
    switched = [evidence, fidelities and {**fidelities, **evidence}, demonstrations]
    switched += [{**demonstrations, **evidence}] if demonstrations and evidence else []
    return trained + [
        Row(f"{WHOLE}, no {' or '.join(off)}", ",".join([f"agent:{checkpoints[WHOLE]}", *off.values()]))
        for off in switched
        if off
    ]


def target_tasks(settings: BenchmarkSettings, suites: Sequence[Suite]) -> dict[str, tuple[str, ...]]:
    """Tasks that have targets, and the suites (as the settings name them) that they are in."""
    tasks: dict[str, tuple[str, ...]] = {}
    for name, suite in zip(settings.suites, suites, strict=True):
        targets = [s for s in suite.summaries if s.level == settings.level and suite.cheaper(s.id)]
        for task in dict.fromkeys(s.task for s in targets):
            tasks[task] = (*tasks.get(task, ()), name)
    return tasks


def sections(frame: pd.DataFrame, rows: Sequence[Row], by: Sequence[str] = ()) -> list[Section]:
    """A section for each protocol and each value of the columns `by`, in the frame's own order."""
    result = []
    for key, part in frame.groupby(["protocol", *by], sort=False):
        protocol, *which = map(str, key)
        groups = [group for _, group in part.groupby(["suite", "task"], sort=False)]
        on = ", ".join(which) or f"mean of {len(groups)} group{'s' * (len(groups) > 1)}"
        result.append(section(on, protocol, groups, rows))
    return result


def section(on: str, protocol: str, groups: Sequence[pd.DataFrame], rows: Sequence[Row]) -> Section:
    """These rows on groups of experiments, all groups with the same weight; one row is that of the whole agent."""
    (whole,) = (row for row in rows if row.name == WHOLE)
    regret = {row: [cube(g, row.method, "simple_regret") for g in groups] for row in rows}
    total = {row: [cube(g, row.method, "cumulative_regret")[..., -1] for g in groups] for row in rows}
    lines = [
        Line(
            **asdict(row),
            regret=tuple(_estimate([c[..., t] for c in regret[row]]) for t in range(regret[row][0].shape[-1])),
            cumulative=_estimate(total[row]),
            more=_estimate([a - b for a, b in zip(total[row], total[whole], strict=True)]) if row != whole else None,
        )
        for row in rows
    ]
    return Section(on, protocol, tuple(e for g in groups for e in g["experiment"].unique()), tuple(lines))


def _estimate(groups: Sequence[FloatArray]) -> Estimate:
    """Of [experiments, seeds] values of each group."""
    return (sum(float(g.mean()) for g in groups) / len(groups), *bootstrap_interval(*groups))


def table(title: str, shown: Sequence[Section]) -> Table:
    """Sections one below the other."""
    trials = len(shown[0].lines[0].regret)
    budgets = shown_budgets(trials)
    paper = any(line.paper is not None for s in shown for line in s.lines)
    headers = (
        *("on", "agent", *(f"regret b={b}" for b in budgets), f"cumulative, b={trials}", f"more than the {WHOLE}"),
        *(("paper",) if paper else ()),
    )
    cells = [
        (
            *(f"{s.on}, {s.protocol}", line.name, *(_text(line.regret[b - 1]) for b in budgets)),
            *(_text(line.cumulative), _text(line.more) if line.more else "-"),
            *((digits(line.paper) if line.paper is not None else "-",) if paper else ()),
        )
        for s in shown
        for line in s.lines
    ]
    return Table(title, headers, tuple(cells))


def _text(estimate: Estimate) -> str:
    mean, low, high = (signed(value) for value in estimate)
    return f"{mean} [{low}, {high}]"


def write_ablation(
    out: Path,
    settings: BenchmarkSettings,
    parts: Sequence[Section] = (),
    groups: Sequence[Section] = (),
    left_out: Sequence[Section] = (),
) -> tuple[dict[str, object], list[Table]]:
    """Write `ablation.md` and `ablation.json` into `out`; returns what is in the second, and the tables to print.

    Args:
        parts: means over all groups.
        groups: the same on each suite and task; in the files alone, there may be many.
        left_out: agents that were trained without a task, on its experiments.
    """
    titles = {"parts": "What each part is worth", "left_out": "Tasks left out", "groups": "By suite and task"}
    shown = {"parts": parts, "left_out": left_out, "groups": groups}
    data: dict[str, object] = {"settings": {k: v for k, v in asdict(settings).items() if k != "methods"}}
    data |= {kind: [asdict(s) for s in some] for kind, some in shown.items()} | {"notes": NOTES}
    tables = [table(titles[kind], some) for kind, some in shown.items() if some]
    facts = f"Targets: {settings.level} fidelity, {settings.budget} trials, {settings.seeds} seeds."
    page = ["# Ablation", facts, *(f"## {t.title}\n\n{t.markdown()}" for t in tables), *NOTES]
    write_text(out / "ablation.md", "\n\n".join(page) + "\n")
    write_text(out / "ablation.json", json.dumps(data, indent=1) + "\n")
    return data, tables[:-1] if groups else tables
