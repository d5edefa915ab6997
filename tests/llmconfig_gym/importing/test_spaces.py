"""The kinds of parameters that columns become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.importing.columns import read_columns
from llmconfig_gym.importing.guess import guess_roles
from llmconfig_gym.importing.read import Table
from llmconfig_gym.importing.roles import Overrides
from llmconfig_gym.importing.spaces import Setting, describe, settings
from llmconfig_gym.parameter import Categorical, Grid, Integer, Parameter, Real, Simplex


def build(data: Mapping[str, Sequence[object]], overrides: Overrides | None = None) -> tuple[list[Setting], list[str]]:
    rows = len(next(iter(data.values())))
    frame = pd.DataFrame({**data, "loss": np.linspace(1, 2, rows).tolist()}, dtype=object)
    table = Table(Path("t.csv"), frame, "line")
    roles = guess_roles(table, overrides).roles
    return settings(read_columns(table, roles.categorical), roles, np.zeros(rows, dtype=np.int64))


def made(data: Mapping[str, Sequence[object]], overrides: Overrides | None = None) -> list[Parameter]:
    found, _ = build(data, overrides)
    return [s.make(np.arange(len(s.values))) for s in found]


def test_few_values_are_levels() -> None:
    assert made({"lr": [1e-4, 1e-3, 1e-2, 1e-3], "width": [64.0, 128, 64, 128], "depth": [2, 2, 4, 4]}) == [
        Grid("lr", (1e-4, 1e-3, 1e-2), log=True),
        Grid("width", (64, 128), relative=True),
        Grid("depth", (2, 4), relative=True),
    ]


def test_many_values_that_rarely_repeat_are_a_range() -> None:
    rng = np.random.default_rng(0)
    draws: list[float] = rng.uniform(0.2, 0.9, 20).tolist()
    counts = list(range(3, 23))
    top, warm = made({"top": draws, "warmup": counts})
    assert isinstance(top, Real)
    assert (top.low, top.high, top.log) == (min(draws), max(draws), False)
    assert warm == Integer("warmup", 3, 22)


def test_the_same_draws_at_three_scales_are_still_draws() -> None:
    draws = np.random.default_rng(0).uniform(0, 1, 20).tolist()
    frame = pd.DataFrame({"x": draws * 3, "loss": range(60)}, dtype=object)
    table = Table(Path("t.csv"), frame, "line")
    found, _ = settings(read_columns(table), guess_roles(table).roles, np.repeat([0, 1, 2], 20))
    assert isinstance(found[0].make(np.arange(20)), Real)


def test_a_grid_of_two_axes_stays_a_grid_however_fine() -> None:
    lr = [10 ** (-4 + i / 10) for i in range(20) for _ in range(4)]
    batch = [2**k for _ in range(20) for k in range(4)]
    assert [type(p) for p in made({"lr": lr, "batch": batch})] == [Grid, Grid]


def test_text_and_booleans_are_choices_of_the_whole_table() -> None:
    found, _ = build({"opt": ["lion", "adamw", "adamw"], "amp": ["true", "False", "true"], "k": ["none", "1", "none"]})
    only_first = np.array([0])
    assert [s.make(only_first) for s in found] == [
        Categorical("opt", ("adamw", "lion")),
        Categorical("amp", (False, True)),
        Categorical("k", ("1", "none")),
    ]


def test_numbers_named_as_choices() -> None:
    assert made({"k": [2, 10, 2]}, Overrides(categorical=("k",))) == [Categorical("k", ("10", "2"))]


def test_levels_that_three_digits_cannot_tell_apart_are_one() -> None:
    found, notes = build({"lr": [0.00276, 0.002762, 0.002762, 0.0005]})
    assert found[0].make(np.arange(4)) == Grid("lr", (0.0005, 0.002762), log=True)
    assert notes == ["lr: values that three digits cannot tell apart are one level (0.00276 as 0.002762)"]


def test_whole_numbers_that_are_written_in_full_stay_apart() -> None:
    assert made({"warmup": [1000, 1001, 1000]}) == [Grid("warmup", (1000, 1001))]
    assert made({"seen": [1_000_000, 1_001_000, 2_000_000, 1_000_000]}) == [Grid("seen", (1_000_000, 2_000_000))]


def test_a_mixture_comes_last_with_its_components() -> None:
    found, _ = build({"w.a": [0.5, 0.2, 1], "w.b": [0.5, 0.8, None], "lr": [1, 2, 3]})
    assert [s.name for s in found] == ["lr", "w"]
    assert found[1].make(np.arange(3)) == Simplex("w", ("a", "b"))
    assert found[1].values[2].tolist() == [1.0, 0.0]


def test_one_name_for_a_mixture_and_a_setting() -> None:
    with pytest.raises(ImportProblem, match="a mixture and a setting are both called w"):
        build({"w.a": [0.5, 0.2, 1], "w.b": [0.5, 0.8, 0], "w": [1, 2, 3]})


def test_short_names_where_they_are_free() -> None:
    found, _ = build({"config.lr": [1, 2, 3], "args.bs": [1, 2, 2], "config.bs": [1, 1, 2]})
    assert [s.name for s in found] == ["lr", "args.bs", "config.bs"]


def test_descriptions() -> None:
    assert describe(Grid("lr", (0.001, 0.01), log=True)) == "grid, 2 levels from 1.0e-3 to 0.01, log"
    assert describe(Categorical("o", ("a", "b"))) == "categorical, a, b"
