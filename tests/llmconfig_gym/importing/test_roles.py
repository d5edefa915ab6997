"""What a user says about columns, in the table's own names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.importing.columns import Column, read_columns
from llmconfig_gym.importing.read import Table
from llmconfig_gym.importing.roles import Cost, Overrides, find_column, resolve


@pytest.fixture
def columns() -> dict[str, Column]:
    data = {
        "config.lr": [0.1, 0.2],
        "summary.lr": [0, 0],
        "config.opt": ["a", "b"],
        "summary.loss": [1, 2],
        "other.x": [0, 1],
        "w1": [0.5, 0.2],
        "w2": [0.5, 0.8],
        "hollow": [None, None],
    }
    return read_columns(Table(Path("t.csv"), pd.DataFrame(data, dtype=object), "line"))


def test_short_names_find_the_side_that_the_flag_is_about(columns: dict[str, Column]) -> None:
    assert find_column(columns, "parameters", "lr") == "config.lr"
    assert find_column(columns, "details", "lr") == "summary.lr"
    assert find_column(columns, "metric", "loss") == "summary.loss"
    assert find_column(columns, "metric", "summary.loss") == "summary.loss"


def test_everything_is_resolved(columns: dict[str, Column]) -> None:
    said = Overrides(parameters=("lr", "w1"), metric="loss", simplex={"w": ("w1", "w2")}, log=("lr",), task="grpo")
    resolved = resolve(columns, said)
    assert resolved.parameters == ("config.lr",)
    assert resolved.metric == "summary.loss"
    assert resolved.log == ("config.lr",)
    assert resolved.fidelity is None


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (Overrides(metric="los"), "--metric: no column is called 'los'; did you mean 'loss'"),
        (
            Overrides(parameters=("lr",), fidelity=("config.lr",)),
            "config.lr is named in --parameters and in --fidelity",
        ),
        (Overrides(log=("lr",), linear=("lr",)), "--log and in --linear"),
        (Overrides(metric="opt"), "--metric config.opt: expected a column of numbers, found a, b"),
        (Overrides(details=("hollow",)), "--details hollow: expected a column of numbers, found no value"),
        (Overrides(cost="opt"), "--cost config.opt: expected a column of numbers"),
        (Overrides(log=("other.x",)), "--log other.x: a logarithmic scale needs positive values"),
        (Overrides(simplex={"w": ("w1",)}), "--simplex w: a mixture needs two or more columns"),
        (Overrides(task="pretrainng"), "did you mean 'pretraining'"),
        (Overrides(task="My Task"), "plain lower-case word"),
    ],
)
def test_nonsense_is_refused(columns: dict[str, Column], said: Overrides, says: str) -> None:
    with pytest.raises(ImportProblem, match=says) as caught:
        resolve(columns, said)
    assert "\n" not in str(caught.value)


def test_an_ambiguous_short_name_is_refused() -> None:
    frame = pd.DataFrame({"config.a": [1], "params.a": [2]}, dtype=object)
    with pytest.raises(ImportProblem, match=r"it could be config\.a or params\.a"):
        find_column(read_columns(Table(Path("t.csv"), frame, "line")), "parameters", "a")


def test_a_task_of_ones_own_is_a_plain_word(columns: dict[str, Column]) -> None:
    assert resolve(columns, Overrides(task="quantisation")).task == "quantisation"


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (Cost("6ND", ("N", "D"), "FLOPs"), "6 x N x D, in FLOPs"),
        (Cost("column", ("gpu_hours",), "GPU hours"), "gpu_hours, in GPU hours"),
        (Cost("one", (), "relative cost"), "1 relative cost: nothing tells what a run costs"),
    ],
)
def test_costs_in_words(cost: Cost, text: str) -> None:
    assert cost.text() == text
