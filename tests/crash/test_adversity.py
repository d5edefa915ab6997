"""What else goes wrong on a long night: a full disk, a read-only cache, a clock set back, several processes at once.

Each has a defined behaviour: one line that says what is wrong, nothing half-written, no trial lost or made twice, and
the same command goes on when the trouble is over.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
import pytest

from autollmresearch.cli.main import main
from autollmresearch.live import attempts
from autollmresearch.live.runner import run_study
from autollmresearch.live.settings import read_settings
from autollmresearch.live.study import load_study
from llmconfig_gym.catalog import CACHE_VARIABLE
from llmconfig_gym.cli.main import main as gym
from llmconfig_gym.suite import Suite

RUNS = """run,N,tokens,lr,batch_size,val_loss
a,25M,5e8,1e-4,64,3.91
b,25M,5e8,1e-3,128,3.52
c,25M,5e8,1e-2,64,3.80
d,100M,2B,1e-4,64,3.55
e,100M,2B,1e-3,128,3.21
f,100M,2B,1e-2,128,3.60
"""
SUGGEST = ["suggest", "--from", "runs.csv", "--target", "N=7B,tokens=20B", "--policy", "random", "--budget", "8"]
SUGGEST += ["--study", "big", "--format", "json"]

FULL = re.compile(r"the disk is full( \(.*\))?; make room, then run the same command again: what was finished is kept")

Start = Callable[[list[str], Path], BaseProcess]


@dataclass(frozen=True)
class Disk:
    """A file system of its own, of a given size, and a file that takes what is left of it."""

    path: Path

    def fill(self) -> None:
        with (self.path / "ballast").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        assert not shutil.disk_usage(self.path).free

    def free(self) -> None:
        (self.path / "ballast").unlink()


@pytest.fixture
def mounted(tmp_path: Path, missing: Callable[[str], NoReturn]) -> Iterator[Callable[[str], Path]]:
    """Mounts file systems in memory: `mounted("size=2m")`."""
    places: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"disk{len(places)}"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            missing(f"a small file system cannot be mounted here (it takes root): {done.stderr.strip()}")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def told(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[int, str]:
    """The exit code of a command, and what it said on standard error."""
    capsys.readouterr()
    code = main(arguments)
    error = capsys.readouterr().err
    assert error.count("\n") <= 1 or code == 0
    return code, error


def statuses(place: Path) -> list[str]:
    return [t.status for t in load_study("big", f"sqlite:///{place}/autollmresearch.db").trials()]


def test_a_full_disk_loses_and_doubles_no_trial(
    mounted: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = Disk(mounted("size=2m"))
    monkeypatch.chdir(disk.path)
    Path("runs.csv").write_text(RUNS)
    assert main(SUGGEST) == 0
    disk.fill()
    outcome = ["tell", "big", "0", "2.31"]
    assert told(capsys, outcome) == (
        4,
        "autollmresearch: sqlite:///autollmresearch.db: the disk is full; make room, then run the same command again: "
        "nothing is lost\n",
    )
    assert told(capsys, [*SUGGEST, "--another"])[0] == 4
    disk.free()
    assert statuses(disk.path) == ["open"]
    assert main(outcome) == 0
    assert main(SUGGEST) == 0
    assert statuses(disk.path) == ["complete", "open"]


def test_a_benchmark_on_a_full_disk_goes_on_when_there_is_room(
    mounted: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = Disk(mounted("size=24m"))
    arguments = ["benchmark", "--suite", "micro", "--methods", "random", "--budget", "2", "--seeds", "1"]
    arguments += ["--workers", "1", "--no-progress", "--out"]
    (disk.path / "out").mkdir()
    disk.fill()
    code, error = told(capsys, [*arguments, str(disk.path / "out")])
    assert code == 2
    assert FULL.search(error), error
    assert list((disk.path / "out").iterdir()) == []
    disk.free()
    assert main([*arguments, str(disk.path / "out")]) == 0
    assert main([*arguments, str(tmp_path / "other")]) == 0
    ours, theirs = (
        pd.read_parquet(out / "results.parquet").drop(columns="seconds")
        for out in (disk.path / "out", tmp_path / "other")
    )
    pd.testing.assert_frame_equal(ours, theirs)


FILLS = """import contextlib, pathlib, sys
lr, n, home = float(sys.argv[1]), float(sys.argv[2]), pathlib.Path(sys.argv[3])
print(f"loss={(lr - 0.3) ** 2 + 1 / n}", flush=True)
(home / "calls.txt").open("a").write("x")
if (home / "calls.txt").read_text() == "xx":
    with (home / "ballast").open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
"""
"""A command that fills the disk at its second call, after it has printed its result."""


class MakesRoom:
    """Who is told that the disk is full, and makes room; or else stops the command, as Ctrl-C does."""

    def __init__(self, disk: Disk, *, stops: bool) -> None:
        self.disk, self.stops, self.said = disk, stops, 0

    def line(self, text: str) -> None:
        if "is the disk full?" in text:
            self.said += 1
            if self.stops:
                raise KeyboardInterrupt
            self.disk.free()

    def tick(self, text: str) -> None:
        pass


@pytest.mark.parametrize("stops", [False, True])
def test_a_run_whose_command_fills_the_disk_goes_on_when_there_is_room(
    mounted: Callable[[str], Path], stops: bool
) -> None:
    disk = Disk(mounted("size=2m"))
    (disk.path / "train.py").write_text(FILLS)
    settings = {
        "name": "big",
        "command": "python -S {here}/train.py {lr} {n} {here}",
        "metric": {"name": "loss", "direction": "minimize"},
        "parameters": [{"kind": "grid", "name": "lr", "levels": [0.1, 0.2, 0.3]}],
        "target": {"n": 2},
        "policy": "random",
        "budget": 3,
        "directory": str(disk.path),
        "storage": f"sqlite:///{disk.path}/autollmresearch.db",
    }
    (disk.path / "study.yaml").write_text(json.dumps(settings))
    progress = MakesRoom(disk, stops=stops)
    with pytest.raises(KeyboardInterrupt) if stops else contextlib.nullcontext():
        run_study(read_settings(disk.path / "study.yaml"), progress)
    assert progress.said == 1
    if stops:
        disk.free()
        assert statuses(disk.path) == ["complete", "open"]
    assert main(["run", str(disk.path / "study.yaml"), "--quiet"]) == 0
    trials = load_study("big", settings["storage"]).trials()
    assert [(t.status, t.value) for t in trials] == [("complete", (t.config["lr"] - 0.3) ** 2 + 0.5) for t in trials]
    assert len({t.config["lr"] for t in trials}) == 3
    assert (disk.path / "calls.txt").read_text() == "xxx"


def test_a_sweep_on_a_full_disk_goes_on_when_there_is_room(
    mounted: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = Disk(mounted("size=2m"))
    (tmp_path / "space.yaml").write_text(
        "metric: {name: loss, direction: minimize}\n"
        "parameters: [{kind: grid, name: lr, levels: [0.1, 0.2, 0.3]}]\n"
        "fidelities: [{level: low, n: 1}]\n"
    )
    command = "python -S -c \"import sys; print(f'loss={sys.argv[1]}')\" {lr} {n}"
    collect = ["collect", "--command", command, "--space", str(tmp_path / "space.yaml"), "--no-progress", "--quiet"]
    collect += ["--out", str(disk.path / "mine")]
    (disk.path / "mine.work").mkdir()
    disk.fill()
    assert gym(collect) == 2
    error = capsys.readouterr().err
    assert FULL.search(error), error
    assert not (disk.path / "mine").exists()
    disk.free()
    assert gym(collect) == 0
    suite = Suite.load(disk.path / "mine")
    assert [sorted(suite.experiment(id_).values) for id_ in suite.ids] == [[0.1, 0.2, 0.3]]


def test_a_read_only_cache_is_read_and_a_download_into_it_refused_in_one_line(
    mounted: Callable[[str], Path], mirror: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(mounted("ro")))
    assert gym(["list", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert gym(["download", "steplaw", "--no-progress"]) == 2
    error = capsys.readouterr().err
    assert "Read-only file system" in error
    assert len(error.splitlines()) == 1


def test_a_clock_that_is_set_back_changes_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the day loses an hour at each look; what has to wait or end looks at another."""
    (tmp_path / "train.py").write_text("import sys, time; time.sleep(0.05); print('loss=' + sys.argv[1])")
    settings: dict[str, Any] = {
        "name": "tiny",
        "command": "python -S {here}/train.py {lr} {n}",
        "metric": {"name": "loss", "direction": "minimize"},
        "parameters": [{"kind": "grid", "name": "lr", "levels": [0.1, 0.2, 0.3]}],
        "fidelities": [{"n": 1, "budget": 2}],
        "target": {"n": 2},
        "policy": "random",
        "budget": 2,
        "timeout": 60,
    }

    def outcomes(name: str) -> list[tuple[Any, ...]]:
        (tmp_path / f"{name}.yaml").write_text(json.dumps(settings | {"directory": str(tmp_path / name)}))
        assert main(["run", str(tmp_path / f"{name}.yaml"), "--format", "json"]) == 0
        study = load_study("tiny", f"sqlite:///{tmp_path}/{name}/study.db")
        return [(t.status, t.config, t.value) for t in study.trials()]

    straight = outcomes("straight")
    now, looks = time.time, itertools.count()
    monkeypatch.setattr(attempts.time, "time", lambda: now() - 3600 * next(looks))
    assert outcomes("back") == straight
    assert [status for status, *_ in straight] == ["complete", "complete"]


def test_many_processes_on_one_study_lose_and_double_no_trial(start: Start, tmp_path: Path) -> None:
    """Three more that suggest at once, then two that tell each of those trials at once."""
    (tmp_path / "runs.csv").write_text(RUNS)
    together(start, tmp_path, [["autollmresearch", *SUGGEST]])
    together(start, tmp_path, [["autollmresearch", *SUGGEST, "--another"]] * 3)
    study = load_study("big", f"sqlite:///{tmp_path}/autollmresearch.db")
    trials = study.trials()
    assert [t.status for t in trials] == ["open"] * 4
    assert len({json.dumps(t.config) for t in trials}) == 4
    tells = [["autollmresearch", "tell", "big", str(t.number), f"{2 + k}.5"] for t in trials for k in (0, 1)]
    codes = together(start, tmp_path, tells, may_be_refused=True)
    assert [sorted(codes[2 * i : 2 * i + 2]) for i in range(4)] == [[0, 2]] * 4
    winners = [2.5 if codes[2 * i] == 0 else 3.5 for i in range(4)]
    assert [t.value for t in study.trials()] == winners


def together(start: Start, place: Path, commands: list[list[str]], *, may_be_refused: bool = False) -> list[int | None]:
    processes = [start(command, place) for command in commands]
    for process in processes:
        process.join(300)
    codes = [process.exitcode for process in processes]
    assert may_be_refused or codes == [0] * len(commands), (place / "output.txt").read_text()
    return codes
