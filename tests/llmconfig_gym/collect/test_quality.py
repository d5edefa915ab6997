"""What makes an experiment uninformative."""

from __future__ import annotations

import math
from typing import Any

import pytest

from llmconfig_gym.collect.quality import quality
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.parameter import Categorical, Grid, Integer
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

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
