"""Runs come back from Parquet as they were, mixtures and missing numbers included."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmconfig_gym.collect.driver import Measurement, Row, Run
from llmconfig_gym.collect.raw_runs import read_runs, write_runs
from llmconfig_gym.errors import CollectError


def test_round_trip(tmp_path: Path) -> None:
    rows = [
        Row(
            "g",
            Run("e", {"lr": 0.1, "flag": True}, 0),
            Measurement(1 / 3, "ok", {"steps": 7, "loss": None}, 0.1, "cpu"),
        ),
        Row("g", Run("e", {"w": {"a": 0.25, "b": 0.75}}, 1), Measurement(None, "failed", {"steps": 7.5, "loss": 1e30})),
    ]
    write_runs(tmp_path / "runs.parquet", rows)
    assert read_runs(tmp_path / "runs.parquet") == rows


@pytest.mark.parametrize("content", [None, b"", b"PAR1 but no more"])
def test_what_is_no_table_of_runs_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "runs.parquet").write_bytes(content)
    with pytest.raises(CollectError, match="missing" if content is None else "cannot be read as runs"):
        read_runs(tmp_path / "runs.parquet")


def test_another_table_is_refused(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"lr": [0.1]}), tmp_path / "runs.parquet")
    with pytest.raises(CollectError, match="cannot be read as runs"):
        read_runs(tmp_path / "runs.parquet")
