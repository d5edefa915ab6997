"""The soak sees what it is there to see: a trial that ran, one that is judged wrongly, and how much memory is held."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

ENOUGH = 1000.0
"""Trials per second: as many as there is time for."""


@pytest.fixture
def soak(script: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The soak, of studies of twenty trials, one of each kind."""
    module = script("benchmarks/soak.py")
    monkeypatch.setattr(module, "DONE", multiprocessing.Value("q", 0))
    monkeypatch.setattr(module, "TRIALS", 20)
    return module


def test_a_worker_counts_its_trials_and_finds_nothing_wrong(soak: Any, tmp_path: Path) -> None:
    report = soak.work(tmp_path / "0", None, 1e-3, ENOUGH)
    assert (report.trials, report.missing, report.repeated, report.misjudged) == (20, 0, 0, 0)
    assert soak.DONE.value == 20
    assert 20 < report.first <= report.last


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("3|11) exit 1 ;;", "3|11) exit 0 ;;", {"misjudged": 2}),  # they print nothing: another failure
        ("*) echo loss=$1 ;;", "*) echo loss=0.5 ;;", {"misjudged": 14}),
        ("echo x >>", "echo x x >>", {"repeated": 20}),
    ],
)
def test_a_worker_sees_what_is_wrong(
    soak: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, found: dict[str, int]
) -> None:
    assert old in soak.COMMAND
    monkeypatch.setattr(soak, "COMMAND", soak.COMMAND.replace(old, new))
    report = soak.work(tmp_path / "0", None, 1e-3, ENOUGH)
    assert +Counter({k: getattr(report, k) for k in ("missing", "repeated", "misjudged")}) == found


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, "load held, memory level"),
        ({"trials": 10}, "load NOT HELD, memory level"),
        ({"last": 1000.0}, "load held, memory GREW"),
        ({"missing": 1}, "missing 1, run more than once 0, misjudged 0"),
        ({"repeated": 1}, "missing 0, run more than once 1, misjudged 0"),
        ({"misjudged": 1}, "missing 0, run more than once 0, misjudged 1"),
    ],
)
def test_the_verdict(soak: Any, changed: dict[str, Any], says: str) -> None:
    sound = soak.Report(1200, missing=0, repeated=0, misjudged=0, seconds=60.0, first=150.0, last=160.0)
    text, passed = soak.verdict([replace(sound, **changed)], "sqlite", 20.0)
    assert says in text
    assert passed == (not changed)
