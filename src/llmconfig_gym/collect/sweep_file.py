"""The YAML file that says what a user's command is swept over.

task: pretraining                 # optional: whose words explain the parameters
metric: {name: val_loss, direction: minimize, about: loss on held-out text}
details: {train_loss: loss of the last batch}          # optional: other numbers that the command prints
parameters:                       # grids and choices: every combination is run
  - {kind: grid, name: lr, levels: [0.001, 0.003, 0.01], log: true}
  - {kind: categorical, name: schedule, choices: [cosine, linear]}
fidelities:                       # one experiment each; cost is optional (the product of the numbers)
  - {level: low, steps: 100}
  - {level: high, steps: 1000, cost: 10, cost_unit: GPU hours}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmconfig_gym.description import parse_metric, parse_space, read_yaml, require
from llmconfig_gym.errors import CollectError, InvalidDescription, InvalidSpace
from llmconfig_gym.experiment import LEVELS, Fidelity, Level, Metric
from llmconfig_gym.parameter import Categorical, Grid
from llmconfig_gym.plain import is_number, is_text
from llmconfig_gym.space import Space

_KEYS = ("task", "metric", "details", "parameters", "fidelities")


@dataclass(frozen=True)
class Sweep:
    """What the file says: a space whose every combination is run at each (level, fidelity)."""

    task: str
    metric: Metric
    space: Space
    fidelities: tuple[tuple[Level, Fidelity], ...]


def read_sweep(path: Path, metric: str | None = None) -> Sweep:
    """The sweep that a file describes.

    Args:
        metric: name of the metric, in place of the file's.

    Raises:
        CollectError: the file cannot be read, or something in it is missing, unknown or of the wrong kind.
    """
    try:
        data = read_yaml(path, "a sweep", _KEYS)
    except InvalidDescription as problem:
        raise CollectError(str(problem)) from None
    try:
        task = data.get("task", "other")
        require(is_text(task), "task is a word", task)
        levels = data.get("fidelities")
        require(isinstance(levels, list) and levels, "fidelities is a list of one or more mappings", levels)
        assert isinstance(levels, list)
        fidelities = tuple(_fidelity(f) for f in levels)
        told = parse_metric(data.get("metric", {}), data.get("details", {}), metric)
        return Sweep(task, told, _space(data.get("parameters")), fidelities)
    except (InvalidDescription, InvalidSpace) as problem:
        raise CollectError(f"{path}: {problem}") from None


def _space(data: object) -> Space:
    space = parse_space(data)
    for p in space.parameters:
        fits = isinstance(p, Grid | Categorical)
        require(fits, f"every combination is run, so {p.name} must be of kind grid or categorical", p.kind)
    return space


def _fidelity(data: object) -> tuple[Level, Fidelity]:
    require(isinstance(data, Mapping), "a fidelity maps names to values", data)
    assert isinstance(data, Mapping)
    values: dict[str, Any] = dict(data)
    level, cost, unit = values.pop("level", None), values.pop("cost", None), values.pop("cost_unit", "")
    require(level in LEVELS, f"a fidelity's level is one of {', '.join(LEVELS)}", level)
    fits = values and all(is_text(k) and (is_text(v) or is_number(v)) for k, v in values.items())
    require(fits, "a fidelity names what is scaled, such as steps: 1000, in numbers or words", data)
    require(is_text(unit), "cost_unit is a text such as GPU hours", unit)
    numbers = [v for v in values.values() if is_number(v)]
    if cost is None:
        return level, Fidelity(values, float(math.prod(numbers)), unit or "relative")
    require(is_number(cost) and cost > 0, "cost is a positive number", cost)
    return level, Fidelity(values, float(cost), unit or "relative")
