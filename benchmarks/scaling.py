"""How cost grows with work: configurations, experiments, trials, episodes in a batch, processes.

    python benchmarks/scaling.py [--out runs/scaling] [--quick] [--only NAME,...] [--plots docs/images]

Every point is measured in a fresh process: CPU seconds of that process (for `workers`: wall-clock seconds, the
processes together), the least of some repeats where one takes under a second, and the most memory it held. Points are
printed and kept in `points.jsonl` as they come; the same command measures only what is missing. Of each curve the
exponent k of seconds ~ size^k is fitted by least squares through the largest points, at most three, of those that take
at least 20 ms and three times as long as the smallest size: below that, constant cost is seen. All data are made up.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

SMALLEST, ABOVE, FITTED = 0.02, 3, 3
"""Seconds, and times the smallest size's seconds, that a point must take to be fitted; and how many points are."""


@dataclass(frozen=True)
class Measured:
    """What happened in one process.

    Attributes:
        seconds: by operation.
        extra: numbers beside them, such as bytes on disk.
    """

    seconds: Mapping[str, float]
    extra: Mapping[str, float]


def _time(work: Callable[[], Any], *, least: float = 1.0) -> float:
    """CPU seconds of the quickest of up to five runs, which stop when they have taken `least` seconds."""
    took: list[float] = []
    while not took or (len(took) < 5 and sum(took) < least):
        start = time.process_time()
        work()
        took.append(time.process_time() - start)
    return min(took)


def _experiment(name: str, rows: int, seed: int, *, level: str = "low", family: str = "made") -> Any:
    """Three numbers and a word, drawn at random, so no two configurations are alike."""
    from llmconfig_gym.experiment import Experiment, Fidelity, Metric
    from llmconfig_gym.parameter import Categorical, Real
    from llmconfig_gym.pool import Pool
    from llmconfig_gym.space import Space

    rng = np.random.default_rng(seed)
    reals = {"lr": rng.uniform(1e-4, 1.0, rows), "decay": rng.random(rows), "dropout": rng.random(rows)}
    space = Space(
        (
            Real("lr", 1e-4, 1.0, log=True),
            Real("decay", 0.0, 1.0),
            Real("dropout", 0.0, 1.0),
            Categorical("kind", ("a", "b", "c")),
        )
    )
    pool = Pool(space, {**reals, "kind": np.array(["a", "b", "c"])[rng.integers(0, 3, rows)]})
    fidelity = Fidelity({"parameters": 1e6 * (1 + seed)}, 1e6 * (1 + seed))
    values = np.square(np.log(reals["lr"]) + 4) + reals["decay"]
    return Experiment(
        f"made/{name}", "made", "other", family, level, fidelity, Metric("loss", "minimize"), pool, values
    )


def configurations(size: int, place: Path) -> Measured:
    """One experiment of `size` configurations: written, read, and asked for 1,000 configurations it does not hold."""
    from llmconfig_gym.suite import Card, Suite

    suite = Suite.of("made", Card("made"), [_experiment("one", size, 0)])
    seconds = {"save": _time(lambda: suite.save(place, replace=True))}
    seconds["load"] = _time(lambda: Suite.load(place).experiment("made/one"))
    experiment = Suite.load(place).experiment("made/one")
    rng = np.random.default_rng(1)
    asked = [
        {"lr": float(lr), "decay": float(decay), "dropout": 0.5, "kind": "b"}
        for lr, decay in rng.uniform(1e-4, 1.0, (1000, 2))
    ]
    seconds["first tell"] = _time(lambda: experiment.tell(asked[0]), least=0.0)
    seconds["1,000 tells"] = _time(lambda: [experiment.tell(config) for config in asked])
    return Measured(seconds, {"bytes": float(sum(p.stat().st_size for p in place.rglob("*.parquet")))})


def experiments(size: int, place: Path) -> Measured:
    """`size` experiments of ten configurations in families of ten: written, listed, and opened with what is cheaper."""
    from llmconfig_gym.suite import Card, Suite

    levels = ["low"] * 6 + ["medium"] * 3 + ["high"]
    made = [_experiment(f"e{i}", 10, i, level=levels[i % 10], family=f"f{i // 10}") for i in range(size)]
    suite = Suite.of("made", Card("made"), made)
    seconds = {"save": _time(partial(suite.save, place), least=0.0)}
    del suite, made
    seconds["load and list"] = _time(lambda: [s.to_dict() for s in Suite.load(place).summaries])

    def open_all() -> None:
        suite = Suite.load(place)
        for target in suite.split("high"):
            suite.cheaper(target.id)

    seconds["open all with what is cheaper"] = _time(open_all)
    return Measured(seconds, {})


def trials(size: int, place: Path) -> Measured:
    """A study of `size` finished trials: opened and read, told of one more, and asked for the next by two policies."""
    from autollmresearch.live.propose import propose
    from autollmresearch.live.study import load_study

    place.mkdir()
    url = f"sqlite:///{place / 'studies.db'}"
    _fill(url, size)
    seconds = {"open and list": _time(lambda: load_study("made", url).trials())}
    study = load_study("made", url)
    listed = study.trials()
    assert len(listed) == size + 1
    start = time.process_time()
    study.tell(size, 1.0)
    seconds["tell"] = time.process_time() - start
    for policy in ("random", "analyst"):
        spec = _spec(policy, size + 2)
        seconds[f"propose ({policy})"] = _time(lambda spec=spec: propose(spec, listed))
    return Measured(seconds, {"bytes": float((place / "studies.db").stat().st_size)})


def _spec(policy: str, budget: int) -> Any:
    from autollmresearch.live.spec import Spec
    from llmconfig_gym.experiment import Fidelity, Metric

    space = _experiment("one", 2, 0).space
    return Spec("other", Fidelity({"N": 7e9}, 7e9), Metric("loss", "minimize"), space, budget, policy, 5)


def _fill(url: str, size: int) -> None:
    """A study of `size` finished trials and an open one. All but two are copies in SQL: to tell each takes hours."""
    from autollmresearch.live.propose import next_trial
    from autollmresearch.live.study import create_study

    study = create_study("made", url, _spec("random", size + 2))
    for _ in range(2):
        next_trial(study, another=True)
    study.tell(0, 2.0)
    database = sqlite3.connect(url.removeprefix("sqlite:///"))
    with database:
        database.execute("UPDATE trials SET number = ? WHERE number = 1", (size,))
        first = database.execute("SELECT min(trial_id) FROM trials").fetchone()[0]
        new = range(first + 2, first + 1 + size)
        for table, key in (("trials", ""), ("trial_params", "param_id"), ("trial_values", "trial_value_id")):
            _copy(database, table, key, first, new)
        _copy(database, "trial_user_attributes", "trial_user_attribute_id", first, new)
        rng = np.random.default_rng(0)
        for i, (lr, value) in enumerate(rng.uniform(1e-4, 1.0, (len(new), 2)).tolist()):
            id_ = new[i]
            config = json.dumps({"lr": lr, "decay": value, "dropout": 0.5, "kind": "b"})
            database.execute("UPDATE trials SET number = ? WHERE trial_id = ?", (i + 1, id_))
            database.execute("UPDATE trial_values SET value = ? WHERE trial_id = ?", (value, id_))
            told = (lr, id_)
            database.execute("UPDATE trial_params SET param_value = ? WHERE trial_id = ? AND param_name = 'lr'", told)
            told = (config, id_)
            key = "key = 'config'"
            database.execute(f"UPDATE trial_user_attributes SET value_json = ? WHERE trial_id = ? AND {key}", told)
    database.close()


def _copy(database: sqlite3.Connection, table: str, key: str, source: int, new: Sequence[int]) -> None:
    """The rows of a table that belong to trial `source`, once for each new trial."""
    cursor = database.execute(f"SELECT * FROM {table} WHERE trial_id = ?", (source,))
    columns = [c[0] for c in cursor.description]
    kept = [i for i, c in enumerate(columns) if c != key]
    names = ",".join(columns[i] for i in kept)
    rows = cursor.fetchall()
    place = columns.index("trial_id")
    values = ([id_ if i == place else row[i] for i in kept] for id_ in new for row in rows)
    database.executemany(f"INSERT INTO {table} ({names}) VALUES ({','.join('?' * len(kept))})", values)


def episodes(size: int, place: Path) -> Measured:
    """`size` episodes of two turns on the embedded suite that advance together, by the shipped agent."""
    from autollmresearch.benchmark.protocols import Protocol
    from autollmresearch.episode import run_episodes
    from autollmresearch.methods import make_policy
    from llmconfig_gym.catalog import load_suite

    suite = load_suite("micro")
    target = suite.split("medium")[0]
    problems = Protocol.parse("metered:10").problems(target, suite.cheaper(target.id), 2, list(range(size + 1)))
    seconds: dict[str, float] = {}
    for name, method in (("scored", "researcher-mini"), ("written", "researcher-mini:decode=sample")):
        policy = make_policy(method)
        run_episodes(policy, [target], problems[size:], [0])  # loads it; on a problem of its own: the rest are new
        play = partial(run_episodes, policy, [target] * size, problems[:size], list(range(size)))
        seconds[name] = _time(play, least=0.0)
    return Measured(seconds, {})


def workers(size: int, place: Path) -> Measured:
    """A benchmark of four methods on the embedded suite's medium experiments, in `size` processes."""
    from autollmresearch.benchmark.runner import run_benchmark
    from autollmresearch.benchmark.settings import BenchmarkSettings

    methods = ("pooled-gp", "pooled-quadratic", "analyst", "copy")
    settings = BenchmarkSettings(("micro",), ("metered:10",), methods, 3, 3, "medium")
    start = time.perf_counter()
    run_benchmark(settings, place, workers=size, progress=False)
    return Measured({"benchmark (wall clock)": time.perf_counter() - start}, {})


def _powers(low: int, high: int) -> tuple[int, ...]:
    return tuple(10**k for k in range(low, high + 1))


CURVES: Mapping[str, tuple[Callable[[int, Path], Measured], tuple[int, ...], tuple[int, ...]]] = {
    "configurations": (configurations, _powers(2, 6), _powers(2, 4)),
    "experiments": (experiments, _powers(1, 5), _powers(1, 2)),
    "trials": (trials, _powers(1, 5), _powers(1, 2)),
    "episodes": (episodes, (1, 4, 16, 64), (1,)),
    "workers": (workers, tuple(range(1, (os.cpu_count() or 1) + 1)), ()),
}
"""What is measured, at which sizes, and at which of them with `--quick`."""


def measure(name: str, size: int) -> dict[str, Any]:
    """One point, measured in this process."""
    with tempfile.TemporaryDirectory() as directory:
        measured = CURVES[name][0](size, Path(directory) / "made")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"curve": name, "size": size, "seconds": dict(measured.seconds), "MB": peak, **measured.extra}


def exponent(points: Sequence[tuple[int, float]]) -> float | None:
    """k of seconds ~ size^k (see above); None where fewer than two points take long enough."""
    least = max(SMALLEST, ABOVE * points[0][1])
    chosen = [(math.log(n), math.log(s)) for n, s in points if s >= least][-FITTED:]
    return float(np.polyfit(*zip(*chosen, strict=True), 1)[0]) if len(chosen) > 1 else None


def by_operation(points: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """Sizes and seconds of each operation of a curve."""
    found: dict[str, list[tuple[int, float]]] = {}
    for point in sorted(points, key=lambda p: p["size"]):
        for operation, seconds in point["seconds"].items():
            found.setdefault(operation, []).append((point["size"], seconds))
    return found


def table(points: Sequence[Mapping[str, Any]]) -> str:
    """Every curve's seconds by size with the fitted exponent, and the memory, as Markdown."""
    lines = []
    for name in CURVES:
        mine = sorted((p for p in points if p["curve"] == name), key=lambda p: p["size"])
        if not mine:
            continue
        lines += ["", f"| {name} | " + " | ".join(f"{p['size']:,}" for p in mine) + " | exponent |"]
        lines += ["|" + " --- |" * (len(mine) + 2)]
        for operation, values in by_operation(mine).items():
            k = exponent(values)
            told = " | ".join(f"{s:.3g}" for _, s in values)
            lines.append(f"| {operation}, s | {told} | {'-' if k is None else f'{k:.2f}'} |")
        lines.append("| memory, MB | " + " | ".join(f"{p['MB']:.0f}" for p in mine) + " | |")
    return "\n".join(lines[1:])


def plot(points: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """A picture of each curve: seconds on the left, memory on the right."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    for name in CURVES:
        mine = sorted((p for p in points if p["curve"] == name), key=lambda p: p["size"])
        if len(mine) < 2:
            continue
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
        for operation, values in by_operation(mine).items():
            k = exponent(values)
            label = operation if k is None else f"{operation}: size^{k:.2f}"
            left.plot(*zip(*values, strict=True), "o-", label=label)
        right.plot([p["size"] for p in mine], [p["MB"] for p in mine], "o-", color="black")
        for axes, what in ((left, "seconds"), (right, "memory of the process, MB")):
            axes.set(xscale="log" if name != "workers" else "linear", xlabel=name, ylabel=what)
            axes.grid(alpha=0.3)
        left.set_yscale("log" if name != "workers" else "linear")
        right.set_ylim(bottom=0)
        left.legend(fontsize=8)
        figure.savefig(folder / f"scaling-{name}.png", dpi=110)
        plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/scaling"), help="where points are kept (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="small sizes only: does it work?")
    parser.add_argument("--only", default=",".join(CURVES), help="curves (%(default)s)")
    parser.add_argument("--plots", type=Path, help="folder for scaling-*.png (--out)")
    parser.add_argument("--point", nargs=2, metavar=("CURVE", "SIZE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        print(json.dumps(measure(args.point[0], int(args.point[1]))))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "points.jsonl"
    points = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    wanted = [(size, name) for name in args.only.split(",") for size in CURVES[name][2 if args.quick else 1]]
    done = {(p["size"], p["curve"]) for p in points}
    for size, name in sorted(set(wanted) - done, key=lambda todo: (todo[1] == "workers", *todo)):  # the smallest first
        command = [sys.executable, __file__, "--point", name, str(size)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            sys.exit(f"{name} {size}: {ended.stderr}")
        points.append(json.loads(ended.stdout.splitlines()[-1]))
        with path.open("a") as file:
            file.write(json.dumps(points[-1]) + "\n")
        told = ", ".join(f"{k} {v:.3g} s" for k, v in points[-1]["seconds"].items())
        print(f"{name} {size:,}: {told}; {points[-1]['MB']:.0f} MB", flush=True)
    print(f"\n{table(points)}")
    plot(points, args.plots or args.out)


if __name__ == "__main__":
    main()
