"""The card of a collected suite: the README.md beside its tables, made from the measurements alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from llmconfig_gym.collect.driver import Row
from llmconfig_gym.collect.quality import ENOUGH, RANKED, Quality, Transfer, quality, transfers
from llmconfig_gym.collect.runners import parts_of
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
        "## Runs",
        _sweeps(rows),
        "## Experiments",
        _experiments(suite),
        "## What can be learned from them",
        _qualities(qualities),
        _verdict(qualities),
        *_families(transfers(suite)),
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


def _sweeps(rows: Sequence[Row]) -> str:
    """What was run: an architecture or a mixture is run once for several experiments."""
    lines = []
    for name in dict.fromkeys(r.run.experiment for r in rows):
        mine = [r for r in rows if r.run.experiment == name]
        lost = sum(r.measurement.status != "ok" for r in mine)
        lines.append((name, len(mine), lost, f"{sum(r.measurement.seconds for r in mine):,.0f}"))
    return _table(("sweep", "runs", "diverged or failed", "core-seconds"), lines)


def _experiments(suite: Suite) -> str:
    lines = []
    for s in suite.summaries:
        fidelity = ", ".join(f"{k} {value_text(v)}" for k, v in s.fidelity.values.items())
        cost = f"{number(s.fidelity.cost)} {s.fidelity.unit}"
        lines.append((s.id, s.task, s.level, fidelity, cost, s.configurations))
    return _table(("experiment", "task", "level", "fidelity", "cost of a run", "configurations"), lines)


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


FAMILY_HEADERS = ("family", "cheapest", "dearest", "shared", "Spearman", "the best moves", "regret of copying")


def family_rows(found: Sequence[Transfer]) -> list[tuple[object, ...]]:
    """One row per family, under `FAMILY_HEADERS`."""
    return [
        (
            t.family,
            t.low,
            t.high,
            t.shared,
            f"{t.spearman:.2f}",
            "yes" if t.moved else "no",
            "not measured there" if math.isnan(t.regret) else f"{t.regret:.3f}",
        )
        for t in found
    ]


def _families(found: Sequence[Transfer]) -> list[str]:
    """How the cheapest experiment of each family speaks for the dearest; nothing for a suite of one level."""
    if not found:
        return []
    moved, ranked = sum(t.moved for t in found), sum(t.ranked for t in found)
    return [
        "## From cheap to expensive",
        _table(FAMILY_HEADERS, family_rows(found)),
        f"The best configuration differs in {moved} of {len(found)} families; the rank correlation over the "
        f"configurations that both measured is between {RANKED[0]:g} and {RANKED[1]:g} in {ranked} of {len(found)}. "
        "Regret of copying: simple regret at the dearest experiment of what is best at the cheapest.",
    ]


def _how_to_verify(suite: Suite, manifest: Mapping[str, Any]) -> list[str]:
    if not _sources(manifest):  # the program is the user's
        return []
    return [
        f"`llmconfig-gym verify {suite.name} --rows 5` (or with the path of this directory) runs five of the runs "
        "again and compares."
    ]


def _generators(manifest: Mapping[str, Any]) -> list[str]:
    digests = _sources(manifest)
    if not digests:
        return []
    made = ", ".join(f"{part['runner']} (PyTorch {part['torch']})" for part in parts_of(manifest))
    lines = [(f"`{name}`", f"`{digest}`") for name, digest in digests]
    return ["## Generators", _table(("file", "SHA-256"), lines), f"Runners: {made}."]


def _sources(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Files of the lab with their digests, each pair once; none for a program of the user's."""
    return sorted({item for part in parts_of(manifest) for item in part.get("sources", {}).items()})


def _bullets(texts: Sequence[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)


def _table(header: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)
