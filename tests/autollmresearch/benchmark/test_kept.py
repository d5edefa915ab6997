"""The kept rows: README and docs show theirs, they give no public outcome away, and a mean that moved is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from autollmresearch.benchmark.runner import run_benchmark
from autollmresearch.benchmark.settings import BenchmarkSettings

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def kept(script: Callable[[str], Any]) -> Any:
    return script("benchmarks/kept.py")


@pytest.fixture
def small(kept: Any, toy_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], pd.DataFrame]:
    """The rows of a small benchmark, kept elsewhere."""
    monkeypatch.setattr(kept, "KEPT", tmp_path / "kept.parquet")
    settings = BenchmarkSettings((str(toy_path),), ("metered:6",), ("random", "copy"), budget=2, seeds=10)
    run_benchmark(settings, tmp_path / "out", progress=False)
    kept.keep([tmp_path / "out"])
    return lambda: pd.read_parquet(tmp_path / "kept.parquet")


def _rows(text: str) -> set[str]:
    """Table rows that start with a method, without padding."""
    lines = [re.sub(r" *\| *", "|", line.strip()) for line in text.splitlines()]
    return {line for line in lines if re.match(r"\|`?[a-z].*\.\d{3}", line)}


@pytest.mark.parametrize("page", ["README.md", "docs/benchmark.md"])
def test_tables_of_results_are_those_of_the_kept_rows(kept: Any, page: str) -> None:
    shown = _rows((ROOT / page).read_text(encoding="utf-8"))
    made = _rows("\n".join(kept.tables(pd.read_parquet(kept.KEPT))))
    assert len(shown) >= 7
    assert shown <= made


def test_no_configuration_or_outcome_is_kept(kept: Any, small: Callable[[], pd.DataFrame]) -> None:
    for frame in (small(), pd.read_parquet(kept.KEPT)):
        assert list(frame.columns) == list(kept.COLUMNS)
        assert not {"config", "value", "best_value"} & {*frame.columns}


def test_rows_made_again_are_the_same_and_what_has_moved_is_told(
    kept: Any, small: Callable[[], pd.DataFrame], toy_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = small().assign(suite=str(toy_path))
    assert kept.check(frame, str(toy_path)) == 0
    assert "6 means, 6 the same, 0 moved" in capsys.readouterr().out
    copy = frame["method"] == "copy"
    frame.loc[copy, "cumulative_regret"] += 1.0
    assert kept.check(frame, str(toy_path)) == 1
    assert "3 moved" in capsys.readouterr().out


def test_of_protocols_with_few_seeds_one_is_run_again_where_all_are_checked(
    kept: Any,
    small: Callable[[], pd.DataFrame],
    toy_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    frame = small().assign(suite=str(toy_path))
    frame[frame["seed"] < 4].to_parquet(kept.KEPT)
    monkeypatch.setattr("sys.argv", ["kept.py", "check", "--suite", "all"])
    assert kept.main() == 0
    assert "6 means, 6 the same, 0 moved" in capsys.readouterr().out
