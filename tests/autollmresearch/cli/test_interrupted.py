"""Ctrl-C, for real: a SIGINT to the whole process group of a long command, as a terminal sends it.

Each command ends with 130, says in one line how to go on, shows no traceback, and leaves no process behind. `run` is
interrupted in live/test_runner.py.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from autollmresearch.cli.main import main as researcher
from llmconfig_gym.cli.main import main as gym
from llmconfig_gym.sources import steplaw

PATIENCE = 120.0
MODULES = {"autollmresearch": "autollmresearch", "llmconfig-gym": "llmconfig_gym"}

SLOW = """import os, time
from pathlib import Path

class Slow:
    def propose(self, states):
        Path(f"begun-{os.getpid()}").write_text("yes")
        time.sleep(600)
"""
SWEEP = """parameters: [{kind: grid, name: lr, levels: [0.1, 0.2, 0.3]}]
fidelities: [{level: high, steps: 9}]
"""
RECIPE = """model: {layers: 1, width: 32, heads: 2, key_heads: 2, mlp: 64}
agent: {style: {top: 2}, max_new_tokens: 16, context: 8000}
prior: {episodes: 100000, shard: 8, texts: 8}
curate: {budgets: [2], targets: [micro/N25k-D524k]}
simulate: {rollouts: 500, batch: 4}
distill: {sft: {epochs: 5000, batch_size: 4, log_every: 1, save_every: 1000}}
reinforce: {steps: 1000, samples: 1, group: 2}
"""
RUNS = "N,tokens,lr,val_loss\n" + "".join(f"1e6,5e8,{x}e-4,{3 + x}\n" for x in range(1, 7))

GO_ON = "run the same command again to go on."


class Terminal:
    """Where commands are typed and interrupted."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def interrupt(self, program: str, *arguments: str, when: Callable[[], object]) -> tuple[int, str, str]:
        """Start it, press Ctrl-C as soon as `when`, and say how it ended: exit code, standard output and error."""
        out, err = self.place / "out.txt", self.place / "err.txt"
        command = [sys.executable, "-m", MODULES[program], *arguments]
        with out.open("w") as output, err.open("w") as error:
            process = subprocess.Popen(command, stdout=output, stderr=error, start_new_session=True)
            try:
                self.until(lambda: when() or process.poll() is not None)
                os.killpg(process.pid, signal.SIGINT)
                code = process.wait(PATIENCE)
                self.until(lambda: not _alive(process.pid))
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return code, out.read_text(), err.read_text()

    def there(self, pattern: str, number: int = 1) -> Callable[[], object]:
        """Whether so many files of this pattern have something in them."""
        return lambda: len([p for p in self.place.glob(pattern) if p.is_file() and p.stat().st_size]) >= number

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, (self.place / "err.txt").read_text()
            time.sleep(0.02)


def _alive(group: int) -> bool:
    """Whether a process of this group runs (a zombie, which only waits to be counted, does not)."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False


@pytest.fixture
def terminal(tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A directory with what the commands need."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("slow.py", SLOW), ("sweep.yaml", SWEEP), ("recipe.yaml", RECIPE), ("runs.csv", RUNS)):
        Path(name).write_text(text)
    for step in ("prior", "distill"):
        shutil.copytree(checkpoint, Path("run", step, "checkpoint"))
    return Terminal(tmp_path)


def _stopped(ended: tuple[int, str, str], hint: str) -> None:
    code, out, err = ended
    assert code == 130, err
    assert out == ""
    assert err.endswith(f": interrupted. {hint}\n"), err
    assert "Traceback" not in err


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_benchmark(terminal: Terminal, workers: str) -> None:
    options = ["--methods", "python:slow.py:Slow", "--workers", workers, "--out", "out"]
    begun = terminal.there("begun-*", int(workers))  # a worker that is interrupted while it starts may say so
    ended = terminal.interrupt("autollmresearch", "benchmark", *options, when=begun)
    _stopped(ended, f"Finished cells are kept; {GO_ON}")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_sweep_and_the_command_it_runs(terminal: Terminal, workers: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("train.sh").write_text("[ $1 = 0.1 -o -e fast ] || { echo $$ > pid-$1; sleep 600; }; echo val_loss=$1\n")
    collect = ["collect", "--command", "sh train.sh {lr}", "--space", "sweep.yaml", "--out", "out"]
    ended = terminal.interrupt(
        "llmconfig-gym", *collect, "--workers", workers, when=terminal.there("pid-*", int(workers))
    )
    _stopped(ended, f"Finished runs are kept; {GO_ON}")
    for pid in Path().glob("pid-*"):
        command = int(pid.read_text())  # it leads a group of its own
        terminal.until(lambda command=command: not _alive(command))
    Path("fast").touch()
    assert gym([*collect, "--format", "json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["runs"] == 3
    if workers == "1":
        assert told.err.startswith("2 runs (1 of 3 are measured already)")


@pytest.mark.parametrize(
    ("step", "seen"),
    [
        ("prior", "run/prior/**/*.arrow"),
        ("simulate", "run/simulate/started.json"),
        ("distill", "run/distill/metrics.jsonl"),
        ("reinforce", "run/reinforce/metrics.jsonl"),
    ],
)
def test_a_training_step(terminal: Terminal, step: str, seen: str, capsys: pytest.CaptureFixture[str]) -> None:
    train = ["train", step, "--recipe", "recipe.yaml", "--out", "run"]
    if step == "prior":
        shutil.rmtree("run/prior")
    else:
        assert researcher([*train[:1], "curate", *train[2:], "--quiet"]) == 0
    if step == "distill":
        _trajectories(Path("run/simulate/trajectories.jsonl"))
    _stopped(
        terminal.interrupt("autollmresearch", *train, when=terminal.there(seen)),
        f"What was finished is kept: {GO_ON}",
    )
    assert not Path("run", step, "manifest.json").exists()
    assert Path("run", step, "started.json").exists(), "it can go on"


def _trajectories(path: Path) -> None:
    from autollmresearch.dialogue import action
    from autollmresearch.episode import Trajectory, Turn
    from autollmresearch.policy import Proposal
    from autollmresearch.trajectories import append_trajectories
    from llmconfig_gym.experiment import Outcome

    turns = [Turn(Proposal(action({"x": x}), prompt="read"), Outcome("measured", {"x": x}, 1.0), 0.5) for x in range(8)]
    append_trajectories(path, [Trajectory("lines/x", 1, 0, (turn,)) for turn in turns])


def test_an_episode(terminal: Terminal) -> None:
    play = ["play", "micro/N98k-D1M", "--policy", "python:slow.py:Slow"]
    _stopped(
        terminal.interrupt("autollmresearch", *play, when=terminal.there("begun-*")),
        "Nothing was kept: the same command plays the same episode again.",
    )


def test_a_suggestion(terminal: Terminal) -> None:
    suggest = ["suggest", "--from", "runs.csv", "--target", "N=1e7,tokens=5e9", "--policy", "python:slow.py:Slow"]
    _stopped(
        terminal.interrupt("autollmresearch", *suggest, "--study", "big", when=terminal.there("begun-*")),
        "Say the same again; a trial that was kept meanwhile is shown again.",
    )


def test_a_download(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror whose file never comes to its end: a pipe that nobody closes."""
    pipe = Path("mirror", steplaw.ORIGIN.folder, steplaw.TABLE)
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)  # so that neither side waits for the other
    try:
        os.write(held, b"N,D,")
        program = [sys.executable, "-m", "llmconfig_gym", "download", "steplaw"]
        places = {"AUTOLLMRESEARCH_MIRROR": "mirror", "AUTOLLMRESEARCH_CACHE": "cache"}
        with subprocess.Popen(program, env=os.environ | places, stderr=subprocess.PIPE, text=True) as process:
            while select.select([held], [], [], 0)[0]:  # until it has read what was written
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130
        assert err.endswith("interrupted. Run the same command again: files already checked are kept.\n")
        assert not Path("cache").exists()
    finally:
        os.close(held)


def test_a_training_of_a_baseline(terminal: Terminal) -> None:
    Path("metabo.yaml").write_text("curate: {suites: [micro], budgets: [5]}\n")
    train = ["train", "metabo", "--recipe", "metabo.yaml", "--out", "learner"]
    _stopped(
        terminal.interrupt("autollmresearch", *train, when=terminal.there("learner/metabo/started.json")),
        f"What was finished is kept: {GO_ON}",
    )
