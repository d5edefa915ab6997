"""trackio's runs, from a project's SQLite database or its Parquet export, without trackio.

A project is `PROJECT.db` with a row per logged step and a row per run's configuration, both as JSON; the export has
the same as flat columns, in `PROJECT.parquet` and `PROJECT_configs.parquet`. A metric is its last logged value. trackio
does not say whether a run is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.importing.nested import loads
from llmconfig_gym.importing.source import Source
from llmconfig_gym.importing.trackers import Runs, read_only

_OWN = {"id", "run_id", "run_name", "timestamp", "step", "log_id", "space_id", "created_at"}
"""Columns of the export that are no metric and no setting."""


def read_sqlite(source: Source) -> Runs:
    """The runs of a project's database. Raises `ImportProblem`."""
    path = source.path
    with read_only(path) as database:
        known = {str(row[1]) for row in database.execute("PRAGMA table_info(metrics)")}
        key = "run_id" if "run_id" in known else "run_name"  # names may repeat; before there were ids, they could not
        configs = database.execute(f"SELECT {key}, run_name, config FROM configs ORDER BY id")
        named = [(run, name, _json(path, text)) for run, name, text in configs]
        steps = database.execute(f"SELECT {key}, metrics FROM metrics ORDER BY step, id")
        return _runs(named, ((run, _json(path, text)) for run, text in steps))


def is_parquet(path: Path) -> bool:
    """Whether a file is the export of a project's metrics."""
    return path.suffix == ".parquet" and _configs(path).is_file() and {"run_name", "step"} <= set(_columns(path))


def read_parquet(source: Source) -> Runs:
    """The runs of a project's export. Raises `ImportProblem`."""
    path = source.path
    steps = sorted(_rows(path), key=lambda row: row["step"] if isinstance(row["step"], int) else 0)
    return _runs(
        [(_key(row), row["run_name"], _without_own(row)) for row in _rows(_configs(path))],
        ((_key(row), _without_own(row)) for row in steps),
    )


def _key(row: Mapping[str, Any]) -> str:
    return str(row.get("run_id") or row["run_name"])


def _runs(configs: Iterable[tuple[str, str, dict[str, Any]]], steps: Iterable[tuple[str, dict[str, Any]]]) -> Runs:
    """One record per run: its configuration, and the last value of each metric; steps in their order."""
    runs: dict[str, dict[str, Any]] = {}
    for key, name, config in configs:
        runs[key] = {"run": name, "config": config, "summary": {}}
    for key, metrics in steps:
        run = runs.setdefault(key, {"run": key, "config": {}, "summary": {}})
        run["summary"] |= {k: v for k, v in metrics.items() if v is not None}
    return Runs(list(runs.values()))


def _configs(path: Path) -> Path:
    return path.with_name(f"{path.stem}_configs.parquet")


def _columns(path: Path) -> list[str]:
    import pyarrow
    import pyarrow.parquet

    try:
        return list(pyarrow.parquet.read_schema(path).names)
    except (pyarrow.ArrowException, OSError):
        return []


def _rows(path: Path) -> list[dict[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path, partitioning=None).to_pylist()
    except (OSError, pyarrow.ArrowException, ValueError, OverflowError) as problem:
        raise ImportProblem(f"{path.name} cannot be read as Parquet: {problem}; export it again") from None
    if rows and "run_name" not in rows[0]:
        raise ImportProblem(f"{path.name} has no column run_name, which trackio writes; export it again")
    return rows


def _without_own(row: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k not in _OWN}


def _json(path: Path, text: str | bytes) -> dict[str, Any]:
    try:
        value = loads(text.decode() if isinstance(text, bytes) else text)
    except (ValueError, TypeError):
        value = None
    if not isinstance(value, dict):
        raise ImportProblem(f"{path.name} holds a row that is no JSON object where trackio writes one")
    return value
