"""Landscapes: what was measured of an experiment, cut into few cells per parameter, small enough to stand in a page.

Every parameter becomes an axis of at most `CELLS` cells (every component of a mixture one of its own), and a
configuration a string with one character per axis. The page makes a map of two axes from these: the best value of all
configurations that fall into a cell, over whatever the other parameters are.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.experiment import Metric
from llmconfig_gym.parameter import Categorical, FloatArray, Grid, Integer, Ordered, Parameter, Real, Simplex
from llmconfig_gym.plain import is_number, is_text
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Config, Space
from llmconfig_gym.text import value_text

CELLS = 40
"""Most cells of an axis."""

PARTS = 20
"""Cells of an axis that has no values of its own to be cut at: a real number, a weight."""

CODES = string.ascii_letters
"""A character for each cell."""

UNKNOWN = "-"
"""Stands for a parameter that a configuration does not have."""

ROWS = 5_000
"""Most configurations of one layer; of more, the best."""


@dataclass(frozen=True)
class Axis:
    """One parameter, or one component of a mixture, cut into cells.

    Attributes:
        name: `lr`, or `weights.web`.
        parameter, component: where its value stands in a configuration.
        log: whether its cells lie evenly on the logarithm.
        at: the value in the middle of each cell: numbers, words or truth values.
    """

    name: str
    parameter: str
    component: str | None
    log: bool
    at: tuple[float | str | bool, ...]

    def code(self, config: Mapping[str, Any]) -> str:
        """The cell of a configuration; `UNKNOWN` if it has no such value."""
        value = config.get(self.parameter)
        if self.component is not None:
            value = value.get(self.component, 0.0) if isinstance(value, Mapping) else None
        return self.cell(value)

    def cell(self, value: object) -> str:
        """The cell of a value; `UNKNOWN` if it is none of this axis."""
        if isinstance(self.at[0], str | bool):
            same = [type(a) is type(value) and a == value for a in self.at]
            return CODES[same.index(True)] if True in same else UNKNOWN
        if not isinstance(value, int | float) or not is_number(value) or (self.log and value <= 0):
            return UNKNOWN
        at = np.asarray(self.at, dtype=np.float64)
        apart = np.abs(np.log(at) - np.log(value)) if self.log else np.abs(at - value)
        return CODES[int(np.argmin(apart))]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data with a label for each cell; `axis_from_dict` reads it back."""
        return {**asdict(self), "labels": [value_text(a) for a in self.at]}


def axis_from_dict(data: Mapping[str, Any]) -> Axis:
    """The axis that `to_dict` wrote. Raises `ValueError`, `TypeError` or `KeyError` where `data` is something else."""
    log: object = data["log"]
    axis = Axis(data["name"], data["parameter"], data["component"], log is True, tuple(data["at"]))
    texts = (axis.name, axis.parameter, axis.component or "", *data["labels"])
    cells = (all(map(is_number, axis.at)), all(isinstance(a, bool) for a in axis.at), all(map(is_text, axis.at)))
    if not all(map(is_text, texts)) or not any(cells) or not 0 < len(axis.at) == len(data["labels"]) <= len(CODES):
        raise ValueError("an axis has names and labels, and as many cells, all numbers, all words or all truth values")
    if not isinstance(log, bool) or (log and not (cells[0] and min(map(float, axis.at)) > 0)):
        raise ValueError("an axis is logarithmic or not, and if it is, its numbers are above 0")
    return axis


def axes_of(space: Space, pools: Iterable[Pool] = ()) -> tuple[Axis, ...]:
    """An axis for every parameter of a space, wide enough for these pools of it or of spaces like it."""
    listed = list(pools)
    return tuple(a for p in space.parameters for a in _axes(p, [q for q in listed if p.name in q.columns]))


def _axes(p: Parameter, pools: Sequence[Pool]) -> list[Axis]:
    if isinstance(p, Simplex):
        same = [q.columns[p.name] for q in pools if q.space[p.name] == p]
        most = np.max([c.max(axis=0) for c in same], axis=0) if same else np.ones(p.width)
        ends = [float(m) or 1.0 for m in most]
        return [Axis(f"{p.name}.{c}", p.name, c, False, _cut(0.0, m)) for c, m in zip(p.components, ends, strict=True)]
    if isinstance(p, Categorical):
        return [Axis(p.name, p.name, None, False, p.choices)]
    assert isinstance(p, Ordered)
    low, high, log = p.limits()
    seen = [q.columns[p.name] for q in pools if q.columns[p.name].dtype.kind in "iuf"]
    values = np.unique(np.concatenate([[low, high], *seen]).astype(np.float64))
    values = values[values > 0] if log else values
    if isinstance(p, Grid):
        levels = np.unique(np.concatenate([values, p.levels]))
    elif isinstance(p, Integer) and values[-1] - values[0] < CELLS:
        levels = np.arange(values[0], values[-1] + 1)
    else:
        levels = np.array([]) if isinstance(p, Real) or len(values) > CELLS or not seen else values
    if 0 < len(levels) <= CELLS:
        return [Axis(p.name, p.name, None, log, tuple(float(v) for v in levels))]
    return [Axis(p.name, p.name, None, log, _cut(float(values[0]), float(values[-1]), log))]


def _cut(low: float, high: float, log: bool = False) -> tuple[float, ...]:
    """The middles of `PARTS` equal parts of a range."""
    if low == high:
        return (low,)
    middle = (np.arange(PARTS) + 0.5) / PARTS
    ends = np.log([low, high]) if log else np.array([low, high])
    at = ends[0] + middle * (ends[1] - ends[0])
    return tuple(float(v) for v in (np.exp(at) if log else at))


def code_of(axes: Sequence[Axis], config: Config) -> str:
    """The cells of a configuration, a character per axis."""
    return "".join(axis.code(config) for axis in axes)


def layer(label: str, axes: Sequence[Axis], pool: Pool, losses: FloatArray, metric: Metric) -> dict[str, Any]:
    """One map's data: the distinct cells of a pool, each with its best value, as plain JSON data.

    Args:
        losses: [rows] oriented so that smaller is better; what is not finite is left out.
    """
    order = np.argsort(losses, kind="stable")
    order = order[np.isfinite(losses[order])]
    best: dict[str, float] = {}
    for row, code in zip(order.tolist(), _codes(axes, pool, order), strict=True):
        best.setdefault(code, float(f"{metric.sign * losses[row]:.5g}"))
    kept = list(best)[:ROWS]
    return {
        "label": label,
        "runs": len(pool),
        "cells": len(best),
        "codes": kept,
        "values": [best[code] for code in kept],
    }


def _codes(axes: Sequence[Axis], pool: Pool, rows: NDArray[np.int64]) -> list[str]:
    """`code_of` for many rows: each distinct value of a column is looked up once."""
    columns = []
    for axis in axes:
        column = _column(axis, pool)
        if column is None:
            columns.append(np.full(len(rows), UNKNOWN))
        else:
            values, back = np.unique(column[rows], return_inverse=True)
            columns.append(np.array([axis.cell(v) for v in values.tolist()], dtype=str)[back])
    return ["".join(codes) for codes in zip(*columns, strict=True)] if len(rows) else []


def _column(axis: Axis, pool: Pool) -> NDArray[Any] | None:
    """The values [rows] of a pool on an axis; None if its space has none."""
    if axis.parameter not in pool.columns:
        return None
    p = pool.space[axis.parameter]
    if isinstance(p, Simplex):
        return pool.columns[p.name][:, p.components.index(axis.component)] if axis.component in p.components else None
    return pool.columns[p.name]


def run_text(config: Config) -> str:
    """A configuration in a line, as the dialogue writes it."""
    from autollmresearch.dialogue import values

    return values(config)


def rounded(value: float | None, digits: int = 5) -> float | None:
    """For JSON: few digits, and None for what is no number."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.{digits}g}")
