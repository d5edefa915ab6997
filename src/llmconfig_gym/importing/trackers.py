"""What other programs keep of runs, read in one way: MLflow, trackio, Optuna.

Whatever the source, a run becomes one record: `config.*` (what was set), `summary.*` (the last value of what was
measured), its name, and its state. From there on it is read like any other table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.experiment import Direction
from llmconfig_gym.importing.source import Source

_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True)
class Runs:
    """The runs of a source.

    Attributes:
        records: one per run, nested.
        objectives: the columns that the source itself says are optimised, and which way is better.
    """

    records: Sequence[Mapping[str, Any]]
    objectives: Mapping[str, Direction] = field(default_factory=dict)


def read_tracker(source: Source) -> Runs | None:
    """The runs that another program keeps at `source`; None if it is no such place.

    Raises:
        ImportProblem: it is one, but cannot be read, or holds several studies and none is named.
    """
    from llmconfig_gym.importing import optuna, trackio

    if source.url is not None:
        if source.url.startswith(("http:", "https:")):
            raise ImportProblem(
                f"{source.name}: runs on a web server are not fetched; export them there, for MLflow: "
                'mlflow.search_runs(...).to_csv("runs.csv")'
            )
        return optuna.read_storage(source)
    path = source.path
    if path.is_dir():
        return _read_folder(source)
    if not path.is_file():
        return None
    if trackio.is_parquet(path):
        return trackio.read_parquet(source)
    with path.open("rb") as file:
        start = file.read(4096)
    if start.startswith(_SQLITE):
        return _read_sqlite(source)
    return optuna.read_journal(source) if optuna.is_journal(start) else None


def _read_folder(source: Source) -> Runs | None:
    from llmconfig_gym.importing import mlflow, trackio

    path = source.path
    if mlflow.is_file_store(path):
        return mlflow.read_file_store(source)
    if found := [p for p in sorted(path.glob("*.db")) if p.is_file() and _kind(p) == "trackio"]:
        (name,) = source.choose("project", [p.stem for p in found])[:1]
        return trackio.read_sqlite(Source(source.text, str(path / f"{name}.db")))
    if next(path.glob("*run-*/*.wandb"), None) is not None:
        raise ImportProblem(
            f"{path} holds W&B's own binary files, which only W&B reads; `wandb sync` them, then export the runs as "
            "CSV or through wandb.Api().runs (docs/exchange.md)"
        )
    return None


def _read_sqlite(source: Source) -> Runs:
    from llmconfig_gym.importing import mlflow, optuna, trackio

    readers = {"mlflow": mlflow.read_sqlite, "trackio": trackio.read_sqlite, "optuna": optuna.read_storage}
    kind = _kind(source.path)
    if kind is None:
        raise ImportProblem(
            f"{source.name} is a SQLite database, but neither Optuna's, MLflow's nor trackio's; export a table of runs"
        )
    return readers[kind](source)


def _kind(path: Path) -> str | None:
    """Whose database a SQLite file is."""
    with read_only(path) as database:
        tables = {str(row[0]) for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if {"studies", "trials", "trial_params"} <= tables:
        return "optuna"
    if {"experiments", "runs", "params", "latest_metrics"} <= tables:
        return "mlflow"
    return "trackio" if {"metrics", "configs"} <= tables else None


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """A SQLite database that cannot be written to.

    Raises:
        ImportProblem: it cannot be read, or lacks what is asked of it.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            yield database
    except (sqlite3.Error, UnicodeDecodeError) as problem:  # the latter of a damaged list of tables
        raise ImportProblem(f"{path.name} cannot be read as a SQLite database of runs: {problem}") from None
