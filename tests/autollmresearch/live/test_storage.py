"""A storage opens, or says in one line why not; nothing that was there is touched."""

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage

from autollmresearch.errors import StorageProblem
from autollmresearch.live.storage import GRACE, HEARTBEAT, open_storage, storage_problems


@pytest.fixture
def file(tmp_path: Path, opened: Callable[..., RDBStorage]) -> Path:
    """A storage with a study of ten trials, and nothing open on it."""
    path = tmp_path / "studies.db"
    storage = opened(f"sqlite:///{path}")
    study = optuna.create_study(storage=storage, study_name="s", sampler=optuna.samplers.RandomSampler(0))
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=10)
    storage.remove_session()
    storage.engine.dispose()
    return path


def _problem(url: str, timeout: float = 0.1) -> str:
    with pytest.raises(StorageProblem) as problem:
        open_storage(url, timeout=timeout)
    assert "\n" not in str(problem.value)
    return str(problem.value)


def test_a_new_file_is_made_and_found_again(file: Path, opened: Callable[..., RDBStorage]) -> None:
    assert len(optuna.load_study(study_name="s", storage=opened(f"sqlite:///{file}")).trials) == 10


def test_a_locked_file(file: Path) -> None:
    with sqlite3.connect(file) as other:
        other.execute("begin exclusive")
        assert _problem(f"sqlite:///{file}").endswith("it is locked by another program; wait for it or close it")
        other.rollback()
    other.close()


def test_a_lock_that_is_given_back_in_time(file: Path, opened: Callable[..., RDBStorage]) -> None:
    other = sqlite3.connect(file, check_same_thread=False)
    other.execute("begin exclusive")
    release = threading.Timer(0.3, other.rollback)
    release.start()
    opened(f"sqlite:///{file}", timeout=60.0)
    release.join()
    other.close()


def test_a_lock_in_the_middle_of_a_study(file: Path, opened: Callable[..., RDBStorage]) -> None:
    url = f"sqlite:///{file}"
    study = optuna.load_study(study_name="s", storage=opened(url, timeout=0.1))
    other = sqlite3.connect(file)
    other.execute("begin exclusive")
    with pytest.raises(StorageProblem, match="locked by another program"), storage_problems(url):
        study.ask()
    other.rollback()
    other.close()


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_truncated_file(file: Path, kept: float) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: int(kept * len(data))])
    assert "the file is damaged; restore a copy" in _problem(f"sqlite:///{file}")


def test_a_file_with_a_damaged_middle(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[5000:40000] = os.urandom(35000)
    file.write_bytes(bytes(data))
    assert "the file is damaged; restore a copy" in _problem(f"sqlite:///{file}")
    assert file.read_bytes() == bytes(data)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("lr,loss\n" * 1000)
    assert "no SQLite database" in _problem(f"sqlite:///{path}")
    assert path.read_text() == "lr,loss\n" * 1000


def test_another_programs_database(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("create table photos (name text)")
    other.close()
    before = path.read_bytes()
    assert "no storage of studies; name another file (its tables: photos)" in _problem(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_storage_of_another_version(file: Path) -> None:
    with sqlite3.connect(file) as other:
        other.execute("update alembic_version set version_num = 'v99'")
    other.close()
    assert "no longer compatible" in _problem(f"sqlite:///{file}")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("studies.db", "no storage URL; expected sqlite:///FILE or postgresql://HOST/DB"),
        ("mysql://me:secret@host/db", "'mysql' storages are not supported; use sqlite or postgresql"),
        ("sqlite:////nowhere/at/all/studies.db", "does its directory exist"),
        ("postgresql+pg8000://me:secret@host/db", "the database driver is not installed"),
    ],
)
def test_a_url_that_leads_nowhere(url: str, words: str) -> None:
    said = _problem(url)
    assert words in said
    assert "secret" not in said


def test_heartbeats_are_on_where_asked_for(tmp_path: Path, opened: Callable[..., RDBStorage]) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    assert opened(url).get_heartbeat_interval() is None
    alive = opened(url, heartbeat=True)
    assert (alive.get_heartbeat_interval(), alive.grace_period) == (HEARTBEAT, GRACE)
    study = optuna.create_study(storage=alive, sampler=optuna.samplers.RandomSampler(0))
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=1)  # no warning
    assert len(study.trials) == 1
