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
from autollmresearch.live.target import Scale, extrapolation, target_columns
from llmconfig_gym.errors import ImportProblem, InvalidConfig, unknown_name
from llmconfig_gym.experiment import Direction, Experiment, Fidelity, Metric
from llmconfig_gym.importing.build import build_suite
from llmconfig_gym.importing.columns import Column, read_columns
from llmconfig_gym.importing.guess import guess_roles
from llmconfig_gym.importing.names import direction_of, metric_rank
from llmconfig_gym.importing.read import Table, read_table
from llmconfig_gym.importing.roles import Cost, Overrides, find_column
from llmconfig_gym.parameter import Categorical, Grid, Integer, Parameter, Real, Simplex, Value, as_number
from llmconfig_gym.pool import Pool
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
    path: Path,
    target: Scale,
    space: Space | None = None,
    *,
    metric: str | None = None,
    direction: Direction | None = None,
) -> Evidence:
    """What a file of runs says towards a target.

    Args:
        target: at which scale the expensive run will be made.
        space: what may be chosen; None for the range of the file's own runs.
        metric: the column that is optimised; None to guess.
        direction: which way is better; None to tell from the metric's name.

    Raises:
        EvidenceProblem, InvalidTarget: a column is missing, or nothing can be learned.
        ImportProblem: the file cannot be read.
    """
    table = read_table(path)
    where, columns = path.name, read_columns(table)
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
    if report.diverged:
        runs = "1 run" if report.diverged == 1 else f"{report.diverged} runs"
        notes.append(f"{runs} of {where} diverged: known to be bad, as bad as the worst that did not diverge")
    notes += [f"{c} has one value in {where}, so the target is taken to have it too" for c in same]
    for r in guess.reasons:
        if "beware, it varies" in r.why:
            notes.append(f"{r.column} is not in the space but varies: runs that differ only in it count as replicates")
    if space is None:
        space = _space_of(experiments)
        ranges = "; ".join(f"{p.name} {p.legal()}" for p in space.parameters)
        notes.append(f"no --space: the target is searched in the range of the runs, its best may lie beyond: {ranges}")
    cheaper, left_out = _runs_in(space, experiments, settings, columns, where)
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
        categorical=tuple(single[p.name] for p in space.parameters if isinstance(p, Categorical) and _texts(p)),
        simplex=mixtures,
        metric=metric,
        direction=direction,
    )


def _texts(p: Categorical) -> bool:
    return isinstance(p.choices[0], str)


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


def _space_of(experiments: list[Experiment]) -> Space:
    """The range of all runs: choices and levels of whole numbers as they were run, other numbers from least to most."""
    result: list[Parameter] = []
    for p in experiments[0].space.parameters:
        alike = [e.space[p.name] for e in experiments]
        if isinstance(p, Simplex | Categorical):
            result.append(p)
            continue
        numbers = np.unique(np.concatenate([e.pool.columns[p.name] for e in experiments]))
        log = any(getattr(q, "log", False) for q in alike)
        if all(isinstance(q, Grid) for q in alike) and numbers.dtype.kind == "i":
            result.append(Grid(p.name, tuple(numbers.tolist()), log=log, relative=p.relative))
        elif numbers.dtype.kind == "i":
            result.append(Integer(p.name, int(numbers[0]), int(numbers[-1]), log=log, relative=p.relative))
        else:
            result.append(Real(p.name, float(numbers[0]), float(numbers[-1]), log=log, relative=p.relative))
    return Space(tuple(result))


def _runs_in(
    space: Space,
    experiments: list[Experiment],
    settings: Mapping[str, tuple[str, ...]],
    columns: Mapping[str, Column],
    where: str,
) -> tuple[tuple[CheapRuns, ...], list[str]]:
    """The runs of each experiment that have a place in the target's space, and which have none.

    A parameter that all runs share is no setting of the experiments; it is added to their spaces here.
    """
    shared: dict[str, Value] = {}
    for p in space.parameters:
        if p.name not in experiments[0].space.names:
            column = columns[settings[p.name][0]]
            present = np.flatnonzero(~(column.missing | column.wrong))
            if not len(present):
                raise EvidenceProblem(f"{where}: {column.name} is empty; fill it in, or take {p.name} out of the space")
            value = column.value(int(present[0]))
            shared[p.name] = str(column.cells[int(present[0])]) if isinstance(p, Categorical) and _texts(p) else value
    result: list[CheapRuns] = []
    reasons: dict[str, int] = {}
    for e in experiments:
        extra = tuple(_constant(space[n], v, where) for n, v in shared.items())
        pool_space = Space((*e.space.parameters, *extra))
        keep = []
        for row in range(len(e.pool)):
            try:
                space.translate({**e.pool.config(row), **shared}, pool_space)
                keep.append(row)
            except InvalidConfig as problem:
                reasons[str(problem)] = reasons.get(str(problem), 0) + 1
        if keep:
            taken = {n: c[keep] for n, c in e.pool.columns.items()}
            taken |= {n: np.full(len(keep), v) for n, v in shared.items()}
            details = {n: c[keep] for n, c in e.details.items()}
            result.append(CheapRuns(e.fidelity, Pool(pool_space, taken), e.losses[keep], details))
    if not result:
        first = next(iter(reasons))
        raise EvidenceProblem(f"no run of {where} has a place in the space: {first}")
    return tuple(result), [f"{n} configurations of {where} have no place in the space: {r}" for r, n in reasons.items()]


def _constant(p: Parameter, value: Value, where: str) -> Parameter:
    """A parameter like `p` that may only be `value`."""
    try:
        if isinstance(p, Categorical):
            return Categorical(p.name, (p.check(value),), relative=p.relative)  # type: ignore[arg-type]
        return Grid(p.name, (as_number(p.name, p.check(value)),), relative=p.relative)
    except InvalidConfig as problem:
        raise EvidenceProblem(
            f"every run of {where} has {p.name} {value}, which the space does not know: {problem}"
        ) from None


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
