"""kill -9 at random moments of everything that takes long: what was resumed equals what was never interrupted.

CI kills each of eight jobs three times; `make nightly` says `CRASH_KILLS=28`, which makes 224 kills.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from autollmresearch.live.export import phases_of
from autollmresearch.live.study import find_study

KILLS = int(os.environ.get("CRASH_KILLS", "3"))
PATIENCE = 300.0
HERE = Path(__file__).parent
AGENT = HERE.parents[1] / "src" / "autollmresearch" / "agents" / "researcher-mini"

Start = Callable[[list[str], Path], BaseProcess]


@dataclass(frozen=True)
class Job:
    """Something long.

    Attributes:
        command: program first; it works in the directory in which it is started.
        prepare: makes what it needs in that directory.
        result: what it left there, without what takes time or tells the time.
    """

    command: list[str]
    prepare: Callable[[Path], None]
    result: Callable[[Path], Any]


def contents(directory: Path) -> dict[str, object]:
    """All files, but for locks and what else starts with a dot; JSON without seconds and dates."""
    files = [p for p in sorted(directory.rglob("*")) if p.is_file() and not p.name.startswith(".")]
    return {p.relative_to(directory).as_posix(): _timeless(p) for p in files}


def _timeless(path: Path) -> object:
    if path.suffix == ".parquet":
        return pd.read_parquet(path).drop(columns="seconds", errors="ignore").to_csv()
    if path.suffix not in {".json", ".jsonl"}:
        return path.read_bytes()
    text = path.read_text()
    return [_without(json.loads(t)) for t in (text.splitlines() if path.suffix == ".jsonl" else [text])]


def _without(value: object) -> object:
    if isinstance(value, dict):
        told = {"seconds", "finished", "step_time"}
        return {k: _without(v) for k, v in value.items() if k not in told}
    return [_without(v) for v in value] if isinstance(value, list) else value


# collect: a sweep of one's own command

TRAIN = "import sys; lr, n = map(float, sys.argv[1:]); print(f'loss={(lr - 0.3) ** 2 + 1 / n}')"
SWEEP = """
metric: {name: loss, direction: minimize}
parameters: [{kind: grid, name: lr, levels: [0.1, 0.2, 0.3, 0.4]}]
fidelities: [{level: low, n: 1}, {level: medium, n: 2}, {level: high, n: 4}]
"""


def prepare_collect(place: Path) -> None:
    (place / "train.py").write_text(TRAIN)
    (place / "space.yaml").write_text(SWEEP)


COLLECT = Job(
    [
        *("llmconfig-gym", "collect", "--command", f"{sys.executable} -S train.py {{lr}} {{n}}"),
        *("--space", "space.yaml", "--out", "mine", "--no-progress"),
    ],
    prepare_collect,
    lambda place: {name: data for name, data in contents(place / "mine").items() if name != "README.md"},  # times
)

# benchmark


def rows(place: Path) -> object:
    return _timeless(place / "out" / "results.parquet")


BENCHMARK = Job(
    [
        *("autollmresearch", "benchmark", "--methods", "random,copy,tpe:startup=2,pooled-quadratic", "--budget", "3"),
        *("--seeds", "2", "--workers", "1", "--protocol", "full,metered:5", "--out", "out", "--no-progress"),
    ],
    lambda place: None,
    rows,
)

# run: a study of one's own command

STUDY = """
name: tiny
command: {python} -S {{here}}/train.py {{lr}} {{n}}
metric: {{name: loss, direction: minimize}}
parameters: [{{kind: real, name: lr, low: 0.01, high: 1, log: true}}]
fidelities: [{{n: 1, budget: 4}}, {{n: 2, budget: 3, design: policy}}]
target: {{n: 4}}
policy: analyst
budget: 3
retries: 99
"""
COUNTED = "open('calls.txt', 'a').write('x'); " + TRAIN


def prepare_run(place: Path) -> None:
    (place / "train.py").write_text(COUNTED)
    (place / "study.yaml").write_text(STUDY.format(python=sys.executable))


def history(place: Path) -> object:
    """All trials of all phases; and that each trial's command ran once, for a runner's death does not end it."""
    study = find_study("tiny", f"sqlite:///{place}/runs/tiny/study.db")
    assert study is not None
    parts = [*phases_of(study), study]
    trials = [[(t.number, t.status, t.config, t.value, t.reasoning) for t in part.trials()] for part in parts]
    calls = [p.read_text() for p in sorted((place / "runs/tiny/trials").glob("*/calls.txt"))]
    assert calls == ["x"] * 10
    return trials


RUN = Job(["autollmresearch", "run", "study.yaml"], prepare_run, history)

# train: each step, with what the steps before it left


def prepare_step(step: str, earlier: Path) -> Callable[[Path], None]:
    def prepare(place: Path) -> None:
        for name in {"prior": [], "curate": [], "simulate": ["prior", "curate"], "distill": ["prior", "simulate"]}.get(
            step, ["prior", "curate", "simulate", "distill"]
        ):
            shutil.copytree(earlier / name, place / "run" / name)

    return prepare


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Path:
    """A run whose prior is researcher-mini, with all steps but the last made from it."""
    place = tmp_path_factory.mktemp("earlier")
    shutil.copytree(AGENT, place / "run" / "prior" / "checkpoint")
    for step in ("curate", "simulate", "distill"):
        finish(start, train(step), place)
    return place / "run"


def train(step: str) -> list[str]:
    recipe = str(HERE / "recipe.yaml")
    return ["autollmresearch", "train", step, "--recipe", recipe, "--out", "run", "--no-progress"]


STEPS = ("prior", "curate", "simulate", "distill", "reinforce")
JOBS = {"collect": COLLECT, "benchmark": BENCHMARK, "run": RUN}


@pytest.fixture
def job(request: pytest.FixtureRequest) -> Job:
    name = request.param
    if name in JOBS:
        return JOBS[name]
    prepare = prepare_step(name, request.getfixturevalue("earlier"))
    return Job(train(name), prepare, lambda place: contents(place / "run" / name))


@pytest.mark.parametrize("job", [*JOBS, *STEPS], indirect=True)
def test_killed_at_random_moments_and_resumed_it_is_what_it_would_have_been(
    job: Job, start: Start, tmp_path: Path
) -> None:
    def fresh(name: str) -> Path:
        place = tmp_path / name
        place.mkdir()
        job.prepare(place)
        return place

    whole = fresh("whole")
    begun = time.monotonic()
    finish(start, job.command, whole)
    seconds = time.monotonic() - begun
    wanted = job.result(whole)
    rng = random.Random(0)
    kills, finished = 0, 0
    place = fresh("0")
    while kills < KILLS:
        process = start(job.command, place)
        process.join(rng.uniform(0, seconds))
        if process.exitcode is None:
            process.kill()
            process.join()
        if process.exitcode == -signal.SIGKILL:
            kills += 1
            if not (place / "mine").exists():  # a suite that is there is whole, and is not made again
                continue
        else:
            assert process.exitcode == 0, (place / "output.txt").read_text()
        same(job.result(place), wanted)
        finished += 1
        place = fresh(str(finished))
    finish(start, job.command, place)
    same(job.result(place), wanted)
    print(f"{kills} kills, {finished + 1} times finished")


def same(found: Any, wanted: Any) -> None:
    """Compare results; of files say which differ, not how."""
    if isinstance(wanted, dict):
        assert [name for name in {*found, *wanted} if found.get(name) != wanted.get(name)] == []
    assert found == wanted


def finish(start: Start, command: list[str], place: Path) -> None:
    process = start(command, place)
    process.join(PATIENCE)
    assert process.exitcode == 0, (place / "output.txt").read_text()
