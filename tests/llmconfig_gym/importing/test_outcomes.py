"""Means, spreads and pooled noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmconfig_gym.importing.outcomes import finite_mean, mean_and_spread, pooled_sd

RUNS = st.lists(st.tuples(st.integers(0, 3), st.floats(-100, 100)), min_size=1, max_size=20)


def grouped(runs: list[tuple[int, float]]) -> list[list[float]]:
    return [values for k in range(4) if (values := [v for i, v in runs if i == k])]


@given(RUNS)
def test_mean_spread_and_noise_are_those_of_the_textbook(runs: list[tuple[int, float]]) -> None:
    groups = grouped(runs)
    which = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
    mean, spread = mean_and_spread(np.concatenate(groups), which, np.bincount(which))
    assert mean == pytest.approx([np.mean(g) for g in groups])
    expected = [float(np.std(g, ddof=1)) if len(g) > 1 else math.nan for g in groups]
    assert spread == pytest.approx(expected, abs=1e-6, nan_ok=True)
    degrees = sum(len(g) - 1 for g in groups)
    squares = sum(float(np.var(g)) * len(g) for g in groups)
    noise = math.sqrt(squares / degrees) if degrees else math.nan
    assert pooled_sd(spread, np.bincount(which)) == pytest.approx(noise, abs=1e-6, nan_ok=True)


@np.errstate(over="ignore", invalid="ignore")
def test_one_run_is_exact_a_diverged_one_infinite_and_nothing_overflows() -> None:
    which = np.array([0, 1, 1, 2, 2])
    mean, spread = mean_and_spread(np.array([2.1, 3.0, np.inf, 9e299, 1e300]), which, np.bincount(which))
    assert mean[0] == 2.1
    assert mean[1] == np.inf
    assert mean[2] == pytest.approx(9.5e299)
    assert np.isnan(spread[:2]).all()
    assert math.isnan(pooled_sd(spread, np.bincount(which)))  # a spread of 1e299 has no finite square


def test_details_are_means_of_what_is_finite() -> None:
    values = np.array([1.0, np.nan, 3.0, np.inf])
    assert finite_mean(values, np.array([0, 0, 1, 2]), 3).tolist()[:2] == [1.0, 3.0]
    assert np.isnan(finite_mean(values, np.array([0, 0, 1, 2]), 3)[2])
