"""Cheap studies to learn from, cheap runs in a CSV, a command for `run`, and a private PostgreSQL server."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any, NoReturn

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.storages import RDBStorage

from autollmresearch.live import open_storage
from autollmresearch.live.evidence import FIDELITY


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    """Optuna reports every trial otherwise."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)


LR = FloatDistribution(1e-5, 1e-1, log=True)
BATCH = CategoricalDistribution([16, 32, 64, 128])


def _loss(params: dict[str, Any], n: float) -> float:
    """A valley: the best learning rate is 1e-2 at 1e6 parameters and falls by sqrt(10) per factor of ten."""
    distance = np.log10(params["lr"]) + 2 + 0.5 * np.log10(n / 1e6)
    return float(3.0 - 0.2 * np.log10(n / 1e6) + 0.3 * distance**2 + 0.05 * np.log2(params["batch"] / 32) ** 2)


@pytest.fixture(scope="session")
def valley() -> Callable[[dict[str, Any], float], float]:
    """The loss of a learning rate and a batch size at a number of parameters."""
    return _loss


@pytest.fixture(scope="session")
def valley_space() -> dict[str, BaseDistribution]:
    """The search space of `valley`, in the order in which Optuna sorts it."""
    return {"batch": BATCH, "lr": LR}


@pytest.fixture
def cheap() -> Callable[..., optuna.Study]:
    """A finished study of the valley at a smaller scale: `cheap(n, trials=, direction=)`; it says its fidelity."""

    def make(n: float = 1e6, trials: int = 15, direction: str = "minimize") -> optuna.Study:
        study = optuna.create_study(study_name=f"cheap-{n:.0e}", direction=direction)
        study.set_user_attr(FIDELITY, {"N": n})
        rng = np.random.default_rng(int(n) % 1000 + 1)
        for _ in range(trials):
            params = {"lr": float(10 ** rng.uniform(-5, -1)), "batch": int(rng.choice([16, 32, 64, 128]))}
            value = _loss(params, n) * (1 if direction == "minimize" else -1)
            study.add_trial(optuna.create_trial(params=params, distributions={"lr": LR, "batch": BATCH}, value=value))
        return study

    return make


@pytest.fixture
def opened() -> Iterator[Callable[..., RDBStorage]]:
    """`open_storage`, whose connections are closed after the test."""
    storages: list[RDBStorage] = []

    def open_one(url: str, **options: Any) -> RDBStorage:
        storages.append(open_storage(url, **options))
        return storages[-1]

    yield open_one
    for storage in storages:
        storage.remove_session()
        storage.engine.dispose()


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server of our own, with an empty database."""

    url: str
    restart: Callable[[], None]


@pytest.fixture(scope="session")
def postgres(missing: Callable[[str], NoReturn]) -> Iterator[Postgres]:
    """It is on a Unix socket, and gone afterwards. A restart drops its connections in the middle, like a crash."""
    found = shutil.which("initdb") or next(
        (str(p) for p in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None
    )
    if found is None:
        missing("PostgreSQL's server programs are not installed (Debian: apt-get install postgresql)")
    programs = Path(found).resolve().parent
    home = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 characters
    run_as: dict[str, Any] = {"cwd": home, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(home, "postgres", "postgres")
        run_as |= {"user": "postgres", "group": "postgres", "extra_groups": []}
    data, settings = home / "data", f"-k {home} -c listen_addresses='' -c fsync=off"

    def call(*command: str | Path) -> None:
        # the server that pg_ctl leaves behind would hold a pipe open
        with (home / "out.txt").open("w") as out:
            done = subprocess.run(command, check=False, **(run_as | {"stdout": out}))
        assert done.returncode == 0, (home / "out.txt").read_text()

    def start() -> None:
        call(programs / "pg_ctl", "-D", data, "-w", "-l", home / "log.txt", "-o", settings, "start")

    def stop() -> None:
        call(programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")

    def restart() -> None:
        stop()
        start()

    try:
        call(programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync")
        start()
        try:
            yield Postgres(f"postgresql://postgres@/postgres?host={home}", restart)
        finally:
            stop()
    finally:
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def postgres_url(postgres: Postgres) -> str:
    """Its address."""
    return postgres.url


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
