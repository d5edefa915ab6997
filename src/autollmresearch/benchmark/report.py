"""Report: `report.md`, `report.html` and regret curves, made from a benchmark's rows and settings alone."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autollmresearch.benchmark.plots import save_curves
from autollmresearch.benchmark.runner import read_manifest
from autollmresearch.benchmark.summary import Group, MethodSummary, summarize
from llmconfig_gym.files import write_text

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """A titled table of text cells, ready for any format."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """The table in GitHub's Markdown."""
        from tabulate import tabulate

        return tabulate(self.rows, self.headers, tablefmt="pipe", disable_numparse=True)

    def plain(self) -> str:
        """The table for a terminal."""
        from tabulate import tabulate

        return tabulate(self.rows, self.headers, tablefmt="simple", disable_numparse=True)


def headline(group: Group) -> Table:
    """Mean simple regret with intervals, cumulative regret, ranks, distance to the best method, time.

    Where a method is a language model that counts its tokens: tokens per proposal and what all of them cost.
    """
    last = group.budget
    counted = any(m.read_tokens or m.written_tokens for m in group.methods)
    priced = any(m.cost for m in group.methods)
    headers = (
        "method",
        *(f"regret b={b}" for b in group.shown),
        "cumulative",
        "average rank",
        f"behind the best, b={last}",
        "within noise",
        "s / proposal",
        *(("tokens read / proposal", "written / proposal") if counted else ()),
        *(("cost, all proposals",) if priced else ()),
    )
    rows = tuple(
        (
            m.method,
            *(f"{digits(m.regret[b - 1])} [{digits(m.low[b - 1])}, {digits(m.high[b - 1])}]" for b in group.shown),
            f"{m.cumulative[-1]:.2f}",
            f"{m.rank[-1]:.1f}",
            _behind(m),
            _share(float(m.within_noise[-1])),
            f"{m.seconds:.3f}",
            *((_tokens(m.read_tokens), _tokens(m.written_tokens)) if counted else ()),
            *((f"{m.cost:.4g}" if m.cost else "-",) if priced else ()),
        )
        for m in group.methods
    )
    return Table(group.title, headers, rows)


def scales(group: Group) -> Table:
    """The same results on the other scales: unclipped, over (median - best), and as percent excess."""
    headers = (
        "method",
        *(f"unclipped b={b}" for b in group.shown),
        *(f"/(median-best) b={b}" for b in group.shown),
        *(f"excess % b={b}" for b in group.shown),
    )
    rows = tuple(
        (
            m.method,
            *(digits(m.unclipped[b - 1]) for b in group.shown),
            *(digits(m.median_regret[b - 1]) for b in group.shown),
            *(_percent(float(m.excess_percent[b - 1])) for b in group.shown),
        )
        for m in group.methods
    )
    return Table(f"{group.title}: other scales", headers, rows)


def digits(value: float) -> str:
    """A regret with three decimals, without the leading zero: `.017`, `1.00`."""
    if math.isnan(value):
        return "-"
    text = f"{value:.3f}"
    return text[1:] if text.startswith("0.") else f"{value:.2f}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _behind(m: MethodSummary) -> str:
    mean, low, high = m.behind
    if mean == low == high == 0:
        return "best" if mean == 0 else ""
    verdict = "" if low > 0 else " (tie)"
    return f"{digits(mean)} [{signed(low)}, {digits(high)}]{verdict}"


def signed(value: float) -> str:
    """`digits` of a number that may be negative."""
    return f"-{digits(-value)}" if value < 0 else digits(value)


def _share(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{100 * value:.0f} %"


def _tokens(mean: float) -> str:
    return f"{mean:.0f}" if mean else "-"


NOTES = (
    "Simple regret at b is (best of the first b trials - best in the table) / (worst - best), averaged over "
    "experiments and seeds; where the suite says so, worst is clipped at a multiple of best so that diverged runs do "
    "not flatten the scale. Brackets are 95 % bootstrap intervals over experiments and seeds within them.",
    "Cumulative: sum of every trial's regret over the episode; a duplicate or invalid trial counts as 1. Average rank: "
    "by simple regret at the last trial, 1 is best, ties share. Behind the best: paired difference to the method with "
    "the least mean at the last trial; '(tie)' where its interval holds 0. Within noise: share of episodes "
    "that end within one standard deviation of a single run of the best value.",
    "Under active:B a method pays for every run, B runs of the target in all, and b of T stands for b / T of B spent: "
    "regret is then that of the configuration it recommends, alone, of which it is told nothing; cumulative sums "
    "these, and time and tokens are per such part.",
)


def write_report(out: Path, frame: pd.DataFrame) -> Path:
    """Write `report.md`, `report.html` and the pictures into `out`; returns the HTML's path."""
    manifest = read_manifest(out)
    groups = list(summarize(frame))
    pictures = [save_curves(group, out) for group in groups]
    write_text(out / "report.md", _markdown(groups, pictures, manifest))
    write_text(out / "report.html", _html(groups, pictures, manifest))
    return out / "report.html"


def _markdown(groups: list[Group], pictures: list[Path], manifest: dict[str, Any]) -> str:
    parts = ["# Benchmark", _facts(manifest), *NOTES]
    for group, picture in zip(groups, pictures, strict=True):
        parts += [f"## {group.title}", _size(group), headline(group).markdown(), f"![regret curves]({picture.name})"]
        parts += ["### Other scales", scales(group).markdown()]
    return "\n\n".join(parts) + "\n"


def _html(groups: list[Group], pictures: list[Path], manifest: dict[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("autollmresearch.benchmark"), autoescape=True, undefined=StrictUndefined
    )
    images = [base64.b64encode(p.read_bytes()).decode() for p in pictures]
    sections = [
        {"title": g.title, "size": _size(g), "tables": [headline(g), scales(g)], "image": i, "anchor": f"group-{n}"}
        for n, (g, i) in enumerate(zip(groups, images, strict=True))
    ]
    page = environment.get_template("report.html.jinja")
    return page.render(sections=sections, notes=NOTES, facts=_facts(manifest), manifest=json.dumps(manifest, indent=1))


def _facts(manifest: dict[str, Any]) -> str:
    s = manifest["settings"]
    return (
        f"Targets: {s['level']} fidelity. {s['budget']} trials per episode, {s['seeds']} seeds. "
        f"Version {manifest['version']}, settings digest {manifest['digest'][:12]}."
    )


def _size(group: Group) -> str:
    return f"{len(group.experiments)} experiments, {group.seeds} seeds: {', '.join(group.experiments)}."
