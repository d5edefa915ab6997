"""Columns: what kind of values a column holds, and which of its cells do not fit.

A column is numeric when at least half of its cells write numbers (units included), boolean when all are true or false,
and text otherwise. Cells that do not fit a numeric column are marked, so that their rows can be reported.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.importing.names import Origin, is_model, short_names
from llmconfig_gym.importing.nested import Cell
from llmconfig_gym.importing.read import Table
from llmconfig_gym.importing.units import size_in_name, try_quantity
from llmconfig_gym.parameter import EXACT, FloatArray, Value
from llmconfig_gym.plain import LARGEST
from llmconfig_gym.text import number

Kind: TypeAlias = Literal["number", "bool", "text", "empty"]

_MISSING = frozenset({"", "nan", "na", "n/a", "#n/a", "null", "<na>"})
_INFINITE = {"inf": math.inf, "+inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a table.

    Attributes:
        name: as in the file.
        short: without the tracker's prefix.
        origin: which side that prefix says it is on.
        kind: what its values are.
        cells: as read.
        numbers: [rows] the numbers; NaN where there is none.
        missing: [rows] whether the cell is empty or says that there is no value.
        wrong: [rows] whether the cell holds something that is not of this kind.
    """

    name: str
    short: str
    origin: Origin
    kind: Kind
    cells: list[Cell]
    numbers: FloatArray
    missing: NDArray[np.bool_]
    wrong: NDArray[np.bool_]

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """[rows] equal numbers for equal values, -1 where there is no value of this kind."""
        absent = self.missing | self.wrong
        if self.kind == "number":
            return np.where(absent, -1, np.unique(self.numbers, return_inverse=True)[1])
        seen: dict[Value, int] = {}
        codes = [-1 if a else seen.setdefault(self.value(i), len(seen)) for i, a in enumerate(absent.tolist())]
        return np.array(codes, dtype=np.int64)

    @cached_property
    def distinct(self) -> int:
        """How many different values there are."""
        return len(np.unique(self.codes[self.codes >= 0]))

    @cached_property
    def whole(self) -> bool:
        """Whether every finite number is an integer that a float holds exactly."""
        finite = self.numbers[np.isfinite(self.numbers)]
        return bool(np.all(finite == np.floor(finite)) and np.all(np.abs(finite) < EXACT))

    def value(self, row: int) -> int | float | bool | str:
        """The value in `row`, in its plain Python type; the cell must be neither missing nor wrong."""
        if self.kind == "number":
            return plain(float(self.numbers[row]), whole=self.whole)
        cell = self.cells[row]
        if self.kind == "bool":
            return _truth(cell) is True
        return cell if isinstance(cell, str) else json.dumps(cell)

    def take(self, rows: NDArray[np.int64]) -> Column:
        """The same column with these rows only, in this order."""
        cells = [self.cells[i] for i in rows.tolist()]
        return replace(
            self, cells=cells, numbers=self.numbers[rows], missing=self.missing[rows], wrong=self.wrong[rows]
        )

    def text(self) -> str:
        """What the values are, in words."""
        if self.kind == "number":
            finite = self.numbers[np.isfinite(self.numbers)]
            if not len(finite):
                return "no finite number"
            low, high = number(float(finite.min())), number(float(finite.max()))
            return f"{self.distinct} values from {low} to {high}" if self.distinct > 1 else f"always {low}"
        firsts = {int(c): i for i, c in reversed(list(enumerate(self.codes))) if c >= 0}
        values = [str(self.value(i)) for _, i in sorted(firsts.items())]
        listed = ", ".join(v if len(v) <= 24 else v[:21] + "..." for v in values[:4])
        return f"always {listed}" if self.distinct == 1 else listed + (", ..." if len(values) > 4 else "")


def plain(value: float, *, whole: bool) -> int | float:
    """A finite number as an int where its column is whole."""
    return int(value) if whole and math.isfinite(value) else value


def read_columns(table: Table, categorical: Collection[str] = ()) -> dict[str, Column]:
    """Every column of a table by its name; those named in `categorical` are text whatever they hold."""
    shorts = short_names(table.columns)
    return {
        name: _column(name, *shorts[name], table.cells(name), as_text=name in categorical) for name in table.columns
    }


def sized(column: Column) -> Column:
    """A text column of model names as the numbers those names carry; unchanged unless every name carries one."""
    if column.kind != "text" or not is_model(column.short):
        return column
    sizes = [None if absent else size_in_name(str(c)) for c, absent in zip(column.cells, column.missing, strict=True)]
    if any(s is None and not absent for s, absent in zip(sizes, column.missing, strict=True)):
        return column
    numbers = np.array([math.nan if s is None else s for s in sizes])
    return replace(column, kind="number", numbers=numbers)


def _column(name: str, short: str, origin: Origin, cells: list[Cell], *, as_text: bool) -> Column:
    missing = np.array([_is_missing(c) for c in cells], dtype=np.bool_)
    found = [None if m else _number(c) for c, m in zip(cells, missing.tolist(), strict=True)]
    numbers = np.array([math.nan if f is None else f for f in found], dtype=np.float64)
    nothing = np.zeros(len(cells), dtype=np.bool_)
    present = int((~missing).sum())
    numeric = sum(f is not None for f in found)
    kind: Kind
    if present == 0:
        kind, wrong = "empty", nothing
    elif as_text:
        kind, wrong = "text", nothing
    elif all(_truth(c) is not None for c, m in zip(cells, missing.tolist(), strict=True) if not m):
        kind, wrong = "bool", nothing
    elif 2 * numeric >= present:
        kind, wrong = "number", ~missing & np.array([f is None for f in found], dtype=np.bool_)
    else:
        kind, wrong = "text", nothing
    return Column(name, short, origin, kind, cells, numbers, missing, wrong)


def _is_missing(cell: Cell) -> bool:
    if isinstance(cell, str):
        return cell.lower() in _MISSING
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _truth(cell: Cell) -> bool | None:
    return _TRUTH.get(cell.lower()) if isinstance(cell, str) else cell if isinstance(cell, bool) else None


def _number(cell: Cell) -> float | None:
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, str):
        special = _INFINITE.get(cell.lower())
        value = try_quantity(cell) if special is None else special
    else:
        value = float(cell) if abs(cell) <= LARGEST else math.inf * (1 if cell > 0 else -1)
    if value is not None and abs(value) > LARGEST:  # no space can be defined with it
        return math.copysign(math.inf, value)
    return value
