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

from llmconfig_gym.errors import CollectError, InvalidSpace
from llmconfig_gym.experiment import LEVELS, Fidelity, Level, Metric
from llmconfig_gym.parameter import Categorical, Grid, shown
from llmconfig_gym.plain import is_number, is_text, parameter_from_dict
from llmconfig_gym.space import Space

DEFAULT_METRIC = "val_loss"
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
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as problem:
        raise CollectError(f"{path} cannot be read as YAML: {problem}") from None
    try:
        _require(isinstance(data, dict), "a sweep maps its keys to values", data)
        unknown = [k for k in data if k not in _KEYS]
        _require(not unknown, f"the keys are {', '.join(_KEYS)}", unknown)
        task = data.get("task", "other")
        _require(is_text(task), "task is a word", task)
        levels = data.get("fidelities")
        _require(isinstance(levels, list) and levels, "fidelities is a list of one or more mappings", levels)
        fidelities = tuple(_fidelity(f) for f in levels)
        return Sweep(task, _metric(data, metric), _space(data.get("parameters")), fidelities)
    except (CollectError, InvalidSpace) as problem:
        raise CollectError(f"{path}: {problem}") from None


def _require(fits: object, expected: str, found: object) -> None:
    if not fits:
        raise CollectError(f"{expected}; found {shown(found)}")


def _metric(data: Mapping[str, Any], name: str | None) -> Metric:
    told = data.get("metric", {})
    told = {"name": told} if is_text(told) else told
    fits = (
        isinstance(told, dict) and all(is_text(v) for v in told.values()) and {*told} <= {"name", "direction", "about"}
    )
    _require(fits, "metric has a name, a direction and an about, all texts", told)
    direction = told.get("direction", "minimize")
    _require(direction in ("minimize", "maximize"), "the metric's direction is minimize or maximize", direction)
    details = data.get("details", {})
    fits = isinstance(details, dict) and all(is_text(k) and is_text(v) for k, v in details.items())
    _require(fits, "details maps names to what they mean", details)
    return Metric(name or told.get("name", DEFAULT_METRIC), direction, told.get("about", ""), details)


def _space(data: object) -> Space:
    _require(isinstance(data, list) and data, "parameters is a list of one or more mappings", data)
    assert isinstance(data, list)
    space = Space(tuple(parameter_from_dict(p) for p in data))
    for p in space.parameters:
        fits = isinstance(p, Grid | Categorical)
        _require(fits, f"every combination is run, so {p.name} must be of kind grid or categorical", p.kind)
    return space


def _fidelity(data: object) -> tuple[Level, Fidelity]:
    _require(isinstance(data, dict), "a fidelity maps names to values", data)
    assert isinstance(data, dict)
    values = dict(data)
    level, cost, unit = values.pop("level", None), values.pop("cost", None), values.pop("cost_unit", "")
    _require(level in LEVELS, f"a fidelity's level is one of {', '.join(LEVELS)}", level)
    fits = values and all(is_text(k) and (is_text(v) or is_number(v)) for k, v in values.items())
    _require(fits, "a fidelity names what is scaled, such as steps: 1000, in numbers or words", data)
    _require(is_text(unit), "cost_unit is a text such as GPU hours", unit)
    numbers = [v for v in values.values() if is_number(v)]
    if cost is None:
        return level, Fidelity(values, float(math.prod(numbers)), unit or "relative")
    _require(is_number(cost) and cost > 0, "cost is a positive number", cost)
    return level, Fidelity(values, float(cost), unit or "relative")
