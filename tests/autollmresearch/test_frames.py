"""Results in one call: the rows of a benchmark, the trials of a study, as pandas or as polars."""

from __future__ import annotations

import sys
from pathlib import Path

import polars
import pytest

import autollmresearch
from autollmresearch.benchmark.runner import read_results
from autollmresearch.cli.main import main
from autollmresearch.errors import InvalidSettings, ResultsMismatch, StudyProblem
from llmconfig_gym.errors import MissingExtra


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A study of three trials: one with a value, one that failed, one that is open; kept in this directory."""
    monkeypatch.chdir(tmp_path)
    Path("space.yaml").write_text("parameters:\n  - {kind: real, name: lr, low: 1e-5, high: 1e-2, log: true}\n")
    suggest = ["suggest", "--study", "big"]
    first = ["--space", "space.yaml", "--target", "N=7e9", "--metric", "loss", "--budget", "3", "--policy", "random"]
    assert main([*suggest, *first]) == 0
    assert main(["tell", "big", "0", "2.5", "--details", "kl=0.1"]) == 0
    assert main(suggest) == 0
    assert main(["tell", "big", "1", "--failed", "out of memory"]) == 0
    assert main(suggest) == 0
    return "big"


def test_a_studys_trials_as_the_export_has_them(study: str) -> None:
    frame = autollmresearch.results(study)
    assert frame["state"].tolist() == ["finished", "diverged", "running"]
    assert frame["loss"].tolist()[0] == 2.5
    assert frame["loss"].isna().tolist() == [False, True, True]
    assert frame["N"].tolist() == [7e9] * 3
    assert autollmresearch.results(study, storage="sqlite:///autollmresearch.db").equals(frame)
    with pytest.raises(StudyProblem, match="did you mean 'big'"):
        autollmresearch.results("bigg")


def test_polars_holds_the_same(study: str) -> None:
    frame = autollmresearch.results(study, as_="polars")
    assert isinstance(frame, polars.DataFrame)
    assert frame["state"].to_list() == ["finished", "diverged", "running"]
    assert frame["loss"].to_list() == [2.5, None, None]


def test_a_benchmarks_rows(small_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "b"
    argv = ["benchmark", "--suite", str(small_path), "--methods", "random", "--budget", "2", "--seeds", "2"]
    assert main([*argv, "--out", str(out), "--no-progress"]) == 0
    rows = autollmresearch.results(out)
    assert rows.equals(read_results(out))
    again = autollmresearch.results(str(out), as_="polars")
    assert again.columns == list(rows.columns)
    assert again["simple_regret"].to_list() == rows["simple_regret"].tolist()
    (out / "results.parquet").write_bytes(b"torn")
    with pytest.raises(ResultsMismatch, match="damaged"):
        autollmresearch.results(out)


def test_what_is_not_there_is_said(study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSettings, match="as_='pandas' or as_='polars', found 'excel'"):
        autollmresearch.results(study, as_="excel")  # type: ignore[call-overload]
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingExtra, match=r"autollmresearch\[polars\]"):
        autollmresearch.results(study, as_="polars")
