"""Evidence from a user's file of cheaper runs: what a study may know before its first trial.

The file is read as `llmconfig-gym import` reads it (roles are guessed, units parsed, runs grouped by fidelity, runs of
one configuration merged), but towards a target: the target says what is scaled, the space says what is chosen. What
cannot be used is left out aloud; what makes no sense is refused in one line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from autollmresearch.errors import EvidenceProblem, InvalidTarget
from autollmresearch.evidence.records import CheapRuns
from autollmresearch.live.fidelity import fidelity_of
from autollmresearch.live.runs_space import is_text_choice, runs_in, space_of
from autollmresearch.live.target import Scale, extrapolation, target_columns
from llmconfig_gym.errors import ImportProblem, unknown_name
from llmconfig_gym.experiment import Direction, Experiment, Fidelity, Metric
from llmconfig_gym.importing.build import build_suite
from llmconfig_gym.importing.columns import Column, read_columns
from llmconfig_gym.importing.guess import guess_roles, with_objective
from llmconfig_gym.importing.names import direction_of, metric_rank
from llmconfig_gym.importing.read import Table, read_table
from llmconfig_gym.importing.roles import Cost, Overrides, find_column
from llmconfig_gym.importing.source import Source
from llmconfig_gym.parameter import Parameter, Simplex
from llmconfig_gym.space import Space
from llmconfig_gym.text import number

LEAST = 5
"""Runs below which nothing is fitted: the proposal rests on priors only."""

_MOST = 5
"""Unusable rows that are listed one by one."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known before the first trial, and what a careful reader should hear about it.

    Attributes:
        task, fidelity, metric, space: of the target.
        cheaper: what is known of cheaper runs, cheapest first; empty if there is too little.
        clip: as in `Problem`.
        notes: warnings and choices made, one line each.
    """

    task: str
    fidelity: Fidelity
    metric: Metric
    space: Space
    cheaper: tuple[CheapRuns, ...]
    clip: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def runs(self) -> int:
        """How many outcomes are known."""
        return sum(len(r.losses) for r in self.cheaper)


def read_evidence(
    source: Path | Source,
    target: Scale,
    space: Space | None = None,
    *,
    metric: str | None = None,
    direction: Direction | None = None,
) -> Evidence:
    """What cheaper runs say towards a target.

    Args:
        source: a file of runs, or what a tracker keeps of them.
        target: at which scale the expensive run will be made.
        space: what may be chosen; None for the range of the file's own runs.
        metric: the column that is optimised; None to guess.
        direction: which way is better; None to tell from the metric's name.

    Raises:
        EvidenceProblem, InvalidTarget: a column is missing, or nothing can be learned.
        ImportProblem: the file cannot be read.
    """
    table = read_table(source)
    where, columns = table.path.name, read_columns(table)
    try:
        objective = with_objective(table, Overrides(metric=metric, direction=direction))
    except ImportProblem as problem:
        raise EvidenceProblem(str(problem)) from None
    metric, direction = objective.metric, objective.direction
    scale = target_columns(target, columns, where)
    settings = {} if space is None else _setting_columns(space, columns, where)
    metric = _metric_column(metric, columns, where)
    usable = len(table.frame)
    if usable >= LEAST:
        said = _overrides(space, settings, columns, metric, direction)
        try:
            same = _unnamed_scales(table, said, target, scale, columns)
            said = replace(said, fidelity=(*scale.values(), *same))
            guess = guess_roles(table, said)
            suite, report = build_suite(table, guess, "evidence")
        except ImportProblem as problem:
            raise EvidenceProblem(f"{where}: {problem}") from None
        usable = report.used
    if usable < LEAST:
        return _priors_only(where, usable, columns, target, space, metric, direction)
    experiments = [_in_words_of(suite.experiment(i), scale, columns) for i in suite.ids]
    notes = [f"{report.unit} {b.line} of {where} is not used: {b.why}" for b in report.bad[:_MOST]]
    if len(report.bad) > _MOST:
        notes.append(f"{len(report.bad) - _MOST} more rows are not used; llmconfig-gym import --dry-run lists all")
    notes += [f"{note} ({where})" for note in report.notes if "crashed" in note]
    if report.diverged:
        runs = "1 run" if report.diverged == 1 else f"{report.diverged} runs"
        notes.append(f"{runs} of {where} diverged: known to be bad, as bad as the worst that did not diverge")
    notes += [f"{c} has one value in {where}, so the target is taken to have it too" for c in same]
    for r in guess.reasons:
        if "beware, it varies" in r.why:
            notes.append(f"{r.column} is not in the space but varies: runs that differ only in it count as replicates")
    if space is None:
        space = space_of(experiments)
        ranges = "; ".join(f"{p.name} {p.legal()}" for p in space.parameters)
        notes.append(f"no --space: the target is searched in the range of the runs, its best may lie beyond: {ranges}")
    cheaper, left_out = runs_in(space, experiments, settings, columns, where)
    fidelity = _target_fidelity({**target, **same}, [r.fidelity for r in cheaper], guess.roles.cost)
    told = experiments[0].metric
    notes += [
        *left_out,
        *extrapolation(fidelity.values, [r.fidelity for r in cheaper], where),
        *_wrong_direction(cheaper, told),
    ]
    return Evidence(guess.roles.task, fidelity, told, space, cheaper, experiments[0].clip, tuple(notes))


def _metric_column(name: str | None, columns: Mapping[str, Column], where: str) -> str | None:
    """The metric's column, if it is named; whether it can be one."""
    if name is None:
        likely = [c for c in columns.values() if metric_rank(c.short) is not None]
    else:
        try:
            likely = [columns[find_column(columns, "metric", name)]]
        except ImportProblem as problem:
            raise EvidenceProblem(f"{where}: {problem}") from None
    if likely and not any(np.isfinite(c.numbers).any() for c in likely):
        raise EvidenceProblem(
            f"no run of {where} has a finite {likely[0].short}: all diverged, or none is over; "
            "with nothing to tell good from bad, there is nothing to learn from"
        )
    return None if name is None else likely[0].name


def _setting_columns(space: Space, columns: Mapping[str, Column], where: str) -> dict[str, tuple[str, ...]]:
    """For each parameter its column, for a mixture those of its components."""
    return {p.name: tuple(_column(n, p, columns, where) for n in _names(p)) for p in space.parameters}


def _names(p: Parameter) -> tuple[str, ...]:
    return p.components if isinstance(p, Simplex) else (p.name,)


def _column(name: str, p: Parameter, columns: Mapping[str, Column], where: str) -> str:
    wanted = [f"{p.name}{mark}{name}" for mark in "._/-"] if isinstance(p, Simplex) else []
    for candidate in (*wanted, name):
        hits = [c.name for c in columns.values() if candidate in (c.name, c.short)]
        if len(hits) == 1:
            return hits[0]
        if hits:
            raise EvidenceProblem(f"{where}: {candidate} could be {' or '.join(hits)}; name one so in the space")
    known = {c.short for c in columns.values()}
    raise EvidenceProblem(
        f"{where}: {unknown_name('column', name, known)} The space lists {p.name}: if all runs had one value of it, "
        "add a column that says so; if it is unknown, take it out of the space"
    )


def _overrides(
    space: Space | None,
    settings: Mapping[str, tuple[str, ...]],
    columns: Mapping[str, Column],
    metric: str | None,
    direction: Direction | None,
) -> Overrides:
    """What the space, the metric and the target say about the columns."""
    if space is None:
        return Overrides(metric=metric, direction=direction)
    mixtures = {p.name: settings[p.name] for p in space.parameters if isinstance(p, Simplex)}
    single = {p.name: settings[p.name][0] for p in space.parameters if p.name not in mixtures}
    return Overrides(
        parameters=tuple(c for c in single.values() if columns[c].distinct > 1),
        categorical=tuple(single[p.name] for p in space.parameters if is_text_choice(p)),
        simplex=mixtures,
        metric=metric,
        direction=direction,
    )


def _unnamed_scales(
    table: Table, said: Overrides, target: Scale, scale: Mapping[str, str], columns: Mapping[str, Column]
) -> dict[str, float | str]:
    """Columns that say at what scale a run was made, though the target does not name them: all runs share their value.

    Raises:
        InvalidTarget: one of them differs between runs, so that the target must name it.
    """
    same: dict[str, float | str] = {}
    for name in guess_roles(table, said).roles.fidelity:
        column = columns[name]
        if name in scale.values() or column.kind != "number":
            continue
        if column.distinct > 1:
            asked = ",".join([*(f"{k}={v if isinstance(v, str) else number(v)}" for k, v in target.items()), ""])
            raise InvalidTarget(
                f"the target does not say its {column.short}, which tells runs of {table.path.name} apart "
                f"({column.text()}): --target {asked}{column.short}=..."
            )
        first = int(np.flatnonzero(np.isfinite(column.numbers))[0])
        value = column.value(first)
        assert isinstance(value, int | float)
        same[name] = value
    return same


def _in_words_of(e: Experiment, scale: Mapping[str, str], columns: Mapping[str, Column]) -> Experiment:
    """An experiment whose fidelity is named as the target names it."""
    words = {name: key for key, c in scale.items() for name in (c, columns[c].short)}
    fidelity = replace(e.fidelity, values={words.get(k, k): v for k, v in e.fidelity.values.items()})
    return replace(e, fidelity=fidelity)


def _target_fidelity(values: Scale, known: list[Fidelity], cost: Cost) -> Fidelity:
    """The target's fidelity; its cost by the rule of the runs, or in proportion to the product of what is scaled."""
    if cost.rule == "6ND":
        return Fidelity(dict(values), 6.0 * _product(values), cost.unit)
    dearest = max(known, key=lambda f: f.cost)
    return Fidelity(dict(values), dearest.cost * _product(values) / _product(dearest.values), cost.unit)


def _product(values: Scale) -> float:
    return float(math.prod(v for v in values.values() if not isinstance(v, str)))


def _wrong_direction(cheaper: tuple[CheapRuns, ...], metric: Metric) -> list[str]:
    """A warning if the dearest runs look worse than the cheapest, in their best and in their median."""
    first, last = (f(cheaper, key=lambda r: r.fidelity.cost) for f in (min, max))
    if last.fidelity.cost <= first.fidelity.cost or min(len(first.losses), len(last.losses)) < 2:
        return []
    worse = all(float(f(last.losses)) > float(f(first.losses)) for f in (np.min, np.median))
    if not worse:
        return []
    small, large = (number(metric.sign * float(r.losses.min()), 5) for r in (first, last))
    other = "--maximize" if metric.direction == "minimize" else "--minimize"
    return [
        f"bigger looks worse: the best {metric.name} is {small} at {first.fidelity.text()} and {large} at "
        f"{last.fidelity.text()}, though it is to be {metric.direction}d; if that is the wrong way round, say {other}"
    ]


def _priors_only(
    where: str,
    usable: int,
    columns: Mapping[str, Column],
    target: Scale,
    space: Space | None,
    metric: str | None,
    direction: Direction | None,
) -> Evidence:
    """Too few runs to learn from: the target alone."""
    few = f"{where} has {usable} usable run{'s' if usable != 1 else ''}, fewer than the {LEAST} that a fit needs"
    if space is None:
        raise EvidenceProblem(f"{few}, so the space must be given: add --space")
    if metric is None:
        ranked = [(r, n) for n, c in columns.items() if (r := metric_rank(c.short)) is not None]
        if not ranked:
            raise EvidenceProblem(f"{few}, and no column is named like a metric: say --metric")
        metric = min(ranked)[1]
    name = columns[metric].short
    direction = direction or direction_of(name)
    if direction is None:
        raise EvidenceProblem(f"whether a larger {name} is better cannot be told from it; say --minimize or --maximize")
    note = f"{few}: they are not used, and the proposal rests on priors only"
    return Evidence("other", fidelity_of(target), Metric(name, direction), space, (), None, (note,))
