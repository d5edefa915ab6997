"""The YAML of a user's sweep: what it may leave out, and what is said of what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from llmconfig_gym.collect.sweep_file import read_sweep
from llmconfig_gym.errors import CollectError

LR = {"kind": "grid", "name": "lr", "levels": [0.1, 0.2], "log": True}
LEAST = {"parameters": [LR], "fidelities": [{"level": "high", "steps": 10, "model": "small"}]}


def write(path: Path, data: Any) -> Path:
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    return path


def test_the_least_there_must_be(tmp_path: Path) -> None:
    sweep = read_sweep(write(tmp_path / "space.yaml", LEAST))
    assert (sweep.task, sweep.metric.name, sweep.metric.direction) == ("other", "val_loss", "minimize")
    assert sweep.space.names == ("lr",)
    ((level, fidelity),) = sweep.fidelities
    assert (level, fidelity.values, fidelity.cost) == ("high", {"steps": 10, "model": "small"}, 10.0)


def test_everything_can_be_said(tmp_path: Path) -> None:
    data = {
        **LEAST,
        "task": "grpo",
        "metric": {"name": "reward", "direction": "maximize", "about": "mean reward"},
        "details": {"kl": "divergence"},
        "fidelities": [{"level": "low", "steps": 10, "cost": 2, "cost_unit": "GPU hours"}],
    }
    path = write(tmp_path / "space.yaml", data)
    sweep = read_sweep(path)
    assert (sweep.task, sweep.metric.name, sweep.metric.direction) == ("grpo", "reward", "maximize")
    assert sweep.metric.details == {"kl": "divergence"}
    assert sweep.fidelities[0][1].text() == "steps 10 (2 GPU hours)"
    assert read_sweep(path, metric="score").metric.name == "score"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("just a text", "a sweep maps its keys"),
        ("a: [", "cannot be read as YAML"),
        ("!!python/object/apply:os.system ['true']", "cannot be read as YAML"),
        ({"parmeters": []}, "the keys are"),
        ({"parameters": []}, "one or more mappings"),
        ({"parameters": [{"kind": "grid", "name": "lr", "levels": [2, 1]}]}, "ascending"),
        ({"parameters": [{"kind": "real", "name": "lr", "low": 0.1, "high": 1.0}]}, "of kind grid or categorical"),
        ({"fidelities": None}, "one or more mappings"),
        ({"fidelities": [{"level": "tiny", "steps": 1}]}, "one of low, medium, high"),
        ({"fidelities": [{"level": "low"}]}, "names what is scaled"),
        ({"fidelities": [{"level": "low", "steps": [1]}]}, "names what is scaled"),
        ({"fidelities": [{"level": "low", "steps": 1, "cost": 0}]}, "positive number"),
        ({"metric": {"name": "loss", "direction": "down"}}, "minimize or maximize"),
        ({"metric": ["loss"]}, "all texts"),
        ({"details": ["kl"]}, "maps names"),
        ({"task": 3}, "task is a word"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change: Any, message: str) -> None:
    data = {**LEAST, **change} if isinstance(change, dict) else change
    with pytest.raises(CollectError, match=message) as caught:
        read_sweep(write(tmp_path / "space.yaml", data))
    assert "space.yaml" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CollectError, match="cannot be read"):
        read_sweep(tmp_path / "space.yaml")
