"""A benchmark as the page shows it: plain JSON data from its rows, settings and what it keeps beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autollmresearch.benchmark.metrics import NOT_APPLICABLE
from autollmresearch.benchmark.plots import DARK, style
from autollmresearch.benchmark.record import EPISODES, TARGETS
from autollmresearch.benchmark.runner import read_manifest
from autollmresearch.benchmark.standing import Standing, standings
from autollmresearch.benchmark.summary import Group, method_order, summarize
from autollmresearch.benchmark.tables import (
    NOTES,
    Section,
    Table,
    by_trial,
    facts,
    first_choices,
    group_section,
    not_applicable,
    standing_section,
)
from autollmresearch.errors import ResultsMismatch
from autollmresearch.report.conversation import episode_of
from autollmresearch.report.landscape import Axis, axis_from_dict, code_of, rounded, run_text
from llmconfig_gym.files import read_lines
from llmconfig_gym.plain import is_number, is_text
from llmconfig_gym.text import number

if TYPE_CHECKING:
    import pandas as pd

_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What plain Python raises of JSON that is something else."""

LINES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}
MARKERS = {
    **{"o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down"},
    **{"P": "cross", "X": "x", "*": "star", "<": "triangle-left"},
}
"""What plotly calls the lines and markers of the pictures."""


def benchmark_run(out: Path, frame: pd.DataFrame) -> dict[str, Any]:
    """What the page shows of the benchmark in `out`, whose rows these are.

    Raises:
        ResultsMismatch: `out` holds no settings, or damaged files.
    """
    manifest = read_manifest(out)
    targets, episodes = _read_targets(out), _read_episodes(out)
    return {
        "kind": "benchmark",
        "name": "Benchmark",
        "facts": [facts(manifest)],
        "methods": looks(method_order(list(frame["method"].unique()))),
        "standings": [_standing(s) for s in standings(frame)],
        "groups": [_group(g) for g in summarize(frame)],
        "costs": asdict(_costs(frame)),
        "experiments": [
            _experiment(str(name), rows, targets.get(str(name)), episodes.get(str(name), []))
            for name, rows in frame.groupby("experiment", sort=False)
        ],
        "notes": list(NOTES),
        "settings": json.dumps(manifest, indent=1),
    }


def looks(methods: list[str]) -> list[dict[str, str]]:
    """Name, colour on a light and on a dark ground, line and marker of each method, as in the pictures."""
    result = []
    for method in methods:
        look = style(method)
        colour = look["color"]
        line, marker = LINES[look["linestyle"]], MARKERS[look["marker"]]
        result.append(
            {"name": method, "light": colour, "dark": DARK.get(colour, colour), "dash": line, "symbol": marker}
        )
    return result


def _section(s: Section) -> dict[str, Any]:
    return {"title": s.title, "size": s.size, "tables": [asdict(table) for table in (s.table, *s.more)]}


def _standing(standing: Standing) -> dict[str, Any]:
    """A standing, its ranks and by how much two of them must differ; null where there is no such test."""
    return {
        **_section(standing_section(standing)),
        "ranks": [{"method": p.method, "rank": rounded(p.rank)} for p in standing.places],
        "critical": rounded(standing.critical),
    }


def _group(group: Group) -> dict[str, Any]:
    return {**_section(group_section(group)), **_curves(group)}


def _curves(group: Group) -> dict[str, Any]:
    paid = group.protocol.startswith("active:")
    return {
        "axis": f"cost spent, in parts of {group.budget}" if paid else "trials on the target",
        "curves": [
            {"method": m.method}
            | {name: [rounded(v, 4) for v in getattr(m, name).tolist()] for name in ("regret", "low", "high")}
            for m in group.methods
        ],
    }


def _costs(frame: pd.DataFrame) -> Table:
    """What all proposals of each method took together."""
    served = frame[frame["outcome"] != NOT_APPLICABLE]
    sums = served.groupby("method")[["seconds", "read_tokens", "written_tokens", "cost"]].sum()
    counts = served.groupby("method").size()
    headers = ("method", "proposals", "seconds in all", "tokens read", "tokens written", "price")
    rows = []
    for method in method_order(list(sums.index)):
        spent = sums.loc[method]
        tokens = (f"{spent[k]:,.0f}" if spent[k] else "-" for k in ("read_tokens", "written_tokens"))
        price = f"{spent['cost']:.4g}" if spent["cost"] else "-"
        rows.append((method, str(counts[method]), f"{spent['seconds']:.2f}", *tokens, price))
    return Table("What all proposals took", headers, tuple(rows))


@dataclass(frozen=True)
class _Target:
    """What the benchmark kept of an experiment's table: its landscape's axes, what the page shows, cheaper runs."""

    axes: tuple[Axis, ...]
    shown: Mapping[str, Any]
    evidence: Table


_UNKNOWN: Mapping[str, Any] = {
    "facts": ["This benchmark was made before tables were kept for its report."],
    "metric": "",
    "direction": "minimize",
    "axes": [],
    "layers": [],
    "worst": None,
    "optimum": None,
}
"""What the page shows of an experiment whose table was not kept."""


def _target(data: Mapping[str, Any]) -> _Target:
    """One of `targets.json`. Raises the errors of plain Python where `data` is something else."""
    axes = tuple(axis_from_dict(a) for a in data["axes"])
    known = data["layer"]
    layer = {"label": known["label"], "codes": known["codes"], "values": known["values"]}
    layer |= {key: int(known[key]) for key in ("runs", "cells")}
    texts = (data["fidelity"], data["metric"], layer["label"], *layer["codes"])
    numbers = (data["best"]["value"], *layer["values"], *([] if data["worst"] is None else [data["worst"]]))
    if not all(map(is_text, texts)) or not all(map(is_number, numbers)) or len(layer["codes"]) != len(layer["values"]):
        raise ValueError("a landscape has as many values as codes")
    if data["direction"] not in ("minimize", "maximize"):
        raise ValueError("a metric is minimized or maximized")
    shown = {
        "facts": _facts(data),
        "metric": data["metric"],
        "direction": data["direction"],
        "axes": [{"name": a["name"], "labels": a["labels"]} for a in data["axes"]],
        "layers": [layer],
        "worst": data["worst"],
        "optimum": _optimum(data, axes),
    }
    return _Target(axes, shown, _evidence(data))


def _experiment(
    name: str, rows: pd.DataFrame, target: _Target | None, episodes: list[dict[str, Any]]
) -> dict[str, Any]:
    """One experiment: regret, its landscape, every method's path in the first seed, first choices, conversations."""
    shown = rows.assign(config=rows["config"].astype(str).map(_text))
    axes = target.axes if target else ()
    seed = min(rows["seed"].tolist())
    served = rows[(rows["seed"] == seed) & (rows["outcome"] != NOT_APPLICABLE)]
    paths = [
        _path(method, str(protocol), mine, axes)
        for method in method_order(list(served["method"].unique()))
        for protocol, mine in served[served["method"] == method].groupby("protocol", sort=False)
    ]
    return {
        "name": name,
        **(target.shown if target else _UNKNOWN),
        "seed": seed,
        "results": [_result(group, shown[shown["protocol"] == group.protocol]) for group in summarize(rows)],
        "paths": paths,
        "tables": [asdict(target.evidence)] if target else [],
        "episodes": episodes,
    }


def _result(group: Group, rows: pd.DataFrame) -> dict[str, Any]:
    """What came of one experiment under one protocol."""
    return {
        **_curves(group),
        "protocol": group.protocol,
        "size": " ".join((f"Mean over {group.seeds} seeds; 95 % intervals over these alone.", *not_applicable(group))),
        "tables": [asdict(by_trial(group)), asdict(first_choices(group.protocol, rows))],
    }


def _facts(target: Mapping[str, Any]) -> list[str]:
    return [
        f"{target['fidelity']}. {target['metric']}, {target['direction']}d; {target['layer']['runs']} configurations "
        f"were measured; the best is {number(target['best']['value'], 5)} at {run_text(target['best']['config'])}."
    ]


def _evidence(target: Mapping[str, Any]) -> Table:
    """The cheaper experiments that a method may learn from."""
    rows = ((c["fidelity"], str(c["runs"]), number(c["value"], 5), run_text(c["config"])) for c in target["cheaper"])
    return Table("Cheaper experiments, all that was measured", ("fidelity", "runs", "best value", "at"), tuple(rows))


def _optimum(target: Mapping[str, Any], axes: Sequence[Axis]) -> dict[str, Any]:
    best = target["best"]
    return {"code": code_of(axes, best["config"]), "value": best["value"], "text": run_text(best["config"])}


def _path(method: str, protocol: str, rows: pd.DataFrame, axes: Sequence[Axis]) -> dict[str, Any]:
    trials = []
    for row in rows.sort_values("trial").itertuples():
        config = _config(str(row.config))
        trials.append(
            {
                "n": row.trial,
                "code": code_of(axes, config) if config is not None else "",
                "value": rounded(float(row.value)),  # type: ignore[arg-type]
                "text": _text(str(row.config)),
                "state": str(row.outcome),
            }
        )
    return {"method": method, "protocol": protocol, "trials": trials}


def _text(text: str) -> str:
    """A configuration of the rows for readers; words as they are."""
    config = _config(text)
    return text if config is None else run_text(config)


def _config(text: str) -> dict[str, Any] | None:
    """A configuration that the rows hold as JSON; None for words."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return config if isinstance(config, dict) else None


def _read_targets(out: Path) -> dict[str, _Target]:
    path = out / TARGETS
    if not path.is_file():
        return {}
    try:
        return {name: _target(data) for name, data in json.loads(path.read_text(encoding="utf-8")).items()}
    except _DAMAGE:
        raise ResultsMismatch(f"{path} is damaged; remove it, and the report does without landscapes") from None


def _read_episodes(out: Path) -> dict[str, list[dict[str, Any]]]:
    """The conversations by experiment."""
    path, found = out / EPISODES, dict[str, list[dict[str, Any]]]()
    try:
        for line in read_lines(path) if path.is_file() else []:
            data = json.loads(line)
            found.setdefault(str(data["experiment"]), []).append(episode_of(data))
    except _DAMAGE:
        raise ResultsMismatch(f"{path} is damaged; remove it, and the report does without conversations") from None
    return found
