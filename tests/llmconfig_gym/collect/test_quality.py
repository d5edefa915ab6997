"""What makes an experiment uninformative."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from llmconfig_gym.collect.quality import quality, transfers
from llmconfig_gym.experiment import Experiment, Fidelity, Level
from llmconfig_gym.parameter import Categorical, Grid, Integer
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Card, Suite

SPACE = Space((Grid("lr", (0.1, 0.2, 0.4), log=True), Integer("layers", 1, 3), Categorical("bias", (False, True))))
CONFIGS = [
    {"lr": lr, "layers": layers, "bias": bias}
    for lr in (0.1, 0.2, 0.4)
    for layers in (1, 2, 3)
    for bias in (False, True)
]
MIDDLE = CONFIGS.index({"lr": 0.2, "layers": 2, "bias": False})


def experiment(make: Any, best: int, noise: float, direction: str = "minimize") -> Experiment:
    sign = 1 if direction == "minimize" else -1
    values = [sign * (1.0 if i == best else 2.0 + 0.001 * i) for i in range(len(CONFIGS))]
    made: Experiment = make(Pool.from_configs(SPACE, CONFIGS), values, noise=noise, direction=direction)
    return made


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_best_inside_that_stands_out_is_informative(make: Any, direction: str) -> None:
    found = quality(experiment(make, MIDDLE, 0.2, direction))
    assert found.best == {"lr": 0.2, "layers": 2, "bias": False}
    assert found.gap == pytest.approx(1.008)
    assert found.ratio == pytest.approx(5.04)
    assert found.shortcomings == []


@pytest.mark.parametrize(
    ("best", "noise", "shortcomings"),
    [
        (0, 0.01, ["lr", "layers"]),
        (len(CONFIGS) - 1, 0.01, ["lr", "layers"]),
        (CONFIGS.index({"lr": 0.2, "layers": 3, "bias": True}), 0.01, ["layers"]),
        (MIDDLE, 0.21, ["noise floor"]),
        (MIDDLE, math.nan, ["noise floor"]),
    ],
)
def test_shortcomings(make: Any, best: int, noise: float, shortcomings: list[str]) -> None:
    found = quality(experiment(make, best, noise)).shortcomings
    assert len(found) == len(shortcomings)
    assert all(word in text for word, text in zip(shortcomings, found, strict=True))


def family(make: Any, tables: Sequence[tuple[Level, float, Space, list[Any], list[float]]]) -> Suite:
    """One family: (level, cost, space, configurations, losses) each."""
    made = []
    for place, (level, cost, space, configs, losses) in enumerate(tables):
        e: Experiment = make(Pool.from_configs(space, configs), losses, noise=0.1)
        fidelity = Fidelity({"size": cost}, cost)
        made.append(replace(e, id=f"x/{place}", suite="x", family="f", level=level, fidelity=fidelity))
    return Suite.of("x", Card("a family"), made)


LRS = [{"lr": lr, "layers": 2, "bias": False} for lr in (0.1, 0.2, 0.4)]


@pytest.mark.parametrize(
    ("high", "spearman", "moved", "regret"),
    [
        ([3.0, 2.0, 4.0], 1.0, False, 0.0),
        ([2.0, 3.0, 4.0], 0.5, True, 0.5),
        ([3.0, 4.0, 2.0], -1.0, True, 1.0),
    ],
)
def test_how_the_cheapest_speaks_for_the_dearest(
    make: Any, high: list[float], spearman: float, moved: bool, regret: float
) -> None:
    suite = family(make, [("low", 1, SPACE, LRS, [3.0, 2.0, 4.0]), ("high", 9, SPACE, LRS, high)])
    (found,) = transfers(suite)
    assert (found.low, found.high, found.shared) == ("x/0", "x/1", 3)
    assert found.spearman == pytest.approx(spearman)
    assert (found.moved, found.regret) == (moved, pytest.approx(regret))
    assert found.ranked is (spearman == 0.5)


def test_the_cheapest_low_and_the_dearest_high_are_compared(make: Any) -> None:
    tables: Any = [
        (level, cost, SPACE, LRS, [3.0, 2.0, 4.0])
        for level, cost in (("low", 2), ("low", 1), ("medium", 50), ("high", 9), ("high", 8))
    ]
    (found,) = transfers(family(make, tables))
    assert (found.low, found.high) == ("x/1", "x/3")
    assert transfers(family(make, tables[:3])) == []


def test_relative_settings_are_compared_by_position_and_what_was_not_measured_is_left_out(make: Any) -> None:
    widths = [Space((Grid("width", levels, log=True, relative=True),)) for levels in ((16, 24, 32), (32, 48, 64))]
    low = [{"width": w} for w in (16, 24, 32)]
    high = [{"width": w} for w in (64, 32)]
    suite = family(make, [("low", 1, widths[0], low, [3.0, 1.0, 2.0]), ("high", 9, widths[1], high, [5.0, 6.0])])
    (found,) = transfers(suite)
    assert found.shared == 2
    assert math.isnan(found.spearman)  # two pairs are no ranking
    assert found.moved  # 24 became 48, which the dearest never ran
    assert math.isnan(found.regret)
