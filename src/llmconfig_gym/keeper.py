"""The keeper of one command: starts it, ends it after its timeout or when asked to, and writes how it ended.

It runs as a process of its own, without the rest of the package (see `llmconfig_gym.process`), and imports little:
each trial pays for it. With pathlib, tempfile, typing and dataclasses it takes twice as long to start.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress

TYPE_CHECKING = False  # as in typing, which takes a hundredth of a second to import
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO, Literal, TypeAlias

    End: TypeAlias = tuple[Literal["exited", "timeout", "stopped", "absent"], int | None, float, str]

LOG, ENDED = "log.txt", "ended.json"

UNWRITTEN = "unwritten"
"""In the lock file, after the ids: the command has ended, but how could not be written yet."""

GRACE = 5.0
"""Seconds between asking a command to end (SIGTERM) and ending it (SIGKILL)."""


PAUSE = 5.0
"""Seconds before how a command ended is written again, where that failed."""


def run_command(
    argv: Sequence[str],
    output: IO[bytes],
    *,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    keep_open: Sequence[int] = (),
    started: Callable[[int], object] | None = None,
    stop: Callable[[], int] = lambda: 0,
) -> End:
    """Run a command in a process group of its own until it ends; what is left of the group ends with it.

    Args:
        output: where its standard output and error go.
        env: what is added to the environment.
        timeout: seconds after which it is ended.
        keep_open: file descriptors that the command inherits.
        started: is told the id of the process group.
        stop: how urgently somebody has asked it to end: 1 sends SIGTERM (and SIGKILL after GRACE), 2 SIGKILL.

    Returns:
        What `llmconfig_gym.process.Ended` holds: how, code, seconds and message.
    """
    start = time.monotonic()
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            pass_fds=keep_open,
            start_new_session=True,
        )
    except (OSError, ValueError) as problem:  # ValueError: a zero byte in an argument
        reason = problem.strerror if isinstance(problem, OSError) else None
        return "absent", None, 0.0, f"{argv[0]} cannot be run: {reason or problem}"
    how: Literal["exited", "timeout", "stopped"] = "exited"
    asked: float | None = None
    try:
        if started is not None:
            started(process.pid)
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05 if time.monotonic() - start < 10 else 0.5)
                break
            now = time.monotonic()
            if asked is None and (stop() or (timeout is not None and now - start > timeout)):
                how, asked = "stopped" if stop() else "timeout", now
                end_group(process.pid, signal.SIGTERM)
            elif asked is not None and (now - asked >= GRACE or stop() > 1):
                end_group(process.pid, signal.SIGKILL)
    finally:
        end_group(process.pid, signal.SIGKILL)
        process.wait()
    return how, process.returncode, time.monotonic() - start, ""


def end_group(group: int, number: int) -> None:
    """Send a signal to a process group, if there is anybody left in it."""
    with suppress(ProcessLookupError, PermissionError):  # macOS: PermissionError if only a zombie is left
        os.killpg(group, number)


def main(lock: str, given: str) -> None:
    """Run the job of the current directory.

    Args:
        lock: a descriptor of the job's lock file, which is held while anybody has it open; says who runs the job.
        given: a descriptor of a file that holds the command, what is added to its environment, and its timeout.
    """
    held, asked = int(lock), 0

    def note(number: int, _: object) -> None:
        nonlocal asked  # by a batch system that signals every process, too: SIGTERM twice is no more than once
        asked = max(asked, 2 if number == signal.SIGINT else 1)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    with os.fdopen(int(given), encoding="utf-8") as file:
        argv, env, timeout = json.load(file)
    with open(LOG, "wb") as log:  # noqa: PTH123
        os.pwrite(held, f"{os.getpid()}\n".encode(), 0)
        how, code, seconds, message = run_command(
            argv,
            log,
            env=env,
            timeout=timeout,
            keep_open=(held,),
            started=lambda group: os.pwrite(held, f"{os.getpid()} {group}\n".encode(), 0),
            stop=lambda: asked,
        )
    result = json.dumps({"how": how, "code": code, "seconds": seconds, "message": message}) + "\n"
    said = os.fstat(held).st_size
    while True:
        try:
            return _write(result)
        except OSError:  # the disk is full: a long run is not lost for that; whoever waits sees why the lock is held
            if asked:
                raise
            with suppress(OSError):  # where even that takes room, nobody is told
                os.pwrite(held, f"{UNWRITTEN}\n".encode(), said)
            time.sleep(PAUSE)


def _write(result: str) -> None:
    """How the command ended, whole or not at all."""
    temporary = f".{ENDED}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(result)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, ENDED)  # noqa: PTH105
