"""Where studies are kept: Optuna's RDB storage, SQLite by default, PostgreSQL for a team.

`open_storage` opens it with settings that suit long runs and many workers, and says in one line what is wrong with one
that cannot be opened.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autollmresearch.errors import StorageProblem

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

BUSY_TIMEOUT = 30.0
"""Seconds for which a writer waits while another holds a SQLite file (SQLite's own default in Python is 5)."""

CONNECT_TIMEOUT = 10
"""Seconds for which a PostgreSQL server may take to answer."""

MAKING = 4
"""How often, half a second apart, an empty database is tried again in which others make the tables."""

HEARTBEAT = 60
"""Seconds between heartbeats of a trial run by `Study.optimize`."""

GRACE = 180
"""Seconds without a heartbeat after which a trial counts as lost with its worker."""

RETRIES = 2
"""How often a lost trial is queued again. What fails by itself is not lost, and is not run again."""


def open_storage(url: str, *, heartbeat: bool = False, timeout: float = BUSY_TIMEOUT) -> RDBStorage:
    """The storage at `url`, made if a SQLite file does not exist yet.

    Args:
        url: `sqlite:///path/to/file.db`, or `postgresql://user@host/database`, for which psycopg is used unless the URL
            names another driver.
        heartbeat: whether `Study.optimize` tells every minute that its trial is alive, and a trial that was silent for
            three minutes is marked as failed and queued again, twice at most. Optuna supports this for `optimize` only:
            leave it out where trials are made by `ask` and `tell`.
        timeout: seconds to wait for a locked SQLite file.

    Raises:
        StorageProblem: the URL is of another kind, the driver is not installed, the server does not answer, or the
            file is locked, damaged, no study storage, or of another version of Optuna.
    """
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    address, arguments = _engine(url, timeout)
    with storage_problems(url), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna announces that heartbeats are experimental
        alive: dict[str, Any] = {}
        if heartbeat:
            retry = RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)
            alive = {"heartbeat_interval": HEARTBEAT, "grace_period": GRACE, "heartbeat_stale_trial_callback": retry}
        _check_sqlite(address, arguments)
        try:
            for _ in range(MAKING):  # another process may be making the tables of an empty database just now
                with suppress(IntegrityError, ProgrammingError):
                    return RDBStorage(address, engine_kwargs=arguments, **alive)
                time.sleep(0.5)
            return RDBStorage(address, engine_kwargs=arguments, **alive)
        except (RuntimeError, AssertionError) as problem:  # written by another version of Optuna
            raise StorageProblem(_say(without_password(url), problem)) from problem


@contextmanager
def storage_problems(url: str) -> Iterator[None]:
    """Turns what a database says inside this block into a `StorageProblem` of one line.

    Raises:
        StorageProblem: see `open_storage`.
    """
    import optuna
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    place = without_password(url)
    try:
        yield
    except optuna.exceptions.StorageInternalError as problem:
        raise StorageProblem(_say(place, problem.__cause__ or problem)) from problem
    except DBAPIError as problem:
        raise StorageProblem(_say(place, problem.orig or problem)) from problem
    except ImportError as problem:
        raise StorageProblem(
            f"{place}: the database driver is not installed; pip install 'autollmresearch[postgres]'"
        ) from problem
    except SQLAlchemyError as problem:
        raise StorageProblem(_say(place, problem)) from problem


@contextmanager
def alone(url: str) -> Iterator[None]:
    """One process at a time in this block, if the storage is a SQLite file.

    Optuna looks whether a trial is finished and then writes. Where the database locks rows, that is one step; in SQLite
    two processes can both look first. The lock is on the file's directory, and the kernel's: it goes with its process.
    """
    file = sqlite_file(url)
    try:
        import fcntl
    except ImportError:  # Windows: not guarded
        file = None
    if file is None:
        yield
        return
    descriptor = os.open(file.absolute().parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite storage; None for another kind, one in memory, and what is no URL."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        return None
    named = address.get_backend_name() == "sqlite" and address.database not in (None, "", ":memory:")
    return Path(str(address.database)) if named else None


def _check_sqlite(url: str, arguments: dict[str, Any]) -> None:
    """Refuses a SQLite file that is damaged or another program's, before anything is written to it."""
    import sqlalchemy

    if not url.startswith("sqlite"):
        return
    engine = sqlalchemy.create_engine(url, **arguments)
    try:
        with engine.connect() as connection:
            tables = set(sqlalchemy.inspect(connection).get_table_names())
            sound = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    finally:
        engine.dispose()
    if sound != "ok":
        raise StorageProblem(f"{url}: {_DAMAGED} ({' '.join(str(sound).split())})")
    if tables and not {"studies", "version_info"} <= tables:
        raise StorageProblem(f"{url}: {_FOREIGN} (its tables: {', '.join(sorted(tables)[:5])})")


def _engine(url: str, timeout: float) -> tuple[str, dict[str, Any]]:
    """The URL with its driver, and the arguments of SQLAlchemy's engine."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise StorageProblem(
            f"{without_password(url)!r} is no storage URL; expected sqlite:///FILE or postgresql://HOST/DB"
        ) from None
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        return url, {"connect_args": {"timeout": timeout}}
    if kind == "postgresql":
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        connect = {"connect_timeout": CONNECT_TIMEOUT}
        return parsed.render_as_string(hide_password=False), {"connect_args": connect, "pool_pre_ping": True}
    raise StorageProblem(f"{without_password(url)}: {kind!r} storages are not supported; use sqlite or postgresql")


def without_password(url: str) -> str:
    """The URL without its password, whether it stands before the host or among the options.

    It can be kept: a server that wants one is told it by `PGPASSWORD` or a password file, as PostgreSQL's own tools.
    """
    from sqlalchemy.engine import URL, make_url
    from sqlalchemy.exc import ArgumentError

    try:
        u = make_url(url)
        kept = {k: v for k, v in u.query.items() if "pass" not in k.lower()}
        bare = URL.create(u.drivername, u.username, None, u.host, u.port, u.database, kept)
        return url if bare == u else bare.render_as_string()
    except (ArgumentError, ValueError):
        return url.rpartition("@")[2].partition("?")[0]


_DAMAGED = "the file is damaged; restore a copy, or move it away to begin anew"
_FOREIGN = "the database is no storage of studies; name another file"
_SAID = (
    ("database is locked", "it is locked by another program; wait for it or close it"),
    ("file is not a database", "the file is no SQLite database; move it away or name another one"),
    ("malformed", _DAMAGED),
    ("unable to open database file", "the file cannot be opened; does its directory exist, and may you write there?"),
    ("readonly database", "the file is read-only; change its permissions or copy it elsewhere"),
    ("disk is full", "the disk is full; make room, then run the same command again: nothing is lost"),
    ("no such table", _FOREIGN),
)


def _say(place: str, problem: BaseException) -> str:
    """One line: what was found, and what to do."""
    while problem.__cause__ is not None and not getattr(problem, "orig", None):
        problem = problem.__cause__
    problem = getattr(problem, "orig", None) or problem
    text = " ".join(str(problem).split())
    for words, advice in _SAID:
        if words in text:
            return f"{place}: {advice}"
    return f"{place}: {text or type(problem).__name__}"
