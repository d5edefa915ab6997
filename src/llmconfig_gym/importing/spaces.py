"""Settings: each parameter's values over the rows that are used, and its space in one experiment.

Kind and scale of a parameter are the same in all experiments; its levels and range are those measured in the one. The
choices of a categorical parameter are all those of the table, so that a configuration of a cheaper run can always be
proposed elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.importing.columns import Column, plain
from llmconfig_gym.importing.guess import MANY
from llmconfig_gym.importing.mixture import component_names, weights
from llmconfig_gym.importing.names import is_architecture
from llmconfig_gym.importing.roles import Roles
from llmconfig_gym.importing.scale import merge_close
from llmconfig_gym.parameter import IN_FULL, Categorical, Grid, Integer, Parameter, Real, Simplex
from llmconfig_gym.text import number

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Setting:
    """One parameter over the rows that are used.

    Attributes:
        name: the parameter's name.
        values: [rows] or, for a mixture, [rows, components].
        codes: [rows] equal numbers for equal values.
        make: the parameter in the experiment that has these rows.
    """

    name: str
    values: NDArray[Any]
    codes: Indices
    make: Callable[[Indices], Parameter]


def settings(columns: Mapping[str, Column], roles: Roles, groups: Indices) -> tuple[list[Setting], list[str]]:
    """The parameters of a table, and what a reader should know about them.

    Args:
        columns: all columns, with the rows that are used.
        roles: what they are.
        groups: [rows] which fidelity each of them has.

    Raises:
        ImportProblem: two parameters would have one name.
    """
    notes: list[str] = []
    configs = _distinct_configs(columns, roles, groups)
    result: list[Setting] = []
    for column_name, name in _parameter_names(columns, roles).items():
        column = columns[column_name]
        if column.kind != "number":
            result.append(_categorical(name, column))
        else:
            many = _is_range(column, groups, configs)
            result.append(_numeric(name, column, log=column_name in roles.log, many=many, notes=notes))
    result += [_mixture(group, columns, members) for group, members in roles.simplex.items()]
    return result, notes


def _parameter_names(columns: Mapping[str, Column], roles: Roles) -> dict[str, str]:
    """For each parameter column the parameter's name: the short one where that is nobody else's."""
    shorts = [columns[p].short for p in roles.parameters]
    names = {p: s if shorts.count(s) == 1 else p for p, s in zip(roles.parameters, shorts, strict=True)}
    for group in roles.simplex:
        if group in names.values():
            raise ImportProblem(f"a mixture and a setting are both called {group}; name the mixture with --simplex")
    return names


def _distinct_configs(columns: Mapping[str, Column], roles: Roles, groups: Indices) -> int:
    """How many different (fidelity, configuration) pairs the rows hold."""
    members = [m for group in roles.simplex.values() for m in group]
    codes = [groups, *(columns[c].codes for c in (*roles.parameters, *members))]
    return len(np.unique(np.stack(codes, axis=1), axis=0))


def _is_range(column: Column, groups: Indices, configs: int) -> bool:
    """Whether a number was drawn from a range rather than from levels: many values that rarely repeat.

    Repeats are counted within a fidelity: the same random draws tried at three scales are still draws.
    """
    pairs = len(np.unique(np.stack([groups, column.codes], axis=1), axis=0))
    return column.distinct > MANY and 2 * pairs > configs


def _numeric(name: str, column: Column, *, log: bool, many: bool, notes: list[str]) -> Setting:
    raw, whole = column.numbers, column.whole
    merged = raw
    if not many and not (whole and np.abs(raw).max() < IN_FULL):
        merged = merge_close(raw)
        if moved := sorted({(a, b) for a, b in zip(raw.tolist(), merged.tolist(), strict=True) if a != b}):
            pairs = ", ".join(f"{a:.6g} as {b:.6g}" for a, b in moved[:4]) + (", ..." if len(moved) > 4 else "")
            notes.append(f"{name}: values that three digits cannot tell apart are one level ({pairs})")
    relative = is_architecture(name)
    values = merged.astype(np.int64) if whole else merged

    def make(rows: Indices) -> Parameter:
        inside = values[rows]
        if not many:
            levels = tuple(plain(float(v), whole=whole) for v in np.unique(inside))
            return Grid(name, levels, log=log, relative=relative)
        low, high = float(inside.min()), float(inside.max())
        if whole:
            return Integer(name, int(low), int(high), log=log, relative=relative)
        return Real(name, low, high, log=log, relative=relative)

    return Setting(name, values, _codes(values), make)


def _categorical(name: str, column: Column) -> Setting:
    listed = [column.value(i) for i in range(len(column.cells))]
    choices = tuple(sorted(set(listed)))
    values = np.array(listed)

    def make(rows: Indices) -> Parameter:
        return Categorical(name, choices)  # type: ignore[arg-type]  # text or booleans: the column is not numeric

    return Setting(name, values, _codes(values), make)


def _mixture(group: str, columns: Mapping[str, Column], members: Sequence[str]) -> Setting:
    matrix = weights([columns[m] for m in members])
    components = component_names(columns, members)

    def make(rows: Indices) -> Parameter:
        return Simplex(group, components)

    codes = np.unique(matrix, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return Setting(group, matrix, codes, make)


def _codes(values: NDArray[Any]) -> Indices:
    return np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64)


def describe(parameter: Parameter) -> str:
    """A parameter in a few words, e.g. `lr: grid, 12 levels from 1.0e-4 to 1.0e-2, log`."""
    log = ", log" if getattr(parameter, "log", False) else ""
    if isinstance(parameter, Grid):
        low, high = number(parameter.levels[0]), number(parameter.levels[-1])
        return f"grid, {len(parameter.levels)} levels from {low} to {high}{log}"
    return f"{parameter.kind}, {parameter.legal()}{log}"
