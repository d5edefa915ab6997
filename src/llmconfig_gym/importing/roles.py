"""Roles: what each column of a table is to a suite, and what a user says about it.

`Overrides` is what the user said, in any spelling a column may be named by; `Roles` is what was decided, in the
table's own column names; `Guess` adds a reason for every column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias

from llmconfig_gym.errors import ImportProblem, unknown_name
from llmconfig_gym.experiment import Direction
from llmconfig_gym.importing.columns import Column
from llmconfig_gym.tasks import TASKS

Role: TypeAlias = Literal["parameter", "fidelity", "metric", "detail", "cost", "ignored"]
BY_HAND = "you named it"


@dataclass(frozen=True)
class Overrides:
    """What the user says; None means guess. An empty tuple means none of them.

    Attributes:
        parameters: the settings (mixture weights may be left to `simplex`).
        fidelity: what was scaled between experiments.
        metric: what is optimised.
        direction: which way is better.
        details: numbers measured beside the metric.
        ignore: columns to leave out.
        task: the task's name: one of the four, or a word of one's own.
        log: settings on a logarithmic scale.
        linear: settings on a linear scale.
        categorical: columns whose values are choices even where they look like numbers.
        simplex: for each mixture its columns.
        cost: the column with the cost of a run.
    """

    parameters: tuple[str, ...] | None = None
    fidelity: tuple[str, ...] | None = None
    metric: str | None = None
    direction: Direction | None = None
    details: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    task: str | None = None
    log: tuple[str, ...] = ()
    linear: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    simplex: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cost: str | None = None


@dataclass(frozen=True)
class Cost:
    """How an experiment's cost is computed.

    Attributes:
        rule: `column` (the mean of that column), `6ND` (six times size times tokens), `product` (of all numeric
            fidelity values) or `one` (there is only one fidelity).
        columns: the columns it is computed from.
        unit: what it counts.
    """

    rule: Literal["column", "6ND", "product", "one"]
    columns: tuple[str, ...]
    unit: str

    def text(self) -> str:
        """The rule in words."""
        if self.rule == "one":
            return f"1 {self.unit}: nothing tells what a run costs"
        joined = " x ".join(self.columns)
        return f"{'6 x ' if self.rule == '6ND' else ''}{joined}, in {self.unit}"


@dataclass(frozen=True)
class Roles:
    """What each column is, in the table's own column names.

    Attributes:
        parameters: the settings, without those inside a mixture.
        simplex: for each mixture its columns.
        fidelity: what was scaled between experiments; may be empty.
        metric: what is optimised.
        direction: which way is better.
        details: numbers measured beside the metric.
        ignored: everything else.
        task: the task's name.
        log: the settings on a logarithmic scale.
        categorical: columns whose values are choices even where they look like numbers.
        cost: how an experiment's cost is computed.
        state: the column that says whether a run is over, if there is one.
    """

    parameters: tuple[str, ...]
    simplex: Mapping[str, tuple[str, ...]]
    fidelity: tuple[str, ...]
    metric: str
    direction: Direction
    details: tuple[str, ...]
    ignored: tuple[str, ...]
    task: str
    log: tuple[str, ...]
    categorical: tuple[str, ...]
    cost: Cost
    state: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class Reason:
    """What one column was taken for, and why."""

    column: str
    role: Role
    why: str


@dataclass(frozen=True)
class Guess:
    """The roles of a table's columns with one reason per column, in file order, and why the task and the cost."""

    roles: Roles
    reasons: tuple[Reason, ...]
    task_why: str
    notes: tuple[str, ...] = ()


def find_column(columns: Mapping[str, Column], flag: str, name: str) -> str:
    """The column that a user means by `name`: its full name, or its name without the tracker's prefix.

    Where a setting and an outcome share the short name, `flag` decides which of them is meant.

    Raises:
        ImportProblem: there is none, or more than one.
    """
    if name in columns:
        return name
    hits = [c for c in columns.values() if c.short == name]
    if len(hits) > 1:
        wanted = "summary" if flag in ("metric", "details") else "config"
        hits = [c for c in hits if c.origin == wanted] or hits
    if len(hits) == 1:
        return hits[0].name
    if hits:
        raise ImportProblem(f"--{flag} {name}: it could be {' or '.join(c.name for c in hits)}; give the full name")
    raise ImportProblem(f"--{flag}: {unknown_name('column', name, {*columns, *(c.short for c in columns.values())})}")


def resolve(columns: Mapping[str, Column], said: Overrides) -> Overrides:
    """The same overrides in the table's own column names.

    Raises:
        ImportProblem: a column is unknown, has two roles, or a mixture or task makes no sense.
    """

    def find(flag: str, names: tuple[str, ...] | None) -> tuple[str, ...]:
        return tuple(dict.fromkeys(find_column(columns, flag, n) for n in names or ()))

    simplex = {group: find("simplex", names) for group, names in said.simplex.items()}
    inside = {c for group in simplex.values() for c in group}
    parameters = None if said.parameters is None else find("parameters", said.parameters)
    resolved = Overrides(
        parameters=None if parameters is None else tuple(c for c in parameters if c not in inside),
        fidelity=None if said.fidelity is None else find("fidelity", said.fidelity),
        metric=None if said.metric is None else find_column(columns, "metric", said.metric),
        direction=said.direction,
        details=None if said.details is None else find("details", said.details),
        ignore=find("ignore", said.ignore),
        task=said.task,
        log=find("log", said.log),
        linear=find("linear", said.linear),
        categorical=find("categorical", said.categorical),
        simplex=simplex,
        cost=None if said.cost is None else find_column(columns, "cost", said.cost),
    )
    _check(columns, resolved)
    return resolved


def _check(columns: Mapping[str, Column], said: Overrides) -> None:
    if said.task is not None and said.task not in TASKS:
        if get_close_matches(said.task, TASKS, cutoff=0.8):
            raise ImportProblem(f"--task: {unknown_name('task', said.task, TASKS)}")
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", said.task):
            expected = f"one of {', '.join(TASKS)}, or a plain lower-case word of your own"
            raise ImportProblem(f"--task {said.task!r}: expected {expected}")
    roles: dict[str, str] = {}
    flags: dict[str, tuple[str, ...]] = {
        "parameters": said.parameters or (),
        **{f"simplex {group}": names for group, names in said.simplex.items()},
        "fidelity": said.fidelity or (),
        "metric": (said.metric,) if said.metric else (),
        "details": said.details or (),
        "ignore": said.ignore,
    }
    for flag, names in flags.items():
        for name in names:
            if name in roles:
                raise ImportProblem(f"{name} is named in --{roles[name]} and in --{flag}; a column has one role")
            roles[name] = flag
    for name in said.log:
        if name in said.linear:
            raise ImportProblem(f"{name} is named in --log and in --linear; a setting has one scale")
    for group, names in said.simplex.items():
        if len(names) < 2:
            raise ImportProblem(f"--simplex {group}: a mixture needs two or more columns, found {len(names)}")
    wants_numbers = {
        "metric": flags["metric"],
        "details": flags["details"],
        "cost": (said.cost,) if said.cost else (),
        "log": said.log,
        "linear": said.linear,
        **{f"simplex {group}": names for group, names in said.simplex.items()},
    }
    for flag, names in wants_numbers.items():
        for name in names:
            if columns[name].kind != "number":
                found = "no value in any row" if columns[name].kind == "empty" else columns[name].text()
                raise ImportProblem(f"--{flag} {name}: expected a column of numbers, found {found}")
    for name in said.log:
        if float(columns[name].numbers[~columns[name].missing].min(initial=1.0)) <= 0:
            raise ImportProblem(
                f"--log {name}: a logarithmic scale needs positive values, found {columns[name].text()}"
            )
