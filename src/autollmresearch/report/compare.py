"""Two runs against each other: plain JSON data of what differs, on what both of them have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from autollmresearch.benchmark.metrics import bootstrap_interval
from autollmresearch.benchmark.summary import cube, method_order
from autollmresearch.benchmark.tables import Table, digits, signed
from autollmresearch.live.propose import best_trial
from autollmresearch.live.study import LiveStudy
from llmconfig_gym.text import number

if TYPE_CHECKING:
    import pandas as pd


def compare_benchmarks(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, Any]:
    """Regret of every method that both have, paired over the experiments and seeds that both have, by group."""
    groups = ["suite", "task", "protocol"]
    tables = []
    for key, mine in first[first["cumulative_regret"].notna()].groupby(groups, sort=False):
        theirs = second[(second[groups] == list(key)).all(axis=1) & second["cumulative_regret"].notna()]
        rows = [row for m in method_order(list(mine["method"].unique())) if (row := _paired(m, mine, theirs))]
        if rows:
            headers = ("method", "pairs", "trial", "regret, first", "regret, second", "second - first [95 %]")
            suite, task, protocol = key
            tables.append(asdict(Table(f"{suite} ({task}), protocol {protocol}", headers, tuple(rows))))
    text = (
        "Simple regret at the last trial that both have, on the experiments and seeds that both have; negative: the "
        "second run is better. The interval is a 95 % bootstrap over experiments and seeds; '(tie)' where it holds 0."
    )
    return {"text": text if tables else "The two have no method and experiment in common.", "tables": tables}


def _paired(method: str, first: pd.DataFrame, second: pd.DataFrame) -> tuple[str, ...] | None:
    pair = [frame[frame["method"] == method] for frame in (first, second)]
    for column in ("experiment", "seed", "trial"):
        both = set(pair[0][column]) & set(pair[1][column])
        pair = [frame[frame[column].isin(both)] for frame in pair]
    if any(frame.empty for frame in pair):
        return None
    a, b = (cube(frame, method, "simple_regret")[..., -1] for frame in pair)
    low, high = bootstrap_interval(b - a)
    tie = "" if low > 0 or high < 0 else " (tie)"
    gap = f"{signed(float((b - a).mean()))} [{signed(low)}, {signed(high)}]{tie}"
    last = str(int(pair[0]["trial"].max()))
    return method, str(a.size), last, digits(float(a.mean())), digits(float(b.mean())), gap


def compare_studies(studies: Sequence[LiveStudy]) -> dict[str, Any]:
    """What two studies asked and found, line by line."""
    columns = [_lines(study) for study in studies]
    rows = tuple((name, *(column[name] for column in columns)) for name in columns[0])
    table = Table("The two studies", ("", *(study.name for study in studies)), rows)
    metrics = {(s.spec.metric.name, s.spec.metric.direction) for s in studies}
    text = "" if len(metrics) == 1 else "They measure different things, so their values cannot be compared."
    return {"text": text, "tables": [asdict(table)]}


def _lines(study: LiveStudy) -> dict[str, str]:
    from autollmresearch.report.landscape import run_text

    spec, trials = study.spec, study.trials()
    best = best_trial(spec, trials)
    return {
        "metric": f"{spec.metric.name}, {spec.metric.direction}d",
        "fidelity": spec.fidelity.text(),
        "proposed by": spec.policy,
        "cheaper runs": str(sum(len(r.losses) for r in spec.cheaper)),
        "trials": f"{len(trials)} of {spec.budget}",
        "failed": str(sum(t.status == "failed" for t in trials)),
        "best value": "-" if best is None else f"{number(best.value or 0.0, 5)} (trial {best.number})",
        "best configuration": "-" if best is None else run_text(best.config),
    }
