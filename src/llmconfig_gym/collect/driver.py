"""The grid driver: runs a sweep to a table, resumable, with every row written whole or not at all.

A `Runner` says which runs its sweep has, in groups that are measured together (replicas trained as one stack, or
one command each). The driver appends each finished group to `runs.jsonl` in one write; a group that a crash tore
is run again. The suite is made from the sorted rows, so it does not depend on the order in which groups finished,
on the number of workers, or on how often the sweep was interrupted.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

from llmconfig_gym.errors import CollectError
from llmconfig_gym.files import only_one, write_text
from llmconfig_gym.parallel import Cluster, Workers, run_jobs
from llmconfig_gym.parameter import Value
from llmconfig_gym.suite import Suite

MANIFEST = "sweep.json"
RUNS = "runs.jsonl"


@dataclass(frozen=True)
class Run:
    """One row to measure: a configuration of an experiment with a seed."""

    experiment: str
    config: Mapping[str, Value]
    seed: int


@dataclass(frozen=True)
class Group:
    """Runs that are measured together, under a name that is unique in the sweep.

    `seconds` is about how many core-seconds they take, 0 where nobody can know: it is only told to people.
    """

    name: str
    runs: tuple[Run, ...]
    seconds: float = 0.0


@dataclass(frozen=True)
class Measurement:
    """What one run gave.

    Attributes:
        value: the metric; None if the run gave none.
        status: `ok`; `diverged` (it ran, but its loss blew up); `failed` (it did not run to its end).
        details: what else was measured; None for a number that is not finite.
        seconds: time it took (its share of a group).
        device: what it ran on.
    """

    value: float | None
    status: Literal["ok", "diverged", "failed"]
    details: Mapping[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0
    device: str = ""


@dataclass(frozen=True)
class Row:
    """A run and its measurement, under the name of its group."""

    group: str
    run: Run
    measurement: Measurement

    def to_json(self) -> str:
        """One line of `runs.jsonl`."""
        return json.dumps({"group": self.group, **asdict(self.run), **asdict(self.measurement)})

    @classmethod
    def from_json(cls, line: str) -> Row:
        """The row that `to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        data = json.loads(line)
        if not (isinstance(data["group"], str) and isinstance(data["config"], dict)):
            raise TypeError("group is a text and config a mapping")
        run = Run(data["experiment"], data["config"], data["seed"])
        measured = {k: data[k] for k in ("value", "status", "details", "seconds", "device")}
        return cls(data["group"], run, Measurement(**measured))


class Runner(Protocol):
    """What can be swept. Implementations must pickle, so that workers can run them."""

    def manifest(self) -> dict[str, Any]:
        """Everything that decides the numbers, as plain JSON data: a sweep resumes only if it is unchanged."""
        ...

    def groups(self) -> list[Group]:
        """The whole sweep in order."""
        ...

    def measure(self, group: Group) -> Sequence[Measurement]:
        """One measurement per run of the group, in order."""
        ...

    def suite(self, name: str, rows: Sequence[Row]) -> Suite:
        """The suite that these rows, in the sweep's order, make."""
        ...


class VerifiableRunner(Runner, Protocol):
    """A runner of this package: its runs can be repeated one by one."""

    def alone(self, run: Run) -> Group:
        """The group that measures one run by itself."""
        ...


def remaining(runner: Runner, work: Path) -> list[Group]:
    """The groups that `collect` would run: all, or what is missing in `work`. Changes nothing on disk.

    Raises:
        CollectError: as `collect`.
    """
    if not (work / MANIFEST).is_file():
        return runner.groups()
    _claim(work, runner.manifest())
    groups = runner.groups()
    done, _ = _read(work / RUNS, groups)
    return [g for g in groups if g.name not in done]


def collect(runner: Runner, work: Path, *, workers: Workers = 1, progress: bool = True) -> list[Row]:
    """Run what is missing of a sweep and return all its rows in order.

    Args:
        work: directory for `sweep.json` (the manifest) and `runs.jsonl` (the rows so far).
        workers: processes, each of which computes on one thread, or a cluster.

    Raises:
        CollectError: `work` holds another sweep, rows that are damaged in the middle, or is being worked in by
            another process.
        WorkersLost, NodesDiffer, MissingExtra: as `run_jobs`.
    """
    _claim(work, runner.manifest())
    groups = runner.groups()
    path = work / RUNS
    busy = CollectError(f"another process is collecting in {work}; wait for it to end")
    with only_one(work, busy):
        done, whole = _read(path, groups)
        missing = [g for g in groups if g.name not in done]
        parent = None if isinstance(workers, Cluster) else os.getpid()
        finished = run_jobs(_measure, (runner, parent), missing, workers)
        with path.open("ab") as file, _bar(groups, missing, progress) as advance:
            file.truncate(whole)
            for rows in finished:
                file.write("".join(row.to_json() + "\n" for row in rows).encode())
                file.flush()
                os.fsync(file.fileno())
                done[rows[0].group] = rows
                advance(rows[0].group)
    return [row for g in groups for row in done[g.name]]


def _measure(shared: tuple[Runner, int | None], group: Group) -> list[Row]:
    """Runs in a worker. A runner that raises has a bug; a run that fails is a row."""
    runner, parent = shared
    if parent not in (None, os.getpid()):
        _end_with(parent)
    measurements = runner.measure(group)
    return [Row(group.name, run, m) for run, m in zip(group.runs, measurements, strict=True)]


@cache
def _end_with(parent: int) -> None:
    """Let this worker end within a second of its parent, which a kill -9 would keep from telling it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _bar(groups: Sequence[Group], missing: Sequence[Group], progress: bool) -> Iterator[Callable[[str], None]]:
    """A progress bar in estimated core-seconds, so that its end is foreseen well though groups differ in cost.

    Gives a function that is told the name of each finished group.
    """
    from tqdm import tqdm

    known = all(g.seconds > 0 for g in groups)
    seconds = {g.name: g.seconds if known else len(g.runs) for g in groups}
    sizes = {g.name: len(g.runs) for g in groups}
    total, runs = sum(seconds.values()), sum(sizes.values())
    left = sum(sizes[g.name] for g in missing)
    with tqdm(
        total=total,
        initial=total - sum(seconds[g.name] for g in missing),
        bar_format="{percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]{postfix}",
        smoothing=0,
        disable=not (progress and missing),
    ) as bar:

        def advance(name: str) -> None:
            nonlocal left
            left -= sizes[name]
            bar.set_postfix_str(f"{runs - left}/{runs} runs, {name} done", refresh=False)
            bar.update(seconds[name])

        yield advance


def _claim(work: Path, manifest: Mapping[str, Any]) -> None:
    """Make `work` this sweep's, or make sure that it already is."""
    path = work / MANIFEST
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    if path.is_file():
        if path.read_text(encoding="utf-8") != text:
            raise CollectError(
                f"{work} holds another sweep (its {path.name} differs in settings or code); "
                "choose another directory, or remove it to start over"
            )
    elif work.exists() and (not work.is_dir() or any(not p.name.startswith(".") for p in work.iterdir())):
        # (a name with a dot in front is a manifest whose writing was cut off)
        raise CollectError(f"{work} is not empty and holds no sweep; choose another directory")
    else:
        write_text(path, text)


def _read(path: Path, groups: Sequence[Group]) -> tuple[dict[str, list[Row]], int]:
    """The groups already measured, and how many bytes of the file they fill. What follows was torn by a crash.

    Raises:
        CollectError: a line before the last is damaged, or rows are not those of the sweep.
    """
    expected = {g.name: g.runs for g in groups}
    done: dict[str, list[Row]] = {}
    whole, position = 0, 0
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True) if path.is_file() else [], 1):
        if not line.endswith(b"\n"):
            break  # only the last line can lack its end
        position += len(line)
        try:
            row = Row.from_json(line.decode())
        except (ValueError, KeyError, TypeError, RecursionError) as problem:
            raise CollectError(f"{path}, line {number} is damaged ({problem}); mend or remove it") from None
        rows = done.setdefault(row.group, [])
        if expected.get(row.group, ())[len(rows) : len(rows) + 1] != (row.run,):
            raise CollectError(f"{path}, line {number}: this sweep has no such run there (group {row.group!r})")
        rows.append(row)
        if len(rows) == len(expected[row.group]):
            whole = position
    return {name: rows for name, rows in done.items() if len(rows) == len(expected[name])}, whole


def finite(number: float | None) -> float | None:
    """`number`, or None where it is none: what a measurement holds."""
    return number if number is not None and math.isfinite(number) else None


def check_names(names: Iterable[str]) -> None:
    """Raises CollectError unless a sweep's experiments are one or more, with distinct names."""
    listed = list(names)
    if not listed or len(set(listed)) != len(listed):
        raise CollectError(f"a sweep needs one or more experiments with distinct names, found {listed}")
