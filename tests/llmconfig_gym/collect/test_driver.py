"""The driver: what it measures, what survives an interruption, and that none of it shows in the tables."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from llmconfig_gym.collect.driver import MANIFEST, RUNS, Row, collect, remaining
from llmconfig_gym.errors import CollectError

PROGRAM = Path(__file__).parent / "fake_sweep.py"
RUNS_IN_ALL = 2 * 6 * 3 * 2


@pytest.fixture
def runner(fake_sweep: ModuleType) -> Any:
    return fake_sweep.FakeRunner()


def contents(root: Path) -> Mapping[str, bytes]:
    """All files below a directory."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def without_seconds(path: Path) -> list[Any]:
    return [{**json.loads(line), "seconds": None} for line in path.read_text().splitlines()]


def test_all_runs_are_measured_once_and_kept_in_order(runner: Any, tmp_path: Path) -> None:
    rows = collect(runner, tmp_path / "work", progress=False)
    assert [r.run for r in rows] == [run for group in runner.groups() for run in group.runs]
    assert len(rows) == RUNS_IN_ALL
    assert [Row.from_json(line) for line in (tmp_path / "work" / RUNS).read_text().splitlines()] == rows
    assert collect(replace(runner, forbidden=True), tmp_path / "work", progress=False) == rows


def test_a_sweep_torn_at_any_byte_goes_on_from_its_last_whole_group(runner: Any, tmp_path: Path) -> None:
    rows = collect(runner, tmp_path / "whole", progress=False)
    whole = (tmp_path / "whole" / RUNS).read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    work = tmp_path / "torn"
    work.mkdir()
    (work / MANIFEST).write_bytes((tmp_path / "whole" / MANIFEST).read_bytes())
    for cut in [0, 1, *range(7, len(whole), 701), ends[5] - 1, ends[5], ends[6] - 1, ends[6], len(whole) - 1]:
        (work / RUNS).write_bytes(whole[:cut])
        kept = sum(end <= cut for end in ends) // 6
        assert len(remaining(runner, work)) == 12 - kept
        resumed = collect(runner, work, progress=False)
        assert resumed[: 6 * kept] == rows[: 6 * kept]  # seconds included: these were not run again
        assert without_seconds(work / RUNS) == without_seconds(tmp_path / "whole" / RUNS)


def test_a_damaged_row_is_named(runner: Any, tmp_path: Path) -> None:
    collect(runner, tmp_path, progress=False)
    lines = (tmp_path / RUNS).read_bytes().splitlines(keepends=True)
    lines[7] = lines[7][:20] + b"\n"
    (tmp_path / RUNS).write_bytes(b"".join(lines))
    with pytest.raises(CollectError, match="line 8 is damaged"):
        collect(runner, tmp_path, progress=False)
    assert (tmp_path / RUNS).read_bytes() == b"".join(lines)


@pytest.mark.parametrize("change", [{"group": "unknown"}, {"seed": 7}, {"config": {"lr": 1.0, "batch_size": 1}}])
def test_a_row_of_another_sweep_is_refused(runner: Any, tmp_path: Path, change: dict[str, Any]) -> None:
    collect(runner, tmp_path, progress=False)
    lines = (tmp_path / RUNS).read_text().splitlines()
    lines[3] = json.dumps({**json.loads(lines[3]), **change})
    (tmp_path / RUNS).write_text("\n".join(lines) + "\n")
    with pytest.raises(CollectError, match="line 4: this sweep has no such run"):
        collect(runner, tmp_path, progress=False)


def test_another_manifest_is_refused(runner: Any, tmp_path: Path) -> None:
    collect(runner, tmp_path, progress=False)
    before = contents(tmp_path)
    for attempt in (collect, remaining):
        with pytest.raises(CollectError, match="another sweep"):
            attempt(replace(runner, version=2), tmp_path)
    assert contents(tmp_path) == before


def test_a_directory_of_something_else_is_left_alone(runner: Any, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(CollectError, match="not empty"):
        collect(runner, tmp_path, progress=False)
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}


def test_a_manifest_whose_writing_was_cut_off_is_no_obstacle(runner: Any, tmp_path: Path) -> None:
    (tmp_path / ".sweep.json.x7.json").write_text("{")
    assert len(collect(runner, tmp_path, progress=False)) == RUNS_IN_ALL


def test_asking_what_remains_writes_nothing(runner: Any, tmp_path: Path) -> None:
    assert remaining(runner, tmp_path / "work") == runner.groups()
    assert not (tmp_path / "work").exists()


def test_two_processes_do_not_share_a_directory(
    runner: Any, tmp_path: Path, module: Callable[[str], ModuleType]
) -> None:
    fcntl = module("fcntl")
    collect(runner, tmp_path, progress=False)
    with (tmp_path / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(CollectError, match="another process"):
            collect(runner, tmp_path, progress=False)
    assert len(collect(runner, tmp_path, progress=False)) == RUNS_IN_ALL


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts the fake sweep as a program."""

    def start(work: str, out: str, workers: int = 1, sleep: float = 0.0) -> subprocess.Popen[bytes]:
        argv = [sys.executable, str(PROGRAM), str(tmp_path / work), str(tmp_path / out), str(workers), str(sleep)]
        return subprocess.Popen(argv, start_new_session=True)

    return start


def test_workers_do_not_show_in_the_suite(start: Start, tmp_path: Path) -> None:
    for name, workers in (("one", 1), ("two", 2)):
        assert start(f"{name}.work", name, workers).wait() == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(contents(tmp_path / "one")) == 3


def test_kill_9_at_any_moment_does_not_show_in_the_suite(start: Start, tmp_path: Path) -> None:
    runs = tmp_path / "killed.work" / RUNS
    rng = random.Random(0)
    sizes = [0]
    while len(sizes) < 6:
        process = start("killed.work", "killed", sleep=0.08)
        while process.poll() is None and not (runs.is_file() and runs.stat().st_size > sizes[-1]):
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            break  # on a busy machine it was over before the signal came
        sizes.append(runs.stat().st_size)
    assert len(sizes) > 2
    assert sizes == sorted(set(sizes))  # each attempt came further than the one before
    if len(sizes) == 6:
        assert not (tmp_path / "killed").exists()
        assert start("killed.work", "killed").wait() == 0
    assert start("whole.work", "whole").wait() == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert len(runs.read_text().splitlines()) == RUNS_IN_ALL


def alive(session: int) -> int:
    """How many processes of a session there are, not counting those that only wait to be buried."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, its_session = path.read_text().rpartition(")")[2].split()[:4]
            count += int(its_session) == session and state not in "ZX"
    return count


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
def test_kill_9_ends_the_workers_too(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "marks").mkdir()
    monkeypatch.setenv("FAKE_SWEEP_MARKS", str(tmp_path / "marks"))
    process = start("orphans.work", "orphans", workers=2, sleep=60)
    while len(list((tmp_path / "marks").iterdir())) < 2:  # both workers have begun to measure
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while alive(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
