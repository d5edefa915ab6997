"""The card of a collected suite: the README.md beside its tables, made from the measurements alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from llmconfig_gym.collect.driver import Row
from llmconfig_gym.collect.quality import ENOUGH, Quality, quality
from llmconfig_gym.suite import Suite
from llmconfig_gym.text import number, value_text


def render_card(suite: Suite, rows: Sequence[Row], manifest: Mapping[str, Any], command: str) -> str:
    """The card as Markdown.

    Args:
        rows: the runs that the suite was made of.
        manifest: what decided the numbers (`Runner.manifest`).
        command: what a user types to make the suite again.
    """
    qualities = [quality(suite.experiment(i)) for i in suite.ids]
    parts = [
        f"# {suite.name}",
        f"{suite.card.title}.",
        "This page is written by `llmconfig_gym.collect.card` from the measurements beside it.",
        "## How it was made",
        f"```sh\n{command}\n```",
        _bullets([_effort(rows), *suite.card.notes]),
        "## Files",
        _bullets(
            [
                "`suite.json`, `tables/`: the suite, one table per experiment.",
                "`runs.parquet`: every run as measured, with seed, details, seconds and device. The suite is made from "
                "it alone.",
                "`sweep.json`: what decided the numbers: all settings, and digests of the code where it is ours.",
            ]
        ),
        *_how_to_verify(suite, manifest),
        "## Experiments",
        _experiments(suite, rows),
        "## What can be learned from them",
        _qualities(qualities),
        _verdict(qualities),
        *_generators(manifest),
    ]
    return "\n\n".join(parts) + "\n"


def _effort(rows: Sequence[Row]) -> str:
    seconds = sum(r.measurement.seconds for r in rows)
    devices = Counter(r.measurement.device for r in rows)
    where = "; ".join(f"{device} ({count} runs)" for device, count in sorted(devices.items()))
    seeds = sorted({r.run.seed for r in rows})
    return (
        f"{len(rows)} runs with seeds {', '.join(map(str, seeds))}. In all they took {seconds:,.0f} core-seconds "
        f"({seconds / 3600:.1f} core-hours), as the clock ran on a machine that may have been shared. Device: {where}."
    )


def _experiments(suite: Suite, rows: Sequence[Row]) -> str:
    lines = []
    for s in suite.summaries:
        mine = [r for r in rows if f"{suite.name}/{r.run.experiment}" == s.id]
        lost = sum(r.measurement.status != "ok" for r in mine)
        seconds = sum(r.measurement.seconds for r in mine)
        fidelity = ", ".join(f"{k} {value_text(v)}" for k, v in s.fidelity.values.items())
        cost = f"{number(s.fidelity.cost)} {s.fidelity.unit}"
        lines.append((s.id, s.level, fidelity, cost, s.configurations, len(mine), lost, f"{seconds:,.0f}"))
    header = (
        "experiment",
        "level",
        "fidelity",
        "cost of a run",
        "configurations",
        "runs",
        "diverged or failed",
        "core-seconds",
    )
    return _table(header, lines)


def _qualities(qualities: Sequence[Quality]) -> str:
    lines = []
    for q in qualities:
        best = ", ".join(f"{k} {value_text(v)}" for k, v in q.best.items())
        edge = f"no: {', '.join(q.edges)}" if q.edges else "yes"
        told = (f"{q.value:.4f}", edge, f"{q.gap:.4f}", f"{q.noise:.4f}", f"{q.ratio:.1f}")
        lines.append((q.experiment, best, *told, q.replicated, "no" if q.shortcomings else "yes"))
    header = (
        "experiment",
        "best configuration",
        "value",
        "inside the grid",
        "median - best",
        "noise floor",
        "ratio",
        "replicated",
        "informative",
    )
    return _table(header, lines)


def _verdict(qualities: Sequence[Quality]) -> str:
    rule = (
        "An experiment is informative if its best lies strictly inside the range of every ordered parameter and "
        f"(median - best) is at least {ENOUGH:g} times the noise floor."
    )
    poor = [q for q in qualities if q.shortcomings]
    if not poor:
        return f"{rule} All {len(qualities)} are."
    listed = _bullets([f"{q.experiment}: {'; '.join(q.shortcomings)}." for q in poor])
    return f"{rule} Uninformative: {len(poor)} of {len(qualities)}.\n\n{listed}"


def _how_to_verify(suite: Suite, manifest: Mapping[str, Any]) -> list[str]:
    if "sources" not in manifest:  # the program is the user's
        return []
    return [
        f"`llmconfig-gym verify {suite.name} --rows 5` (or with the path of this directory) runs five of the runs "
        "again and compares."
    ]


def _generators(manifest: Mapping[str, Any]) -> list[str]:
    if "sources" not in manifest:
        return []
    lines = [(f"`{name}`", f"`{digest}`") for name, digest in manifest["sources"].items()]
    return [
        "## Generators",
        _table(("file", "SHA-256"), lines),
        f"Runner: {manifest['runner']}, PyTorch {manifest['torch']}.",
    ]


def _bullets(texts: Sequence[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)


def _table(header: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)
