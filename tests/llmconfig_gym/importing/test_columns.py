"""Kinds of columns."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llmconfig_gym.importing.columns import Column, read_columns, sized
from llmconfig_gym.importing.read import Table


def column(cells: list[object], name: str = "x", *, categorical: bool = False) -> Column:
    frame = pd.DataFrame({name: cells}, dtype=object)
    return read_columns(Table(Path("t.csv"), frame, "line"), {name} if categorical else ())[name]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "7B", "0.5"], "number"),
        ([1, 2.5, None], "number"),
        (["1", "auto", "2"], "number"),
        (["none", "none", "1"], "text"),
        (["true", "False", ""], "bool"),
        ([True, False], "bool"),
        (["adamw", "lion"], "text"),
        (["", None, math.nan, "NaN", "N/A"], "empty"),
        (["inf", "2"], "number"),
        ([10**400, 1], "number"),
    ],
)
def test_kinds(cells: list[object], kind: str) -> None:
    assert column(cells).kind == kind


def test_cells_that_do_not_fit_are_marked() -> None:
    c = column(["1", "auto", "", True, "nan"])
    assert c.kind == "text"  # one number among three cells that are not missing
    c = column(["1", "2", "auto", ""])
    assert c.wrong.tolist() == [False, False, True, False]
    assert c.missing.tolist() == [False, False, False, True]
    assert c.codes.tolist() == [0, 1, -1, -1]
    assert c.distinct == 2


def test_values_are_plain_python() -> None:
    assert column(["1.0", "2"]).value(0) == 1
    assert isinstance(column(["1.0", "2"]).value(0), int)
    assert isinstance(column(["1.5", "2"]).value(1), float)
    assert column(["TRUE", "false"]).value(0) is True
    assert column(["1", "2"], categorical=True).value(0) == "1"
    assert column([1, 2.5], categorical=True).value(1) == "2.5"


def test_a_huge_whole_number_is_infinite_not_an_error() -> None:
    assert np.isinf(column([10**400, 1]).numbers[0])
    assert np.isinf(column(["1" + "0" * 390, "1"]).numbers[0])


def test_descriptions() -> None:
    assert column(["1", "2", "4"]).text() == "3 values from 1 to 4"
    assert column(["1", "1"]).text() == "always 1"
    assert column(["b", "a", "b", "c", "d", "e"]).text() == "b, a, c, d, ..."


def test_take_keeps_the_chosen_rows() -> None:
    c = column(["a", "", "b"]).take(np.array([2, 0]))
    assert [c.value(0), c.value(1)] == ["b", "a"]
    assert c.distinct == 2


def test_names_of_models_as_sizes() -> None:
    assert sized(column(["m-1B", "m-7B"], "model")).numbers.tolist() == [1e9, 7e9]
    assert sized(column(["m-1B", "other"], "model")).kind == "text"
    assert sized(column(["m-1B", "m-7B"], "optimizer")).kind == "text"
