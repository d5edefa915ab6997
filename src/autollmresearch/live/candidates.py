"""Candidates: the configurations that a policy may propose where there is no table of measured ones.

A policy chooses from a `Pool`. In a live study that pool is made here: every combination where a space has few, else
a scrambled Sobol design over the space (Sobol 1967; Owen 1998). The same arguments give the same pool, on any machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import product
from math import ceil, log, log2, prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.errors import InvalidConfig
from llmconfig_gym.parameter import (
    WRITTEN,
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
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import SMALLEST, Config, Space

if TYPE_CHECKING:
    from autollmresearch.evidence.records import CheapRuns

SIZE = 2048
"""How many candidates a design has at most. A grid of up to as many combinations is taken whole."""

BEST_OF_EACH = 5
"""How many of the best configurations of each cheaper experiment are among the candidates."""

ROUNDING = 1e-3
"""How far, in units of its range, a real number may move when it is written with fewer digits."""


def candidates(space: Space, *, size: int = SIZE, seed: int = 0, include: Iterable[Config] = ()) -> Pool:
    """The configurations that may be proposed, none twice.

    Args:
        space: what is legal.
        size: most candidates of a design; `include` comes on top.
        seed: scrambles the design.
        include: configurations that must be among them, such as the best of cheaper runs; each is moved to the
            nearest legal one if it is none.

    Draws are uniform in the space's encoding: on the logarithm where a parameter is logarithmic, over the levels of a
    grid, on the simplex for mixture weights. Real numbers are written with three digits where that moves them by less
    than a thousandth of their range.
    """
    wanted = _distinct(space, [nearest_legal(space, config) for config in include])
    options = [_options(p) for p in space.parameters]
    if all(options) and prod(map(len, options)) <= size:
        return Pool.from_configs(space, (dict(zip(space.names, c, strict=True)) for c in product(*options)))
    design = _design(space, repr(space), size, seed)
    keep = ~_among(space, Pool(space, design), wanted)
    columns = {name: column[keep] for name, column in design.items()}
    if wanted:
        first = Pool.from_configs(space, wanted).columns
        columns = {name: np.concatenate([first[name], column]) for name, column in columns.items()}
    return Pool(space, columns)


def nearest_legal(space: Space, config: Config) -> dict[str, Value]:
    """A checked configuration with every number moved into its range (a grid: to its nearest level)."""
    result: dict[str, Value] = {}
    for p in space.parameters:
        value = config[p.name]
        if isinstance(p, Integer | Real):
            assert isinstance(value, int | float)
            value = min(max(value, p.low), p.high)
            result[p.name] = round(value) if isinstance(p, Integer) else float(value)
        elif isinstance(p, Grid):
            result[p.name] = p.decode(np.clip(p.encode(value), 0.0, 1.0))
        else:
            result[p.name] = value
    return result


def best_of(runs: CheapRuns, space: Space) -> Iterator[dict[str, Value]]:
    """The best configurations of cheaper runs, as configurations of `space`; what is none there is left out."""
    for row in np.argsort(runs.losses, kind="stable")[:BEST_OF_EACH]:
        with suppress(InvalidConfig):
            yield nearest_legal(space, space.translate(runs.pool.config(int(row)), runs.space))


def _options(p: Parameter) -> tuple[Value, ...]:
    """The finitely many values of a parameter that has few; empty for all others."""
    if isinstance(p, Grid | Categorical):
        return p.options
    if isinstance(p, Integer) and p.high - p.low < SIZE:
        return tuple(range(p.low, p.high + 1))
    return ()


@lru_cache(maxsize=8)  # each trial of a study asks for the same
def _design(space: Space, exact: str, size: int, seed: int) -> Mapping[str, NDArray[Any]]:
    """At most `size` distinct configurations as columns.

    Args:
        exact: the space as text: a grid of 64 equals one of 64.0, and its candidates are other numbers.
    """
    from scipy.stats import qmc

    widths = [p.width if isinstance(p, Simplex) else 1 for p in space.parameters]
    engine = qmc.Sobol(sum(widths), scramble=True, rng=np.random.default_rng(seed))
    draws = engine.random_base2(max(0, ceil(log2(size))))[:size]
    columns, start = {}, 0
    for p, width in zip(space.parameters, widths, strict=True):
        columns[p.name] = _column(p, draws[:, start : start + width])
        start += width
    keys = np.stack([c for column in columns.values() for c in _coordinates(column)], axis=1)
    first = np.sort(np.unique(keys, axis=0, return_index=True)[1])
    design = {name: column[first] for name, column in columns.items()}
    for column in design.values():
        column.flags.writeable = False
    return design


def _coordinates(column: NDArray[Any]) -> list[FloatArray]:
    """A column as columns of numbers, equal where its values are."""
    if column.ndim == 2:
        return [part.astype(np.float64) for part in column.T]
    if column.dtype.kind == "U":
        return [np.unique(column, return_inverse=True)[1].reshape(-1).astype(np.float64)]
    return [column.astype(np.float64)]


def _column(p: Parameter, draws: FloatArray) -> NDArray[Any]:
    """Uniform draws [n, coordinates] in [0, 1) as legal values of one parameter."""
    if isinstance(p, Simplex):
        spacings = -np.log(np.clip(draws, SMALLEST, 1.0 - SMALLEST))
        return np.asarray(spacings / spacings.sum(axis=1, keepdims=True))
    u = draws[:, 0]
    if isinstance(p, Grid | Categorical):
        options = np.array(p.options)
        return np.asarray(options[np.minimum((u * len(options)).astype(np.int64), len(options) - 1)])
    if isinstance(p, Integer):
        low, high = p.low - 0.5, p.high + 0.5
        values = np.exp(np.log(low) + u * np.log(high / low)) if p.log else low + u * (high - low)
        return np.clip(np.rint(values), p.low, p.high).astype(np.int64)
    assert isinstance(p, Real)
    return _written(p, np.array([p.at(v) for v in u.tolist()]))


def _written(p: Real, values: FloatArray) -> FloatArray:
    """Real numbers with as few digits, three or more, as keep them in place."""
    result = np.clip(values, p.low, p.high)
    if p.low == p.high:
        return result
    at, done = p.position(result), np.zeros(len(result), dtype=np.bool_)
    for digits in range(3, 9):
        short = np.array([float(f"{v:.{digits - 1}e}") for v in result.tolist()])
        short = np.clip(short, p.low, p.high)
        near = ~done & (np.abs(p.position(short) - at) <= ROUNDING)
        result = np.where(near, short, result)
        done |= near
    return result


def _distinct(space: Space, configs: Sequence[dict[str, Value]]) -> list[dict[str, Value]]:
    """The configurations that are none of those before them, as far as three written digits can tell."""
    if not configs:
        return []
    near = _Near(space, Pool.from_configs(space, configs))
    repeated = np.zeros(len(configs), dtype=np.bool_)
    for i, config in enumerate(configs):
        if not repeated[i]:
            repeated[[j for j in near.rows(config) if j > i and space.same(config, configs[j])]] = True
    return [config for config, again in zip(configs, repeated, strict=True) if not again]


def _among(space: Space, pool: Pool, configs: Sequence[Config]) -> NDArray[np.bool_]:
    """Which rows of a pool are one of these configurations, as far as three written digits can tell: [n]."""
    same = np.zeros(len(pool), dtype=np.bool_)
    if configs:
        near = _Near(space, pool)
        for config in configs:
            same[[row for row in near.rows(config) if space.same(config, pool.config(row))]] = True
    return same


class _Near:
    """Finds the few rows of a pool that may be the same as a configuration, without comparing it with every one."""

    def __init__(self, space: Space, pool: Pool) -> None:
        from scipy.spatial import cKDTree

        self.space = space
        self.reach = np.concatenate([np.full(p.width, _reach(p)) for p in space.parameters])
        self.tree = cKDTree(pool.encoded / self.reach)

    def rows(self, config: Config) -> list[int]:
        found: list[int] = self.tree.query_ball_point(self.space.encode(config) / self.reach, 1.0, p=np.inf)
        return found


def _reach(p: Parameter) -> float:
    """More than how far apart, in its encoding, two legal values that count as the same can be."""
    if not isinstance(p, Ordered):
        return 2 * WRITTEN
    low, high, logarithmic = p.limits()
    if low == high:
        return 1.0
    return 2 * WRITTEN / log(high / low) if logarithmic else 2 * WRITTEN * max(abs(low), abs(high)) / (high - low)
