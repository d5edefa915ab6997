"""How growth is measured: the exponent of what is known, and the smallest points, really measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def scaling(script: Callable[[str], Any]) -> Any:
    return script("benchmarks/scaling.py")


@pytest.mark.parametrize("k", [0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_is_found_below_a_constant_cost(scaling: Any, k: float) -> None:
    points = [(n, 1e-3 + 1e-5 * n**k) for n in (1, 10, 100)] + [(10**e, 1e-2 * 10 ** (k * e)) for e in (3, 4, 5)]
    assert scaling.exponent(points) == pytest.approx(k)


def test_what_takes_no_time_has_no_exponent(scaling: Any) -> None:
    assert scaling.exponent([(1, 1e-4), (10, 1e-3), (100, 1e-2), (1000, 0.1)]) is None


def test_points_are_measured_in_processes_of_their_own_and_kept(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "scaling.py"), "--quick", "--only", "experiments,trials"]
    command += ["--out", str(tmp_path / "out"), "--plots", str(tmp_path / "plots")]

    def run() -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout

    first = run()
    kept = (tmp_path / "out" / "points.jsonl").read_text()
    points = [json.loads(line) for line in kept.splitlines()]
    assert sorted((p["curve"], p["size"]) for p in points) == [
        ("experiments", 10),
        ("experiments", 100),
        ("trials", 10),
        ("trials", 100),
    ]
    assert all(p["MB"] > 0 and all(s > 0 for s in p["seconds"].values()) for p in points)
    assert {p.name for p in (tmp_path / "plots").iterdir()} == {"scaling-experiments.png", "scaling-trials.png"}
    assert run() in first, "what was kept is not measured again"
    assert (tmp_path / "out" / "points.jsonl").read_text() == kept
