"""Pool: the configurations of a space that were really measured, and the one most similar to a proposal.

Most similar means nearest in the space's encoding (each ordered parameter by its position in its range,
logarithmic where the parameter is; categorical one-hot; mixtures by their weights). A number beyond its range
counts as the end of the range, so that one wild setting does not drown the others. Two indexes answer it: a
dense table of cells where every parameter has levels or choices (each axis rounds to its nearest level, which gives
the same answer wherever that cell was measured), and a k-d tree for everything else. Ties go to the lowest row, on
an axis of levels to the upper level, so that an answer never depends on anything but the table.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llmconfig_gym.errors import SuiteFormatError
from llmconfig_gym.parameter import (
    SUM_TOLERANCE,
    Categorical,
    FloatArray,
    Grid,
    Integer,
    Ordered,
    Parameter,
    Real,
    Simplex,
    Value,
)
from llmconfig_gym.space import Config, Space

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

MAX_CELLS = 1 << 16
"""Largest product of levels for which the dense table of cells is built (at most 4 MiB, and under a second)."""

MAX_COMPARED = 1 << 17
"""Largest number of distances (points x rows) that is computed outright rather than by the k-d tree."""


TIED = 1e-12
"""Relative difference below which two distances are equal: rounding must not decide."""


class Pool:
    """`rows` measured configurations of one space, column by column.

    Args:
        space: what the columns mean.
        columns: for each parameter an array [rows], for a simplex [rows, components] in the space's order.

    Raises:
        SuiteFormatError: a column is missing, has another length or holds what its parameter may not be, or the
            pool is empty.
    """

    def __init__(self, space: Space, columns: Mapping[str, ArrayLike]) -> None:
        missing = [n for n in space.names if n not in columns]
        if missing:
            raise SuiteFormatError(f"the table has no column for parameter {missing[0]!r}")
        self.space = space
        self.columns = {n: read_only(_plain(columns[n])) for n in space.names}
        lengths = {c.shape[0] if c.ndim else 0 for c in self.columns.values()}
        if len(lengths) != 1 or 0 in lengths:
            raise SuiteFormatError(f"parameter columns must have one length, at least 1; found {sorted(lengths)}")
        self.rows = lengths.pop()
        self._compared = 0
        for p in space.parameters:
            if not _fits(p, self.columns[p.name]):
                raise SuiteFormatError(f"the column of parameter {p.name!r} holds other values than {p.legal()}")

    @classmethod
    def from_configs(cls, space: Space, configs: Iterable[Config]) -> Pool:
        """A pool of checked configurations, in their order."""
        listed = list(configs)
        columns: dict[str, ArrayLike] = {}
        for p in space.parameters:
            if isinstance(p, Simplex):
                columns[p.name] = np.array([p.encode(c[p.name]) for c in listed])
            else:
                columns[p.name] = np.array([c[p.name] for c in listed])
        return cls(space, columns)

    def __len__(self) -> int:
        return self.rows

    def config(self, row: int) -> dict[str, Value]:
        """The configuration at `row`, in plain Python types."""
        config: dict[str, Value] = {}
        for p in self.space.parameters:
            cell = self.columns[p.name][row].tolist()
            config[p.name] = dict(zip(p.components, cell, strict=True)) if isinstance(p, Simplex) else cell
        return config

    @cached_property
    def encoded(self) -> FloatArray:
        """All configurations as coordinates, [rows, width]."""
        return read_only(self.encode_many(self.columns))

    def encode_many(self, columns: Mapping[str, ArrayLike]) -> FloatArray:
        """Columns of legal values as coordinates, [n, width]."""
        blocks = []
        for p in self.space.parameters:
            column = np.asarray(columns[p.name])
            if isinstance(p, Categorical):
                blocks.append(np.stack([column == c for c in p.choices], axis=1).astype(np.float64))
            elif isinstance(p, Simplex):
                blocks.append(column / column.sum(axis=1, keepdims=True))
            else:
                assert isinstance(p, Ordered)
                blocks.append(p.position(column.astype(np.float64))[:, None])
        return np.concatenate(blocks, axis=1)

    def find(self, config: Config) -> tuple[int, bool]:
        """The row most similar to a checked configuration, and whether it is that very configuration."""
        if self._grid is not None:
            return self._grid.find(config)
        row = int(self._nearest(self.space.encode(config)[None])[0])
        return row, self.space.same(config, self.config(row))

    def find_many(self, columns: Mapping[str, ArrayLike]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """`find` for n configurations given as columns: rows [n] and whether each is exact [n].

        Values must be legal (this is the fast path of code that enumerates; `find` is the checked one).
        """
        arrays = {n: np.asarray(columns[n]) for n in self.space.names}
        if self._grid is not None:
            return self._grid.find_many(arrays)
        rows = self._nearest(self.encode_many(arrays))
        exact = np.ones(len(rows), dtype=np.bool_)
        for p in self.space.parameters:
            exact &= p.same_many(arrays[p.name], self.columns[p.name][rows])
        return rows, exact

    @cached_property
    def _grid(self) -> _GridIndex | None:
        axes = [p for p in self.space.parameters if isinstance(p, Grid | Categorical)]
        if len(axes) < len(self.space.parameters) or prod(len(p.options) for p in axes) > MAX_CELLS:
            return None
        return _GridIndex(self, axes)

    @cached_property
    def _tree(self) -> cKDTree:
        from scipy.spatial import cKDTree

        return cKDTree(self.encoded)

    def _nearest(self, encoded: FloatArray) -> NDArray[np.int64]:
        """The nearest row to each of n points [n, width]; the lowest row among equals."""
        encoded = np.clip(encoded, 0.0, 1.0)
        self._compared += len(encoded) * self.rows
        if self._compared <= MAX_COMPARED:  # not worth an index, nor the import of scipy, so far
            return self._nearest_of_all(encoded)
        k = min(8, self.rows)  # a few neighbours, so that equal distances can go to the lowest row
        found = self._tree.query(encoded, k=k)
        distances, rows = (np.asarray(a).reshape(len(encoded), k) for a in found)
        tied = distances <= distances[:, :1] * (1 + TIED)
        nearest: NDArray[np.int64] = np.where(tied, rows, self.rows).min(axis=1).astype(np.int64)
        step = max(1, MAX_COMPARED // self.rows)
        crowded = np.flatnonzero(tied.all(axis=1)) if k < self.rows else np.empty(0, dtype=np.int64)
        for some in (crowded[i : i + step] for i in range(0, len(crowded), step)):  # a lower row may be tied too
            nearest[some] = self._nearest_of_all(encoded[some])
        return nearest

    def _nearest_of_all(self, encoded: FloatArray) -> NDArray[np.int64]:
        """`_nearest` by comparing each of n points in [0, 1] with every row."""
        distances = np.sqrt(np.square(encoded[:, None, :] - self.encoded[None]).sum(axis=2))
        tied = distances <= distances.min(axis=1, keepdims=True) * (1 + TIED)
        return np.asarray(tied.argmax(axis=1), dtype=np.int64)


def _plain(column: ArrayLike) -> NDArray[Any]:
    """A column as an array of numbers, booleans or text, not of Python objects (as pandas keeps text)."""
    array = np.asarray(column)
    return np.array(array.tolist()) if array.dtype == object else array


def _fits(p: Parameter, column: NDArray[Any]) -> bool:
    """Whether a column holds legal values of a parameter only; grid levels as far as three digits can tell."""
    if column.ndim != (2 if isinstance(p, Simplex) else 1):
        return False
    if isinstance(p, Categorical):
        choices = np.array(p.choices)
        return column.dtype.kind == choices.dtype.kind and bool(np.isin(column, choices).all())
    if column.dtype.kind not in "iuf" or not np.isfinite(column).all():
        return False
    if isinstance(p, Simplex):
        sums = column.sum(axis=1) if column.shape[1] == p.width else np.zeros(1)
        return bool((column >= 0).all() and (np.abs(sums - 1) <= SUM_TOLERANCE).all())
    if isinstance(p, Grid):
        return bool(_Axis(p).find_many(column)[1].all())
    if isinstance(p, Integer) and (column != np.rint(column)).any():
        return False
    assert isinstance(p, Integer | Real)
    return bool(((column >= p.low) & (column <= p.high)).all())


ArrayT = TypeVar("ArrayT", bound=NDArray[Any])


def read_only(array: ArrayT) -> ArrayT:
    """A view of `array` that cannot be written to: tables are shared, and nobody may change them for the others."""
    view = array.view()
    view.flags.writeable = False
    return view


class _GridIndex:
    """A dense table from cells (one level or choice per axis) to the nearest measured row."""

    def __init__(self, pool: Pool, parameters: Sequence[Grid | Categorical]) -> None:
        self.pool = pool
        self.parameters = parameters
        self.axes = [_Axis(p) for p in parameters]
        shape = tuple(len(p.options) for p in parameters)
        self.strides = [prod(shape[i + 1 :]) for i in range(len(shape))]
        cells, _ = self._cells(pool.columns)
        table = np.full(prod(shape), -1, dtype=np.int64)
        table[cells[::-1]] = np.arange(pool.rows)[::-1]  # the lowest row wins should a cell repeat
        self.measured = table >= 0
        holes = np.flatnonzero(~self.measured)
        if len(holes):
            indices = np.unravel_index(holes, shape)
            columns = {p.name: a.values[i] for p, a, i in zip(self.parameters, self.axes, indices, strict=True)}
            table[holes] = pool._nearest(pool.encode_many(columns))
        self.table = table
        self.table_list: list[int] = table.tolist()
        self.measured_list: list[bool] = self.measured.tolist()

    def find(self, config: Config) -> tuple[int, bool]:
        cell, exact = 0, True
        for p, axis, stride in zip(self.parameters, self.axes, self.strides, strict=True):
            index, same = axis.find(config[p.name])
            cell += index * stride
            exact = exact and same
        if self.measured_list[cell]:
            return self.table_list[cell], exact
        if exact:
            return self.table_list[cell], False
        return int(self.pool._nearest(self.pool.space.encode(config)[None])[0]), False

    def find_many(self, columns: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        cells, exact = self._cells(columns)
        rows, measured = self.table[cells], self.measured[cells]
        if len(between := np.flatnonzero(~(exact | measured))):  # numbers between levels, in a hole of the grid
            rows[between] = self.pool._nearest(self.pool.encode_many({n: c[between] for n, c in columns.items()}))
        return rows, exact & measured

    def _cells(self, columns: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        cells: Any = 0
        exact: Any = True
        for p, axis, stride in zip(self.parameters, self.axes, self.strides, strict=True):
            index, same = axis.find_many(columns[p.name])
            cells = cells + index * stride
            exact = exact & same
        return cells, exact


class _Axis:
    """One axis of the cell table: the nearest level or the very choice."""

    def __init__(self, parameter: Grid | Categorical) -> None:
        self.parameter = parameter
        self.values: NDArray[Any] = np.array(parameter.options)
        self.levels = parameter.levels if isinstance(parameter, Grid) else ()
        self.midpoints = parameter.midpoints if isinstance(parameter, Grid) else []
        self.choices = {(type(c), c): i for i, c in enumerate(parameter.options)}

    def find(self, value: Value) -> tuple[int, bool]:
        if not self.levels:
            return self.choices[(type(value), value)], True  # type: ignore[index]  # checked: one of the choices
        assert isinstance(value, int | float)
        index = bisect_right(self.midpoints, value)
        level = self.levels[index]
        return index, self.parameter.same(value, level)

    def find_many(self, values: NDArray[Any]) -> tuple[NDArray[np.int64], Any]:
        if not self.levels:
            order = np.argsort(self.values)
            return order[np.searchsorted(self.values, values, sorter=order)], True
        index = np.searchsorted(self.midpoints, values, side="right")
        return index, self.parameter.same_many(values, self.values[index])
