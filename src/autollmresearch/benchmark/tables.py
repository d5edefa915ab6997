"""Tables of a benchmark: every number that a report says, as text cells, ready for any format."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autollmresearch.benchmark.settings import BenchmarkSettings
from autollmresearch.benchmark.standing import Standing
from autollmresearch.benchmark.summary import Group, MethodSummary, method_order, shown_budgets

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
            *(_interval(m, b - 1) for b in group.shown),
            f"{m.cumulative[-1]:.2f}",
            f"{m.rank[-1]:.1f}",
            _behind(m),
            share(float(m.within_noise[-1])),
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


def by_trial(group: Group) -> Table:
    """Mean simple regret with its interval after every trial: the numbers of the regret curves."""
    trials = range(group.budget)
    rows = tuple((m.method, *(_interval(m, t) for t in trials)) for m in group.methods)
    return Table(f"Mean simple regret, protocol {group.protocol}", ("method", *(f"b={t + 1}" for t in trials)), rows)


def overall(standing: Standing) -> Table:
    """All methods over all experiments: ranks, distance to the best, experiments won, tied and lost, time."""
    headers = (
        "method",
        "average rank",
        "rank at b=1",
        "regret per trial",
        "behind the best" if standing.against == standing.places[0].method else f"behind {standing.against}",
        "won / tied / lost",
        "s / proposal",
    )
    rows = tuple(
        (
            p.method,
            f"{p.rank:.2f}",
            f"{p.first:.2f}",
            digits(p.regret),
            _gap(p.behind) if p.method != standing.against else "-" if i else "best",
            f"{p.won} / {p.tied} / {p.lost}" if p.method != standing.against else "-",
            f"{p.seconds:.3f}",
        )
        for i, p in enumerate(standing.places)
    )
    return Table(f"All {standing.experiments} experiments, protocol {standing.protocol}", headers, rows)


def digits(value: float) -> str:
    """A regret with three decimals, without the leading zero: `.017`, `1.00`."""
    if math.isnan(value):
        return "-"
    text = f"{value:.3f}"
    return text[1:] if text.startswith("0.") else f"{value:.2f}"


def _interval(m: MethodSummary, trial: int) -> str:
    """The mean regret after this trial, counted from 0, with its interval."""
    return f"{digits(m.regret[trial])} [{digits(m.low[trial])}, {digits(m.high[trial])}]"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _behind(m: MethodSummary) -> str:
    return _gap(m.behind) if any(m.behind) else "best"


def _gap(gap: tuple[float, float, float]) -> str:
    """A paired difference with its interval."""
    mean, low, high = gap
    verdict = "" if low > 0 or high < 0 else " (tie)"  # less than the best: the oracle
    return f"{signed(mean)} [{signed(low)}, {signed(high)}]{verdict}"


def signed(value: float) -> str:
    """`digits` of a number that may be negative."""
    return f"-{digits(-value)}" if value < 0 else digits(value)


def share(value: float) -> str:
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
    "All experiments: average rank by the mean regret of all trials of an episode, and by the first trial's simple "
    "regret; regret per trial with every suite's experiments of one task weighing the same; behind the best and won, "
    "tied, lost: against the method with the best rank, paired. Two ranks that differ by less than the critical "
    "difference (Nemenyi's test at 5 %) cannot be told apart (Demsar 2006): the picture beside report.md joins them by "
    "bars, report.html draws half of the difference to either side of each rank.",
    "Under active:B a method pays for every run, B runs of the target in all, and b of T stands for b / T of B spent: "
    "regret is then that of the configuration it recommends, alone, of which it is told nothing; cumulative sums "
    "these, and time and tokens are per such part.",
)


def size_text(group: Group) -> str:
    text = f"{len(group.experiments)} experiments, {group.seeds} seeds: {', '.join(group.experiments)}."
    return " ".join((text, *not_applicable(group)))


def not_applicable(group: Group) -> list[str]:
    """A sentence for every method that cannot serve the group."""
    return [f"Not applicable: {method} ({reason})." for method, reason in group.missing]


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        title, size: what it is about, and what it rests on.
        table, more: the numbers that matter, and further ones.
        alt: what its picture shows, if it has one.
    """

    title: str
    size: str
    table: Table
    more: tuple[Table, ...] = ()
    alt: str = ""


def standing_section(standing: Standing) -> Section:
    """How the methods compare over everything, and how sure that is."""
    table = overall(standing)
    parts = [f"{standing.experiments} experiments."]
    if len(standing.places) > 2:
        parts.append(
            f"Ranks that differ by less than {standing.critical:.2f} cannot be told apart. "
            f"Friedman's test that all methods are the same: p = {standing.chance:.2g}."
        )
    if standing.missing:
        parts.append(f"Not on all of them, so without a place: {', '.join(standing.missing)}.")
    alt = "Average ranks of the methods, and which cannot be told apart; the table holds the ranks."
    return Section(table.title, " ".join(parts), table, alt=alt)


def group_section(group: Group) -> Section:
    """One suite's experiments of one task under one protocol."""
    alt = "Mean simple regret against trials for each method; the table holds the numbers."
    return Section(group.title, size_text(group), headline(group), (scales(group),), alt)


def first_choices(protocol: str, rows: pd.DataFrame) -> Table:
    """One experiment under one protocol: what each method most often chose first, and what came of it."""
    seeds, budget = rows["seed"].nunique(), int(rows["trial"].max())
    shown = shown_budgets(budget)
    cells = []
    for method in method_order(list(rows["method"].unique())):
        mine = rows[rows["method"] == method]
        regret = mine.groupby("trial")["simple_regret"].mean()
        total = float(mine.loc[mine["trial"] == budget, "cumulative_regret"].mean())
        choice, count = Counter(mine.loc[mine["trial"] == 1, "config"]).most_common(1)[0]
        served = not math.isnan(total)  # else the reason stands in place of a choice
        cells.append(
            (
                method,
                choice,
                share(count / seeds) if served else "not applicable",
                *(digits(float(regret[b])) for b in shown),
                f"{total:.2f}" if served else "-",
            )
        )
    headers = ("method", "first choice", "of seeds", *(f"regret b={b}" for b in shown), "cumulative")
    return Table(f"Most frequent first choice, protocol {protocol}, {seeds} seeds", headers, tuple(cells))


def facts(manifest: dict[str, Any]) -> str:
    """With what a benchmark was made."""
    s = BenchmarkSettings(**manifest["settings"])
    return (
        f"Targets: {s.level} fidelity. {s.budget} trials per episode, {s.seeds} seeds. "
        f"Version {manifest['version']}, settings digest {manifest['digest'][:12]}."
    )
