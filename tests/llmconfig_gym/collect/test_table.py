"""Replicates become mean, spread and count; the noise floor comes from the better half."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmconfig_gym.collect.driver import Measurement, Row, Run
from llmconfig_gym.collect.table import noise_floor, tabulate

NAN = math.nan


def row(lr: float, seed: int, value: float | None, **details: float | None) -> Row:
    return Row("group", Run("experiment", {"lr": lr}, seed), Measurement(value, "ok", details))


def test_replicates_are_folded_wherever_they_stand() -> None:
    table = tabulate(
        [row(0.1, 0, 1.0, steps=4), row(0.2, 0, 5.0, steps=4), row(0.1, 1, 2.0, steps=8), row(0.1, 2, 6.0, steps=6)],
        ["steps", "never"],
    )
    assert table.configs == [{"lr": 0.1}, {"lr": 0.2}]
    assert table.values.tolist() == [3.0, 5.0]
    assert table.spread[0] == math.sqrt(7)
    assert math.isnan(table.spread[1])
    assert table.replicates.tolist() == [3, 1]
    assert set(table.details) == {"steps", "never"}
    assert table.details["steps"].tolist() == [6.0, 4.0]
    assert np.isnan(table.details["never"]).all()


def test_a_replicate_without_a_value_leaves_none() -> None:
    table = tabulate([row(0.1, 0, 1.0, loss=2.0), row(0.1, 1, None, loss=None), row(0.2, 0, None)], ["loss"])
    assert np.isnan(table.values).all()
    assert np.isnan(table.spread).all()
    assert np.isnan(table.details["loss"]).all()
    assert table.replicates.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("values", "spread", "noise"),
    [
        ([1, 2, 3, 4], [3, 4, 100, 100], math.sqrt(12.5)),  # the worse half scatters more and does not count
        ([4, 3, 2, 1], [100, 100, NAN, 5], 5),
        ([1, 2, 3], [NAN, 2, 7], 2),  # of an odd number, the middle one belongs to the better half
        ([1, 2, 3, NAN], [NAN, NAN, 7, 9], 7),  # nothing there: the best that was replicated
        ([1, 2], [NAN, NAN], NAN),
    ],
)
def test_noise_floor(values: list[float], spread: list[float], noise: float) -> None:
    found = noise_floor(np.array(values, dtype=float), np.array(spread, dtype=float), "minimize")
    assert found == pytest.approx(noise, nan_ok=True)
    mirrored = noise_floor(-np.array(values, dtype=float), np.array(spread, dtype=float), "maximize")
    assert mirrored == pytest.approx(noise, nan_ok=True)
