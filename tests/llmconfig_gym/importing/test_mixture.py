"""Mixture weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llmconfig_gym.importing.columns import Column, read_columns
from llmconfig_gym.importing.mixture import component_names, guess_mixtures, sums_to_one, weights
from llmconfig_gym.importing.read import Table


def columns(data: dict[str, list[Any]]) -> dict[str, Column]:
    return read_columns(Table(Path("t.csv"), pd.DataFrame(data, dtype=object), "line"))


WEB, CODE, MATH = [0.5, 0.2, 1.0, 0.3], [0.3, 0.8, 0.0, 0.3], [0.2, 0.0, 0.0, 0.4]


def test_a_common_prefix_that_sums_to_one() -> None:
    c = columns({"w.web": WEB, "w.code": CODE, "w.math": MATH, "w2": [0.1, 0.2, 0.3, 0.4]})
    assert guess_mixtures(list(c.values())) == {"w": ("w.web", "w.code", "w.math")}
    assert component_names(c, ["w.web", "w.code", "w.math"]) == ("web", "code", "math")


def test_the_longest_prefix_that_works() -> None:
    c = columns({"train_the_web": WEB, "train_the_code": CODE, "train_the_math": MATH})
    assert list(guess_mixtures(list(c.values()))) == ["train_the"]


def test_without_a_prefix_three_columns_that_are_no_known_settings() -> None:
    c = columns({"web": WEB, "code": CODE, "math": MATH, "lr": [0.001, 0.01, 0.002, 0.003]})
    assert guess_mixtures(list(c.values())) == {"mixture": ("web", "code", "math")}
    assert component_names(c, ["web", "code", "math"]) == ("web", "code", "math")


def test_settings_are_no_mixture() -> None:
    assert guess_mixtures(list(columns({"a.x": [0.1, 0.9, 0.5, 0.3], "a.y": [0.1, 0.1, 0.2, 0.3]}).values())) == {}
    assert guess_mixtures(list(columns({"a.x": [0.5, 0.5], "a.y": [0.5, 0.5]}).values())) == {}  # never varies
    assert guess_mixtures(list(columns({"b.x": [50, 20], "b.y": [50, 80]}).values())) == {}


def test_a_weight_that_is_not_named_is_zero_where_the_rest_is_whole() -> None:
    c = columns({"w.a": [0.6, 0.6, None], "w.b": [0.4, 0.2, None], "w.c": [None, None, None]})
    matrix = weights(list(c.values()))
    assert matrix[0].tolist() == [0.6, 0.4, 0.0]
    assert np.isnan(matrix[1, 2])
    assert np.isnan(matrix[2]).all()


def test_share_of_rows_that_are_weights() -> None:
    matrix = np.array([[0.5, 0.5], [1.2, -0.2], [0.5, 0.2], [np.nan, 1.0], [0.496, 0.503]])
    assert sums_to_one(matrix) == 0.4
