"""Files as an engineer has them: cheap runs in a CSV, a space, and a command with a settings file for `run`."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

COLUMNS = ("run", "N", "tokens", "lr", "batch_size", "val_loss")
SCALES = ((2.5e7, "5e8"), (1e8, "2B"))

TRAIN = """
    import json, os, pathlib, sys, time
    here, lr, way, n = pathlib.Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    with open(here / "calls.jsonl", "a") as file:
        file.write(json.dumps([os.getcwd().rsplit("/")[-1], lr, way, n]) + "\\n")
    (here / "pid").write_text(str(os.getpid()))
    begun = here / "begun"
    begun.touch()
    while (here / "wait").exists():
        time.sleep(0.01)
    extra = here / "extra.py"
    if extra.exists():
        exec(extra.read_text())
    import math
    print(f"val_loss={2 + (math.log10(lr) + 2.5) ** 2 + 0.1 * (way != 'plain') - n / 1e5}")
"""


def loss(lr: float, scale: int) -> float:
    return 3.5 - 0.3 * scale + 0.2 * math.log10(lr / 1e-3) ** 2


def sweep_rows(rates: Sequence[float] = (1e-4, 1e-3, 1e-2)) -> list[list[object]]:
    """Runs at two scales: run, N, tokens, lr, batch_size, val_loss."""
    return [
        [f"r{i}{k}", n, tokens, lr, 64 * (1 + k % 2), f"{loss(lr, i):.4f}"]
        for i, (n, tokens) in enumerate(SCALES)
        for k, lr in enumerate(rates)
    ]


@pytest.fixture
def write_runs(tmp_path: Path) -> Callable[..., Path]:
    """Writes cheap runs to a CSV: `write_runs(rows, columns)`."""

    def write(rows: Sequence[Sequence[object]] | None = None, columns: Sequence[str] = COLUMNS) -> Path:
        path = tmp_path / "runs.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([columns, *(sweep_rows() if rows is None else rows)])
        return path

    return write


@pytest.fixture
def space_file(tmp_path: Path) -> Path:
    """A space of two parameters."""
    path = tmp_path / "space.yaml"
    path.write_text(
        dedent("""
        parameters:
          - {kind: real, name: lr, low: 1e-5, high: 1e-2, log: true}
          - {kind: grid, name: batch_size, levels: [64, 128, 256], log: true}
        """)
    )
    return path


@pytest.fixture
def sweep() -> list[list[object]]:
    """The rows that `write_runs` writes when it is given none: three rates at two scales."""
    return sweep_rows()


class Lab:
    """A directory with a training script and a settings file, in which a study is run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "train.py").write_text(dedent(TRAIN))
        self.settings: dict[str, Any] = {
            "name": "tiny",
            "command": [sys.executable, "-S", "{here}/train.py", "{here}", "{lr}", "{way}", "{N}"],
            "metric": {"name": "val_loss", "direction": "minimize"},
            "parameters": [
                {"kind": "real", "name": "lr", "low": 1e-4, "high": 1e-1, "log": True},
                {"kind": "categorical", "name": "way", "choices": ["plain", "; touch pwned $(touch pwned)"]},
            ],
            "target": {"N": 4000},
            "budget": 2,
            "policy": "random",
            "fidelities": [{"N": 1000, "budget": 2}],
        }

    def write(self, **changes: Any) -> Path:
        """The settings file, with these keys changed."""
        self.settings |= changes
        path = self.root / "study.yaml"
        path.write_text(json.dumps(self.settings))  # JSON is YAML
        return path

    def calls(self) -> list[list[Any]]:
        """How the command was called: directory, lr, way, N."""
        path = self.root / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def extra(self, code: str) -> None:
        """What the command does before it prints its loss."""
        (self.root / "extra.py").write_text(dedent(code))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)
