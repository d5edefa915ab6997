"""Guessing what each column of a table is, with a reason for every column.

In order: what the user said; bookkeeping; the metric; the scale and the cost; mixture weights; what else was measured.
Of the rest, everything that varies between runs of one fidelity is a parameter. Constants, free text, copies and
columns that only follow from the fidelity are ignored, and said to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.experiment import Direction
from llmconfig_gym.importing.columns import Column, read_columns, sized
from llmconfig_gym.importing.mixture import guess_mixtures, sums_to_one, weights
from llmconfig_gym.importing.names import (
    direction_of,
    is_averaged,
    is_known_parameter,
    is_logarithmic,
    is_metadata,
    is_outcome,
    is_plain_objective,
    is_state,
    metric_rank,
    task_of,
)
from llmconfig_gym.importing.read import Table
from llmconfig_gym.importing.roles import (
    BY_HAND,
    Guess,
    Overrides,
    Reason,
    Role,
    Roles,
    find_column,
    resolve,
)
from llmconfig_gym.importing.scale import group_codes, guess_cost, guess_fidelity, inversely, varies_within

LOG_SPAN = 8.0
"""A positive setting whose largest value is at least this many times its smallest is tuned by factors."""

MANY = 12
"""Beyond this many values, if they rarely repeat, a number is a range or a text is a label, rather than levels."""


class _Assignment:
    """Which columns are taken so far, and why."""

    def __init__(self, columns: dict[str, Column]) -> None:
        self.columns = columns
        self.reasons: dict[str, Reason] = {}

    def give(self, name: str, role: Role, why: str) -> None:
        self.reasons[name] = Reason(name, role, why)

    def free(self) -> list[Column]:
        return [c for n, c in self.columns.items() if n not in self.reasons]

    def named(self, role: Role) -> tuple[str, ...]:
        """The columns of one role, in file order."""
        return tuple(n for n in self.columns if n in self.reasons and self.reasons[n].role == role)


@np.errstate(over="ignore", invalid="ignore")  # a table may hold anything: results are checked, not warned of
def guess_roles(table: Table, overrides: Overrides | None = None) -> Guess:
    """What each column of a table is.

    Raises:
        ImportProblem: nothing can be the metric, nothing varies, or an override does not fit the table.
    """
    said = overrides or Overrides()
    columns = read_columns(table)
    if said.categorical:
        columns = read_columns(table, {find_column(columns, "categorical", c) for c in said.categorical})
    said = resolve(columns, with_objective(table, said))
    a = _Assignment(columns)
    _take_what_was_said(a, said)
    _take_bookkeeping(a)
    metric, direction = _take_metric(a, said)
    notes = _take_scale(a, said, len(table.frame))
    fidelity = a.named("fidelity")
    scaled = {n: sized(c) if n in fidelity else c for n, c in columns.items()}
    cost = guess_cost(scaled, fidelity, a.free(), said.cost)
    for name in cost.columns:
        if name not in a.reasons or a.reasons[name].role == "ignored":
            a.give(name, "cost", BY_HAND if said.cost else f"its name is that of a cost, in {cost.unit}")
    groups = group_codes((scaled[n] for n in fidelity), len(table.frame))
    simplex = _take_mixtures(a, said)
    _take_details(a, said)
    _take_parameters(a, said, groups)
    inside = {c for members in simplex.values() for c in members}
    parameters = tuple(n for n in a.named("parameter") if n not in inside)
    if not parameters and not simplex:
        raise ImportProblem(
            f"no column of {table.path.name} varies between runs of one fidelity, so there is nothing to choose; "
            "name the settings with --parameters, or the scale with --fidelity"
        )
    shorts = [*(columns[p].short for p in parameters), *simplex]
    task, task_why = (said.task, BY_HAND) if said.task else task_of(shorts, metric, mixture=bool(simplex))
    roles = Roles(
        parameters=parameters,
        simplex=simplex,
        fidelity=fidelity,
        metric=metric,
        direction=direction,
        details=a.named("detail"),
        ignored=a.named("ignored"),
        task=task,
        log=tuple(p for p in parameters if _is_log(columns[p], said)),
        categorical=said.categorical,
        cost=cost,
        state=next((n for n, c in columns.items() if is_state(c.short) and c.kind == "text"), None),
    )
    for flag, named in (("log", said.log), ("linear", said.linear)):
        for name in named:
            if name not in parameters:
                raise ImportProblem(f"--{flag} {name}: it is no numeric setting here but {a.reasons[name].role}")
    return Guess(roles, tuple(a.reasons[n] for n in columns), task_why, tuple(notes))


def with_objective(table: Table, said: Overrides) -> Overrides:
    """What the source itself says of the metric and of which way is better, where the user does not.

    Raises:
        ImportProblem: it has several objectives and none is named.
    """
    known = table.objectives
    metric = said.metric
    if metric is None and len(known) > 1:
        raise ImportProblem(f"{table.path.name} has several objectives: {', '.join(known)}; name one with --metric")
    if metric is None and known:
        metric = next(iter(known))
    return replace(said, metric=metric, direction=said.direction or (known.get(metric) if metric else None))


def _take_what_was_said(a: _Assignment, said: Overrides) -> None:
    for name in said.ignore:
        a.give(name, "ignored", BY_HAND)
    for name in said.fidelity or ():
        a.give(name, "fidelity", f"{BY_HAND}; {a.columns[name].text()}")
    for name in said.details or ():
        a.give(name, "detail", BY_HAND)
    for name in said.parameters or ():
        column = a.columns[name]
        if column.distinct < 2:
            found = column.text() if column.distinct else "no value at all"
            raise ImportProblem(f"--parameters {name}: it never varies ({found}); leave it out")
        a.give(name, "parameter", f"{BY_HAND}; {column.text()}")
    if said.metric is not None:
        a.give(said.metric, "metric", BY_HAND)


def _take_bookkeeping(a: _Assignment) -> None:
    for column in a.free():
        if column.kind == "empty":
            a.give(column.name, "ignored", "no row has a value")
        elif is_state(column.short):
            a.give(column.name, "ignored", "whether the run is over; unfinished runs are reported, not used")
        elif is_metadata(column.short):
            a.give(column.name, "ignored", "bookkeeping; runs that differ only in this are replicates")


def _take_metric(a: _Assignment, said: Overrides) -> tuple[str, Direction]:
    if said.metric is None:
        numeric = [c for c in a.free() if c.kind == "number"]
        ranked = sorted(
            (rank, not is_averaged(c.short), i)
            for i, c in enumerate(numeric)
            if c.origin != "config" and (rank := metric_rank(c.short)) is not None
        )
        if not ranked:
            ranked = [(0, False, i) for i, c in enumerate(numeric) if is_plain_objective(c.short)]
        if not ranked:
            raise ImportProblem(_no_metric(a, numeric))
        best = numeric[ranked[0][-1]]
        others = [numeric[i].name for *_, i in ranked[1:]]
        why = f"its name is that of a metric; {best.text()}"
        a.give(best.name, "metric", why + (f"; before {', '.join(others[:3])}" if others else ""))
    name = said.metric or a.named("metric")[0]
    column = a.columns[name]
    if not np.isfinite(column.numbers).any():
        raise ImportProblem(f"the metric {name} has no finite value in any row; name another with --metric")
    direction = said.direction or direction_of(column.short)
    if direction is None:
        raise ImportProblem(
            f"whether a larger {name} is better cannot be told from its name; say --minimize or --maximize"
        )
    return name, direction


def _no_metric(a: _Assignment, numeric: Sequence[Column]) -> str:
    if not numeric:
        return "no column holds numbers that could be the metric; expected one such as val_loss, perplexity or accuracy"
    hollow = [c.name for c in a.columns.values() if c.kind == "empty" and metric_rank(c.short) is not None]
    found = (
        f"{hollow[0]} is named like a metric but has no value in any row" if hollow else "no column is named like one"
    )
    listed = ", ".join(c.name for c in numeric[:8]) + (", ..." if len(numeric) > 8 else "")
    return f"no metric: {found} (val_loss, perplexity, accuracy, ...); name it with --metric (numbers: {listed})"


def _take_scale(a: _Assignment, said: Overrides, rows: int) -> list[str]:
    if said.fidelity is not None:
        return []
    why, follows = guess_fidelity([c for c in a.free() if c.origin != "summary" or not is_outcome(c.short)], rows)
    for name, reason in why.items():
        a.give(name, "fidelity", reason)
    for name, reason in follows.items():
        a.give(name, "ignored", reason)
    return [] if why else ["no column tells the scale of a run: all runs become one experiment (see --fidelity)"]


def _take_mixtures(a: _Assignment, said: Overrides) -> dict[str, tuple[str, ...]]:
    groups = dict(said.simplex)
    for group, members in groups.items():
        matrix = weights([a.columns[m] for m in members])
        if sums_to_one(matrix) < 0.5:
            sums = [s for s in matrix.sum(axis=1).tolist() if np.isfinite(s)]
            found = f"; the median sum is {np.median(sums):.4g}" if sums else ""
            raise ImportProblem(
                f"--simplex {group}: weights must be none negative and sum to 1, in most rows they do not{found}"
            )
    if not groups:
        named = said.parameters
        allowed = [a.columns[n] for n in named] if named is not None else a.free()
        groups = guess_mixtures([c for c in allowed if named is not None or not is_outcome(c.short)])
    for group, members in groups.items():
        for name in members:
            a.give(name, "parameter", f"a weight of the mixture {group!r}: with the others it sums to 1")
    return groups


def _take_details(a: _Assignment, said: Overrides) -> None:
    for column in a.free():
        measured = column.origin == "summary" or (column.origin != "config" and is_outcome(column.short))
        if measured and column.kind != "number":
            a.give(column.name, "ignored", "measured in the run, but no number")
        elif measured and said.details is not None:
            a.give(column.name, "ignored", "measured in the run, and --details does not name it")
        elif measured and column.distinct > 1:
            a.give(column.name, "detail", "measured in the run, beside the metric")


def _take_parameters(a: _Assignment, said: Overrides, groups: NDArray[np.int64]) -> None:
    chosen: list[Column] = [a.columns[n] for n in said.parameters or ()]
    for column in a.free():
        if why_not := _no_parameter(column, groups, chosen):
            a.give(column.name, "ignored", why_not)
        elif said.parameters is not None:
            a.give(column.name, "ignored", f"--parameters does not name it; beware, it varies: {column.text()}")
        else:
            scale = ", log scale" if _is_log(column, said) else ""
            a.give(column.name, "parameter", f"it varies between runs of one fidelity; {column.text()}{scale}")
            chosen.append(column)


def _no_parameter(column: Column, groups: NDArray[np.int64], chosen: Sequence[Column]) -> str:
    """Why a column is no parameter; empty if it is one."""
    rows = len(column.cells)
    if column.distinct < 2:
        return f"it never varies: {column.text()}"
    if 2 * int(column.missing.sum()) > rows:
        return f"it is missing in {int(column.missing.sum())} of {rows} rows"
    if column.kind == "text" and column.distinct > MANY and 2 * column.distinct > rows:
        return f"free text or a label: {column.distinct} different texts in {rows} rows"
    if not varies_within(column, groups) and not is_known_parameter(column.short):
        return "it follows from the fidelity: it never varies between runs of one"
    for other in chosen:
        if (ratio := _constant_ratio(column, other)) is not None:
            return f"it is always {ratio:.6g} x {other.short}"
        if column.distinct > 2 and inversely(column, other, groups):
            return f"it is inversely proportional to {other.short}, so it follows from it"
    return ""


def _constant_ratio(a: Column, b: Column) -> float | None:
    """a / b where it is the same in every row over three or more different values; else None."""
    if a.kind != "number" or b.kind != "number" or min(a.distinct, b.distinct) < 3:
        return None
    if not (np.isfinite(a.numbers) == np.isfinite(b.numbers)).all():
        return None
    known = np.isfinite(a.numbers)
    if (b.numbers[known] == 0).any():
        return None
    ratio = a.numbers[known] / b.numbers[known]
    return float(ratio[0]) if np.allclose(ratio, ratio[0], rtol=1e-9, atol=0) else None


def _is_log(column: Column, said: Overrides) -> bool:
    if column.kind != "number" or column.name in said.linear:
        return False
    if column.name in said.log:
        return True
    finite = column.numbers[np.isfinite(column.numbers)]
    if not len(finite) or finite.min() <= 0:
        return False
    return bool(finite.max() >= LOG_SPAN * finite.min()) or is_logarithmic(column.short)
