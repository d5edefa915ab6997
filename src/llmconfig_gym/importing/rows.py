"""Which rows of a table can be used, and what is wrong with the others.

A run whose metric is infinite on the bad side diverged: it is kept, for it says where not to go. So is one without a
metric whose state says that it diverged. A run without a metric, or not over, is reported. Nothing is imputed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.importing.columns import Column
from llmconfig_gym.importing.mixture import weights
from llmconfig_gym.importing.names import DIVERGED, UNFINISHED
from llmconfig_gym.importing.read import BadRow, Table
from llmconfig_gym.importing.roles import Roles
from llmconfig_gym.parameter import SUM_TOLERANCE, FloatArray, shown
from llmconfig_gym.text import number


@dataclass(frozen=True, eq=False)
class Checked:
    """Attributes:
    good: [n] positions in the frame of the rows that can be used.
    bad: the rest, in file order, unreadable rows included.
    values: [rows of the frame] the metric; infinite where the run diverged.
    notes: what a reader should know about the rows that were kept.
    """

    good: NDArray[np.int64]
    bad: tuple[BadRow, ...]
    values: FloatArray
    notes: tuple[str, ...]


def check_rows(table: Table, columns: Mapping[str, Column], roles: Roles) -> Checked:
    """Split a table's rows into those that can be used and those that are reported.

    Raises:
        ImportProblem: no row can be used.
    """
    problems: dict[int, list[str]] = defaultdict(list)
    for name in (*roles.fidelity, *roles.parameters):
        _check_cells(columns[name], problems)
    for group, members in roles.simplex.items():
        _check_weights(group, [columns[m] for m in members], problems)
    states = _states(columns, roles)
    values = _check_metric(columns[roles.metric], roles, states, problems)
    for i, state in enumerate(states):
        if state in UNFINISHED:
            problems[i].append(f"the run is not over ({roles.state} is {state!r})")
    lines = table.lines
    bad = [*table.torn, *(BadRow(lines[i], "; ".join(why)) for i, why in problems.items())]
    good = np.array([i for i in range(len(lines)) if i not in problems], dtype=np.int64)
    if not len(good):
        first = min(bad, key=lambda b: b.line)
        raise ImportProblem(
            f"none of the {table.rows} rows of {table.path.name} can be used; "
            f"the first, {table.unit} {first.line}: {first.why}"
        )
    return Checked(good, tuple(sorted(bad, key=lambda b: b.line)), values, _notes(table, columns, roles, states, good))


def _check_cells(column: Column, problems: dict[int, list[str]]) -> None:
    infinite = np.isinf(column.numbers) if column.kind == "number" else np.zeros(len(column.cells), dtype=np.bool_)
    for i in np.flatnonzero(column.missing | column.wrong | infinite).tolist():
        if column.missing[i]:
            problems[i].append(f"{column.name} is missing")
        elif column.wrong[i]:
            problems[i].append(f"{column.name} is {shown(column.cells[i])}, not a number")
        else:
            problems[i].append(f"{column.name} is infinite or too large: {shown(column.cells[i])}")


def _check_weights(group: str, members: list[Column], problems: dict[int, list[str]]) -> None:
    matrix = weights(members)
    for i, row in enumerate(matrix):
        wrong = [c for c in members if c.wrong[i]]
        if wrong:
            problems[i].append(f"{wrong[0].name} is {shown(wrong[0].cells[i])}, not a number")
        elif not np.isfinite(row).all():
            absent = members[int(np.argmin(np.isfinite(row)))]
            problems[i].append(f"{absent.name} is missing or infinite, and the other weights do not sum to 1")
        elif row.min() < 0:
            problems[i].append(f"{members[int(np.argmin(row))].name} is negative: {number(float(row.min()))}")
        elif abs(row.sum() - 1) > SUM_TOLERANCE:
            problems[i].append(f"the weights of {group} sum to {row.sum():.4g}, not to 1")


def _check_metric(column: Column, roles: Roles, states: list[str], problems: dict[int, list[str]]) -> FloatArray:
    """[rows] the metric, infinite where the run diverged; what cannot be one goes to `problems`."""
    diverged = math.inf if roles.direction == "minimize" else -math.inf
    values = column.numbers.copy()
    for i in np.flatnonzero(~np.isfinite(values)).tolist():
        if column.missing[i] and states[i] in DIVERGED:
            values[i] = diverged
        elif column.missing[i]:
            state = f" ({roles.state}: {states[i]})" if states[i] else ""
            found = "missing" if column.cells[i] in (None, "") else "NaN"
            problems[i].append(f"the metric {column.name} is {found}{state}")
        elif column.wrong[i]:
            problems[i].append(f"the metric {column.name} is {shown(column.cells[i])}, not a number")
        elif values[i] != diverged:
            problems[i].append(f"the metric {column.name} is {values[i]}, better than any run can be")
    return values


def _states(columns: Mapping[str, Column], roles: Roles) -> list[str]:
    """For each row the run's state in lower case; empty if unknown."""
    if roles.state is None:
        return [""] * len(columns[roles.metric].cells)
    column = columns[roles.state]
    return ["" if m else str(c).lower() for c, m in zip(column.cells, column.missing.tolist(), strict=True)]


def _notes(
    table: Table, columns: Mapping[str, Column], roles: Roles, states: list[str], good: NDArray[np.int64]
) -> tuple[str, ...]:
    notes = []
    lines = table.lines
    broken = [lines[i] for i in good.tolist() if states[i] in ("crashed", "failed", "killed", "fail")]
    if broken:
        notes.append(
            f"{len(broken)} runs crashed, failed or were killed but have a metric and are used: "
            f"{listed(table.unit, broken)}"
        )
    for name in roles.details:
        column = columns[name]
        holes = [lines[i] for i in good.tolist() if column.wrong[i] or np.isinf(column.numbers[i])]
        if holes:
            notes.append(f"the detail {name} is no finite number and left out of {listed(table.unit, holes)}")
    return tuple(notes)


def listed(unit: str, lines: list[int], most: int = 8) -> str:
    """Lines as a message names them: `line 3`, or `lines 3, 5, ... (12 in all)`."""
    if len(lines) == 1:
        return f"{unit} {lines[0]}"
    shown_lines = ", ".join(map(str, lines[:most]))
    return f"{unit}s {shown_lines}" + (f", ... ({len(lines)} in all)" if len(lines) > most else "")
