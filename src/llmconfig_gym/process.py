"""One run of a user's command, watched to its end by a keeper: a process of its own that outlives whoever asked.

`launch` starts the keeper of a job in the job's directory; the keeper runs the command in a process group of its
own, sends what it prints to a log, ends it after its timeout, and writes how it ended to `ended.json`. So a run
survives a `kill -9` of the program that launched it, and its exit code is not lost. From the moment of `launch` until
both keeper and command are gone the job's `.lock` is held (the lock is the kernel's, and ends with them, however they
end): that, never a process id, is how others know whether a job is alive.

The keeper itself is `llmconfig_gym.keeper`.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar

from llmconfig_gym.files import write_text
from llmconfig_gym.keeper import ENDED, LOG, UNWRITTEN, end_group

JOB, LOCK = "job.json", ".lock"

HERE = Path(__file__).resolve().parent

NUMBER = (int, float, NoneType)
T = TypeVar("T")

_START = "import sys; sys.path.append(sys.argv[1]); import keeper; keeper.main(*sys.argv[2:])"
"""Without the package, whose `__init__` imports typing."""


@dataclass(frozen=True)
class Job:
    """A command to run once.

    Attributes:
        argv: the program and its arguments; no shell reads them.
        env: what is added to the environment. It may hold secrets, so it is in no file.
        timeout: seconds after which it is ended; None for never.
        attempt: which attempt at the same work this is, from 1.
        cuts: how many earlier attempts were cut off without a word.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    attempt: int = 1
    cuts: int = 0


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        how: `exited` by itself; `timeout`; `stopped`, because somebody asked for it; `absent`: it could not be started.
        code: its exit code; minus the signal's number if a signal ended it; None if it could not be started.
        seconds: how long it ran.
        message: why it could not be started; else empty.
    """

    how: Literal["exited", "timeout", "stopped", "absent"]
    code: int | None
    seconds: float
    message: str = ""


def launch(directory: Path, job: Job) -> None:
    """Start a job in its directory, which must exist and in which no other command may run; return at once.

    Traces of an earlier attempt go; its log stays as `log.N.txt`.
    """
    import fcntl

    if alive(directory):  # its command has ended, but left something running outside its process group
        (directory / LOCK).unlink()
    (directory / LOCK).touch()
    with (directory / LOCK).open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the keeper inherits it; only who looks can have it now, for a moment
        (directory / ENDED).unlink(missing_ok=True)
        if (directory / LOG).exists() and job.attempt > 1:
            (directory / LOG).replace(directory / f"log.{job.attempt - 1}.txt")
        kept = {k: v for k, v in asdict(job).items() if k != "env"}
        write_text(directory / JOB, json.dumps(kept, indent=1) + "\n")
        lock.truncate(0)
        with tempfile.TemporaryFile() as given:  # it has no name: nobody else can read what it holds
            given.write(json.dumps([job.argv, dict(job.env), job.timeout]).encode())
            given.seek(0)
            keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _START, str(HERE), str(lock.fileno()), str(given.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=directory,
                pass_fds=(lock.fileno(), given.fileno()),
                start_new_session=True,
            )
    _keepers.append(keeper)


_keepers: list[subprocess.Popen[bytes]] = []
"""Keepers that this process started and that have not ended: polled so that none stays a zombie."""


@atexit.register
def _reap() -> None:
    """Waits for the keepers: each ends a moment after it has written how its command ended."""
    for keeper in _keepers:
        with suppress(subprocess.TimeoutExpired):
            keeper.wait(0.5)


def alive(directory: Path) -> bool:
    """Whether a job of this directory is running."""
    import fcntl

    _keepers[:] = [keeper for keeper in _keepers if keeper.poll() is None]
    try:
        with (directory / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # two who look do not take each other for the job
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def last_job(directory: Path) -> Job | None:
    """The job that was launched here last, without its environment; None if none was."""
    return _as(Job, _read(directory / JOB), argv=(list, tuple), timeout=NUMBER, attempt=int, cuts=int)


def ended(directory: Path) -> Ended | None:
    """How the job of this directory ended; None if it runs, or was cut off without a word (kill -9, power)."""
    return _as(Ended, _read(directory / ENDED), how=str, code=(int, NoneType), seconds=NUMBER, message=str)


def _as(kind: type[T], data: dict[str, Any] | None, **kinds: Any) -> T | None:
    """What a file of ours says; None for anything else, for the command can write over it."""
    if data is None or not all(k in data and isinstance(data[k], kinds[k]) for k in kinds):
        return None
    return kind(**{k: tuple(data[k]) if isinstance(data[k], list) else data[k] for k in kinds})


def _read(path: Path) -> dict[str, Any] | None:
    """What such a file says. It is whole or absent; one that the command itself has written over counts as absent."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def stop(directory: Path, *, now: bool = False) -> bool:
    """Ask the job of this directory to end, in GRACE seconds or `now`. Returns without waiting.

    A command whose keeper is gone is ended at once.

    Returns:
        Whether there was somebody to ask: not if the job has ended, nor before its keeper has begun.
    """
    ids = _ids(directory)
    if not ids or not alive(directory):  # if it is alive, the ids are not those of strangers
        return False
    if is_orphan(directory):
        end_group(ids[1], signal.SIGKILL)
        return True
    with suppress(ProcessLookupError):
        os.kill(ids[0], signal.SIGINT if now else signal.SIGTERM)
    return True


def has_begun(directory: Path) -> bool:
    """Whether the keeper of the job that was launched here last has begun its work."""
    return bool(_ids(directory))


def is_orphan(directory: Path) -> bool:
    """Whether a command is running here though its keeper is gone (somebody killed it)."""
    ids = _ids(directory)
    if len(ids) < 2 or not alive(directory):
        return False
    try:
        os.kill(ids[0], 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # the id is a stranger's by now
        return True
    return False


def is_unwritten(directory: Path) -> bool:
    """Whether the command has ended and its keeper waits for room on the disk to write how."""
    return UNWRITTEN in _words(directory)[2:] and alive(directory)


def _ids(directory: Path) -> list[int]:
    """The keeper's process id and the command's process group, as far as they are known.

    The command can write over the file: to the system -1 is every process and 0 is this one's group.
    """
    try:
        ids = [int(word) for word in _words(directory)[:2]]
    except ValueError:
        return []
    return ids if all(1 < i < 1 << 31 for i in ids) else []


def _words(directory: Path) -> list[str]:
    """What the keeper has written into the lock file."""
    try:
        return (directory / LOCK).read_text().split()
    except (OSError, ValueError):
        return []
