"""A soak: `run` under load for a long time, with commands that fail, hang and lie; how much of it is lost.

python benchmarks/soak.py --minutes 60 --rate 20                       # in SQLite files, one for each worker
python benchmarks/soak.py --minutes 60 --storage postgresql://me@/db   # all workers in one database

Each worker runs one study after the other, as `autollmresearch run` does, slowed down to its share of the rate. Of 20
trials 14 print a loss, two exit with 1, one hangs until its timeout, one prints NaN, one prints nothing, and one is
killed. Printed: trials per second, the sum of what each worker did by its own clock; trials that are missing, that ran
more than once, or that have another verdict than their command deserves; and the workers' memory after a tenth of the
time and at the end.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from autollmresearch.live.runner import run_study
from autollmresearch.live.settings import read_settings

COMMAND = """echo x >> calls.txt
case $(($2 % 20)) in
  3|11) exit 1 ;;
  5) sleep 600 ;;
  7) echo loss=nan ;;
  13) : ;;
  17) kill -9 $$ ;;
  *) echo loss=$1 ;;
esac
"""
REASONS = {3: "exit code 1", 11: "exit code 1", 5: "timeout", 7: "diverged", 13: "it printed no", 17: "out of memory"}
"""What a trial's failure begins with, by its number modulo 20; the others are complete."""

HELD = 0.95
"""Of the rate, how much has to be reached."""

GROWTH = 50.0
"""MB by which a worker's memory may grow: each study opens databases of its own, and SQLAlchemy keeps up to 150
compiled statements of each table, also of databases that were closed. More than that is a leak."""

DONE: Any = None
"""How many trials all workers have begun."""

TRIALS = 60
"""Of each study: it is done in seconds, so that many are begun and ended."""


@dataclass(frozen=True)
class Report:
    """What one worker saw; memory in MB."""

    trials: int
    missing: int
    repeated: int
    misjudged: int
    seconds: float
    first: float
    last: float


def main() -> int:
    """Run the soak; 1 if anything was lost, the load was not held, or memory grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=20, help="trials per second, of all workers together")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--storage", help="default: a SQLite file for each worker")
    args = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    done = context.Value("q", 0)
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as out,
        ProcessPoolExecutor(args.workers, context, _share, (done,)) as pool,
        tqdm(total=round(60 * args.minutes * args.rate), unit=" trials", mininterval=1, disable=None) as bar,
    ):
        share = args.storage, args.minutes * 60, args.rate / args.workers
        running = [pool.submit(work, Path(out) / str(k), *share) for k in range(args.workers)]
        reports, waiting = [], set(running)
        while waiting:
            ended, waiting = wait(waiting, timeout=1)
            reports += [r.result() for r in ended]  # raises what a worker has raised
            bar.update(done.value - bar.n)
    said, sound = verdict(reports, (args.storage or "sqlite").partition(":")[0], args.rate)
    print(said)
    return int(not sound)


def verdict(reports: Sequence[Report], kind: str, rate: float) -> tuple[str, bool]:
    """What the workers saw, in words, and whether nothing was lost, the load was held and memory was level."""
    trials, missing, repeated, misjudged = (
        sum(getattr(r, name) for r in reports) for name in ("trials", "missing", "repeated", "misjudged")
    )
    per_second, minutes = sum(r.trials / r.seconds for r in reports), max(r.seconds for r in reports) / 60
    first, last = (sum(getattr(r, name) for r in reports) / len(reports) for name in ("first", "last"))
    held, level = per_second >= HELD * rate, last - first <= GROWTH
    lines = (
        f"{kind}, {len(reports)} workers: {trials:,} trials in {minutes:.1f} min, {per_second:.1f} per second",
        f"missing {missing}, run more than once {repeated}, misjudged {misjudged}",
        f"memory of a worker: {first:.0f} MB after a tenth of the time, {last:.0f} MB at the end",
        f"load {'held' if held else 'NOT HELD'}, memory {'level' if level else 'GREW'}",
    )
    return "\n".join(lines), held and level and not missing + repeated + misjudged


def _share(done: Any) -> None:
    """In each worker, before its work: where all of them count their trials."""
    global DONE
    DONE = done


def work(place: Path, storage: str | None, seconds: float, rate: float) -> Report:
    """One worker: studies one after the other until the time is over."""
    place.mkdir()
    (place / "trial.sh").write_text(COMMAND)
    counts = dict.fromkeys(("trials", "missing", "repeated", "misjudged"), 0)
    begun, memory = time.monotonic(), 0.0
    pace = Pace(rate)
    while time.monotonic() < begun + seconds:
        number = counts["trials"] // TRIALS
        directory = place / f"study{number}"
        settings = {
            "name": f"soak-{place.parent.name}-{place.name}-{number}",
            "command": ["sh", "{here}/trial.sh", "{lr}", "{trial}"],
            "timeout": 1,
            "metric": {"name": "loss", "direction": "minimize"},
            "parameters": [{"kind": "real", "name": "lr", "low": 1e-4, "high": 1.0, "log": True}],
            "target": {"N": 1},
            "budget": TRIALS,
            "policy": "random",
            "directory": str(directory),
            "storage": storage or f"sqlite:///{place}/soak.db",
        }
        (place / "study.yaml").write_text(json.dumps(settings))  # JSON is YAML
        study = run_study(read_settings(place / "study.yaml"), pace)
        trials = study.trials()
        counts["trials"] += TRIALS
        counts["missing"] += len({*range(TRIALS)} - {t.number for t in trials})
        for trial in trials:
            verdict, calls = trial.failure or "complete", directory / f"trials/target-{trial.number:04d}/calls.txt"
            counts["misjudged"] += not verdict.startswith(REASONS.get(trial.number % 20, "complete"))
            counts["misjudged"] += trial.value is not None and trial.value != trial.config["lr"]
            counts["repeated"] += not calls.exists() or len(calls.read_text().split()) != 1
        shutil.rmtree(directory)
        if time.monotonic() < begun + seconds / 10 or not memory:
            memory = resident()
    return Report(**counts, seconds=time.monotonic() - begun, first=memory, last=resident())


class Pace:
    """Holds a worker back, where a trial's first line is told, to so many trials a second."""

    def __init__(self, rate: float) -> None:
        self.rate, self.begun, self.trials = rate, time.monotonic(), 0

    def line(self, text: str) -> None:
        if "lr " in text:
            self.trials += 1
            with DONE.get_lock():
                DONE.value += 1
            time.sleep(max(0.0, self.begun + self.trials / self.rate - time.monotonic()))

    def tick(self, text: str) -> None:
        pass


def resident() -> float:
    """This process's memory now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    sys.exit(main())
