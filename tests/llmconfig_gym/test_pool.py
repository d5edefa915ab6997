"""Pools: the most similar measured configuration is the nearest one, by either index, alone or in bulk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

import llmconfig_gym.pool
from llmconfig_gym.errors import SuiteFormatError
from llmconfig_gym.parameter import Categorical, FloatArray, Grid, Integer, Parameter, Real, Simplex, Value
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

WAYS: tuple[dict[str, int], ...] = ({}, {"MAX_COMPARED": 0}, {"MAX_CELLS": 0}, {"MAX_CELLS": 0, "MAX_COMPARED": 0})
"""The ways an answer can be found: dense cells with or without the tree; comparison with all rows; the tree."""


def coordinates(p: Parameter, value: Value) -> list[float]:
    """The encoding as documented, written down once more; numbers beyond a range count as its end."""
    if isinstance(p, Categorical):
        return [float(value is c or (type(value) is type(c) and value == c)) for c in p.choices]
    if isinstance(p, Simplex):
        assert isinstance(value, Mapping)
        return [value[c] / sum(value.values()) for c in p.components]
    assert isinstance(p, Grid | Integer | Real)
    assert isinstance(value, int | float)
    low, high = (p.levels[0], p.levels[-1]) if isinstance(p, Grid) else (p.low, p.high)
    if low == high:
        return [0.5]
    inside = min(max(value, low), high)
    if p.log:
        return [math.log(inside / low) / math.log(high / low)]
    return [(inside - low) / (high - low)]


def distances(pool: Pool, config: Mapping[str, Value]) -> FloatArray:
    """[rows] Euclidean distances to a configuration, one row at a time."""

    def point(c: Mapping[str, Value]) -> list[float]:
        return [x for p in pool.space.parameters for x in coordinates(p, c[p.name])]

    return np.array([math.dist(point(config), point(pool.config(row))) for row in range(len(pool))])


def proposal(data: st.DataObject, pool: Pool) -> dict[str, Value]:
    """A checked configuration: measured, between levels, or beyond the ends of a range."""
    config: dict[str, Any] = {}
    measured = pool.config(data.draw(st.integers(0, len(pool) - 1)))
    for p in pool.space.parameters:
        way = data.draw(st.sampled_from(("measured", "legal", "any")))
        if way == "measured":
            config[p.name] = measured[p.name]
        elif way == "legal" or isinstance(p, Categorical | Simplex):
            config[p.name] = p.decode(
                np.array(data.draw(st.lists(st.floats(0, 1), min_size=p.width, max_size=p.width)))
            )
        elif isinstance(p, Integer):
            config[p.name] = data.draw(st.integers(1 if p.log else -(10**6), 10**9))
        else:
            low = 1e-12 if getattr(p, "log", False) else -1e6
            config[p.name] = data.draw(st.floats(low, 1e9) | st.sampled_from([1e-12, 1e308]))
    return pool.space.check(config)


def columns(space: Space, configs: list[dict[str, Value]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for p in space.parameters:
        cells = [c[p.name] for c in configs]
        result[p.name] = np.array([list(v.values()) if isinstance(v, Mapping) else v for v in cells])
    return result


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=50)
@given(data=st.data())
def test_the_most_similar_row_is_the_nearest_one(
    data: st.DataObject, way: dict[str, int], pools: SearchStrategy[Pool]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in way.items():
            patch.setattr(llmconfig_gym.pool, name, value)
        pool = data.draw(pools)
        config = proposal(data, pool)
        row, exact = pool.find(config)
        d = distances(pool, config)
        assert d[row] <= d.min() + 1e-9
        assert exact == pool.space.same(config, pool.config(row))


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=50)
@given(data=st.data())
def test_one_by_one_and_in_bulk_give_the_same(
    data: st.DataObject, way: dict[str, int], pools: SearchStrategy[Pool]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in way.items():
            patch.setattr(llmconfig_gym.pool, name, value)
        pool = data.draw(pools)
        configs = [proposal(data, pool) for _ in range(3)]
        rows, exact = pool.find_many(columns(pool.space, configs))
        assert list(zip(rows.tolist(), exact.tolist(), strict=True)) == [pool.find(c) for c in configs]


@given(data=st.data())
def test_every_measured_configuration_finds_itself(data: st.DataObject, pools: SearchStrategy[Pool]) -> None:
    pool = data.draw(pools)
    for row in range(len(pool)):
        found, exact = pool.find(pool.config(row))
        assert exact
        assert found <= row
        assert pool.space.same(pool.config(found), pool.config(row))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rows", [3, 9, 40])
@pytest.mark.parametrize("first", ["x", "y", "z"])
def test_ties_go_to_the_lowest_row_however_many_there_are(
    way: dict[str, int], rows: int, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in way.items():
        monkeypatch.setattr(llmconfig_gym.pool, name, value)
    others = [c for c in ("x", "y", "z") if c != first]
    space = Space((Categorical("choice", ("w", "x", "y", "z")), Integer("seed", 0, 5)))
    choices = [first, *others * rows]
    pool = Pool(space, {"choice": choices, "seed": [0] * len(choices)})
    assert pool.find({"choice": "w", "seed": 0}) == (0, False)
    assert pool.find({"choice": "w", "seed": 3}) == (0, False)
    assert pool.find_many({"choice": ["w"] * 3, "seed": [0, 3, 5]})[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("order", [1, -1])
def test_half_way_between_two_rows_is_the_lower_row_on_a_range(
    way: dict[str, int], order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in way.items():
        monkeypatch.setattr(llmconfig_gym.pool, name, value)
    pool = Pool(Space((Real("x", 0.0, 1.0),)), {"x": np.array([0.0, 1.0])[::order]})
    assert pool.find({"x": 0.5}) == (0, False)


def test_half_way_between_two_levels_is_the_upper_level() -> None:
    pool = Pool(Space((Grid("x", (0, 1, 2)),)), {"x": [0, 1, 2]})
    assert [pool.find({"x": v})[0] for v in (0.5, 1.5, 0.49)] == [1, 2, 0]


def test_a_number_between_levels_in_a_hole_finds_what_is_nearest_to_itself_not_to_the_hole() -> None:
    space = Space((Grid("a", (0, 1, 2)), Grid("b", (0, 1, 2))))
    cells = [(0, 1), (2, 1)]  # the middle is a hole, as far from one as from the other
    pool = Pool.from_configs(space, [{"a": a, "b": b} for a, b in cells])
    assert pool.find({"a": 1, "b": 1}) == (0, False)
    assert pool.find({"a": 1.4, "b": 1}) == (1, False)
    assert pool.find({"a": 0.6, "b": 1}) == (0, False)
    assert pool.find_many({"a": [1, 1.4, 0.6], "b": [1, 1, 1]})[0].tolist() == [0, 1, 0]


@pytest.mark.parametrize("wild", [1e308, 10**300, 1e200, 1e9])
def test_one_wild_number_counts_as_the_end_of_its_range_and_leaves_the_others_their_say(wild: float) -> None:
    space = Space((Real("dropout", 0.0, 0.1), Real("decay", 0.0, 1.0)))
    corners = [{"dropout": a, "decay": b} for a in (0.0, 0.1) for b in (0.0, 1.0)]
    pool = Pool.from_configs(space, corners)
    found = [pool.config(pool.find({"dropout": s * wild, "decay": b})[0]) for s in (-1, 1) for b in (0.1, 0.9)]
    assert found == corners


def test_a_number_within_three_written_digits_of_a_level_is_that_level_and_no_other() -> None:
    pool = Pool(Space((Grid("lr", (9.766e-4, 1.381e-3, 1.953e-3), log=True),)), {"lr": [9.766e-4, 1.381e-3, 1.953e-3]})
    assert pool.find({"lr": 1.38e-3}) == (1, True)
    assert pool.find({"lr": 1.39e-3}) == (1, False)
    assert pool.find({"lr": 9.77e-4}) == (0, True)


def test_a_large_grid_is_answered_by_the_tree() -> None:
    levels = tuple(range(300))
    space = Space((Grid("a", levels), Grid("b", levels)))
    pool = Pool(space, {"a": [0, 299, 150], "b": [0, 299, 10]})
    assert pool._grid is None
    assert pool.find({"a": 150, "b": 10}) == (2, True)
    assert pool.find({"a": 200, "b": 250}) == (1, False)


@given(data=st.data())
def test_a_pool_of_its_own_configurations_is_the_same_pool(data: st.DataObject, pools: SearchStrategy[Pool]) -> None:
    pool = data.draw(pools)
    again = Pool.from_configs(pool.space, [pool.config(row) for row in range(len(pool))])
    for name, column in pool.columns.items():
        assert (
            np.allclose(again.columns[name], column)
            if column.dtype.kind == "f"
            else (again.columns[name] == column).all()
        )


def test_configurations_are_plain_python() -> None:
    space = Space((Grid("bs", (8, 16)), Categorical("act", ("gelu", "relu")), Categorical("bias", (True, False))))
    columns = {
        "bs": np.array([8, 16]),
        "act": np.array(["gelu", "relu"], dtype=object),
        "bias": np.array([True, False]),
    }
    config = Pool(space, columns).config(1)
    assert config == {"bs": 16, "act": "relu", "bias": False}
    assert [type(v) for v in config.values()] == [int, str, bool]


SPACE = Space((Grid("bs", (8, 16)), Real("lr", 1e-4, 1e-2, log=True), Categorical("act", ("a", "b"))))
GOOD: dict[str, Any] = {"bs": [8, 16], "lr": [1e-3, 1e-2], "act": ["a", "b"]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"bs": None}, "no column for parameter 'bs'"),
        ({"bs": [8]}, r"one length, at least 1; found \[1, 2\]"),
        ({"bs": [], "lr": [], "act": []}, r"one length, at least 1; found \[0\]"),
        ({"bs": [8, 12]}, "column of parameter 'bs' holds other values than 8, 16"),
        ({"bs": ["8", "16"]}, "column of parameter 'bs' holds other values"),
        ({"bs": [[8], [16]]}, "column of parameter 'bs' holds other values"),
        ({"lr": [1e-3, math.nan]}, "column of parameter 'lr' holds other values than 1.0e-4 to 0.01"),
        ({"lr": [1e-3, math.inf]}, "column of parameter 'lr' holds other values"),
        ({"lr": [1e-3, -1.0]}, "column of parameter 'lr' holds other values"),
        ({"lr": [1e-3, 0.02]}, "column of parameter 'lr' holds other values"),
        ({"act": ["a", "c"]}, "column of parameter 'act' holds other values than a, b"),
        ({"act": [True, False]}, "column of parameter 'act' holds other values"),
    ],
)
def test_a_table_that_is_not_of_its_space_is_refused(change: dict[str, Any], says: str) -> None:
    columns = {k: v for k, v in {**GOOD, **change}.items() if v is not None}
    with pytest.raises(SuiteFormatError, match=says):
        Pool(SPACE, columns)


@pytest.mark.parametrize(
    "weights",
    [
        [[0.5, 0.5, 0.0]],
        [[1.5, -0.5]],
        [[0.5, 0.4]],
        [[0.0, 0.0]],
        [[math.nan, 1.0]],
        [0.5, 0.5],
        [["a", "b"]],
    ],
)
def test_a_table_of_mixtures_that_are_none_is_refused(weights: Any) -> None:
    with pytest.raises(SuiteFormatError, match="column of parameter 'w' holds other values than weights"):
        Pool(Space((Simplex("w", ("web", "code")),)), {"w": weights})


def test_fractions_are_no_whole_numbers() -> None:
    with pytest.raises(SuiteFormatError, match="column of parameter 'n' holds other values than whole numbers"):
        Pool(Space((Integer("n", 1, 9),)), {"n": [1.0, 2.5]})
