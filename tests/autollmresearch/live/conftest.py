"""Cheap studies to learn from, a private PostgreSQL server, and a browser."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
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


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason + "; in CI that is a failure")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def missing() -> Callable[[str], NoReturn]:
    """`missing(reason)`: what a test needs is not installed. In CI that is a failure, elsewhere the test is skipped."""
    return _missing


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server of our own, on a Unix socket, with an empty database; it is gone afterwards."""
    found = shutil.which("initdb") or next(
        (str(p) for p in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None
    )
    if found is None:
        _missing("PostgreSQL's server programs are not installed (Debian: apt-get install postgresql)")
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

    try:
        call(programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync")
        call(programs / "pg_ctl", "-D", data, "-w", "-l", home / "log.txt", "-o", settings, "start")
        try:
            yield f"postgresql://postgres@/postgres?host={home}"
        finally:
            call(programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home)
