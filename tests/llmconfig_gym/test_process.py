"""A job outlives whoever launched it, ends with its children, and says how it ended: real processes, really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from llmconfig_gym import process
from llmconfig_gym.keeper import ENDED, LOG
from llmconfig_gym.process import (
    LOCK,
    Ended,
    Job,
    alive,
    ended,
    is_orphan,
    last_job,
    launch,
    stop,
)

PATIENCE = 60.0


def until(condition: Callable[[], object]) -> None:
    """Wait for something that takes a moment."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def python(code: str, **options: object) -> Job:
    return Job((sys.executable, "-S", "-c", code), **options)  # type: ignore[arg-type]


def finished(directory: Path) -> Ended:
    until(lambda: not alive(directory))
    found = ended(directory)
    assert found is not None
    return found


def test_a_job_runs_to_its_end_in_its_directory(tmp_path: Path) -> None:
    code = (
        "import os, sys; print(os.getcwd(), os.environ['WAY'], flush=True); print('bad', file=sys.stderr); sys.exit(3)"
    )
    job = python(code, env={"WAY": "a; b"})
    launch(tmp_path, job)
    found = finished(tmp_path)
    assert (found.how, found.code) == ("exited", 3)
    assert (tmp_path / LOG).read_text().splitlines() == [f"{tmp_path} a; b", "bad"]
    assert last_job(tmp_path) == replace(job, env={}), "what is in the environment may be secret: it is in no file"
    assert not alive(tmp_path)


def test_the_directory_of_no_job(tmp_path: Path) -> None:
    assert not alive(tmp_path)
    assert ended(tmp_path) is None
    assert last_job(tmp_path) is None
    assert not stop(tmp_path)


def test_a_job_outlives_the_process_that_launched_it(tmp_path: Path) -> None:
    wait = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)\nprint('done')"
    program = (
        "import os, signal; from pathlib import Path; from llmconfig_gym.process import *\n"
        f"launch(Path({str(tmp_path)!r}), Job(({sys.executable!r}, '-S', '-c', {wait!r})))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -signal.SIGKILL
    assert alive(tmp_path)
    assert ended(tmp_path) is None
    (tmp_path / "go").touch()
    assert finished(tmp_path).code == 0
    assert (tmp_path / LOG).read_text() == "done\n"


def test_timeout_ends_the_command_and_its_children(tmp_path: Path) -> None:
    child = "import time; open('child', 'w').close(); time.sleep(600)"
    code = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen([sys.executable, '-S', '-c', {child!r}])\n"
        "open('pid', 'w').write(str(p.pid)); time.sleep(600)"
    )
    launch(tmp_path, python(code, timeout=1.0))
    found = finished(tmp_path)
    assert (found.how, found.code) == ("timeout", -signal.SIGTERM)
    pid = int((tmp_path / "pid").read_text())
    until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3])


def test_what_a_command_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); open('pid', 'w').write(str(p.pid))"
    launch(tmp_path, python(code))
    assert finished(tmp_path).code == 0
    pid = int((tmp_path / "pid").read_text())
    until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3])


def test_a_job_that_is_stopped_says_so(tmp_path: Path) -> None:
    launch(tmp_path, python("import time; open('begun', 'w').close(); time.sleep(600)"))
    until((tmp_path / "begun").exists)
    stop(tmp_path)
    found = finished(tmp_path)
    assert (found.how, found.code) == ("stopped", -signal.SIGTERM)


def test_who_will_not_stop_is_killed_when_told_to_stop_now(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); open('begun', 'w').close(); time.sleep(600)"
    launch(tmp_path, python(code))
    until((tmp_path / "begun").exists)
    stop(tmp_path)
    time.sleep(0.2)
    stop(tmp_path)  # a batch system that asks everybody: not more urgent than once
    time.sleep(0.2)
    assert alive(tmp_path)
    stop(tmp_path, now=True)
    assert finished(tmp_path) == Ended("stopped", -signal.SIGKILL, finished(tmp_path).seconds)


def test_a_command_that_is_killed(tmp_path: Path) -> None:
    launch(tmp_path, python("import os; os.kill(os.getpid(), 9)"))
    assert finished(tmp_path).code == -signal.SIGKILL


def test_a_command_whose_keeper_is_killed_is_known_to_be_alive(tmp_path: Path) -> None:
    launch(tmp_path, python("import time; open('begun', 'w').close(); time.sleep(600)"))
    until((tmp_path / "begun").exists)
    assert not is_orphan(tmp_path)
    keeper = int((tmp_path / LOCK).read_text().split()[0])
    os.kill(keeper, signal.SIGKILL)
    until(lambda: is_orphan(tmp_path))
    assert alive(tmp_path)
    assert stop(tmp_path)
    until(lambda: not alive(tmp_path))
    assert ended(tmp_path) is None


def test_a_second_attempt_keeps_the_log_of_the_first(tmp_path: Path) -> None:
    for attempt in (1, 2):
        launch(tmp_path, python(f"print({attempt})", attempt=attempt))
        assert finished(tmp_path).code == 0
    assert (tmp_path / LOG).read_text() == "2\n"
    assert (tmp_path / "log.1.txt").read_text() == "1\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [(("no-such-program",), "no-such-program cannot be run: No such file"), (("sh", "a\0b"), "embedded null byte")],
)
def test_a_program_that_cannot_be_started(tmp_path: Path, argv: tuple[str, ...], message: str) -> None:
    launch(tmp_path, Job(argv))
    found = finished(tmp_path)
    assert (found.how, found.code) == ("absent", None)
    assert message in found.message


def test_keepers_that_have_ended_are_forgotten(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        launch(tmp_path / name, python("pass"))
        finished(tmp_path / name)
    until(lambda: not alive(tmp_path / "a") and not process._keepers)


def test_the_end_is_written_whole(tmp_path: Path) -> None:
    launch(tmp_path, python("pass"))
    finished(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir() if ENDED in p.name) == [ENDED]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"how": 1, "code": "0", "seconds": 0}']
)
def test_files_that_the_command_wrote_over_count_as_absent(tmp_path: Path, content: bytes) -> None:
    launch(tmp_path, python("pass"))
    finished(tmp_path)
    for name in ("ended.json", "job.json"):
        (tmp_path / name).write_bytes(content)
    assert ended(tmp_path) is None
    assert last_job(tmp_path) is None


@pytest.mark.parametrize("text", ["-1 -1", "0 0", "1 7", "9 99999999999", "seven"])
def test_ids_that_are_no_process_of_ours_are_not_believed(tmp_path: Path, text: str) -> None:
    (tmp_path / LOCK).write_text(text)
    assert process._ids(tmp_path) == []
