"""How fast the gym answers, loads and imports, how much memory it takes, and the same lookups through Syne Tune.

    python benchmarks/gym_speed.py [--format table|json] [--repeats N]

Lookups are counted per second of CPU time of one core, so that other work on the machine does not count; loading and
importing are wall-clock seconds in a fresh process, with their CPU seconds beside them: where the two differ, the
machine was busy. Every figure is the median of the repeats. The table is the largest
experiment of `steplaw`; where that is not in the cache, a made-up grid of the same size stands in for it, and the
output says so. The peer is Syne Tune's `BlackboxTabular` (`pip install 'autollmresearch[peers]'`).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from llmconfig_gym.catalog import SOURCES, available, load_suite, suite_path
from llmconfig_gym.experiment import Experiment, Fidelity, Metric
from llmconfig_gym.parameter import Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Card, Suite

SINGLE = 20_000
"""Lookups per repeat, one by one."""

BATCH = 100_000
"""Lookups per batch."""


@dataclass(frozen=True)
class Measure:
    """One line of the report; `goal` is the least (rates) or the most (seconds, MB) that is good enough."""

    name: str
    value: float | None
    unit: str
    goal: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.goal is None or self.value is None:
            return None
        return self.value >= self.goal if self.unit == "1/s" else self.value <= self.goal


# The table.


def largest_experiment() -> tuple[Experiment, Path | None, str]:
    """The experiment that is asked, its suite on disk, and what it is."""
    if "steplaw" in available():
        suite = load_suite("steplaw")
        chosen = max(suite.summaries, key=lambda s: s.configurations)
        return (
            suite.experiment(chosen.id),
            suite_path("steplaw"),
            f"{chosen.id}, {chosen.configurations} configurations",
        )
    made = made_up("made-up/0")
    return (
        made,
        None,
        (
            f"MADE UP, {len(made.pool)} configurations: steplaw is not in the cache; "
            "for the real table run: llmconfig-gym download steplaw"
        ),
    )


def made_up(id_: str) -> Experiment:
    """A grid of the size of the largest of steplaw: 12 learning rates x 10 batch sizes, random values."""
    rng = np.random.default_rng(0)
    space = Space(
        (
            Grid("lr", tuple(float(f"{2.0 ** (-12 + k / 2):.3e}") for k in range(12)), log=True),
            Grid("batch_size", tuple(2**k for k in range(3, 13)), log=True),
        )
    )
    lr, batch = np.meshgrid(*[p.options for p in space.parameters if isinstance(p, Grid)], indexing="ij")
    return Experiment(
        id=id_,
        suite="made-up",
        task="pretraining",
        family="made-up",
        level="low",
        fidelity=Fidelity({"parameters": 1e8}, 1e18),
        metric=Metric("loss", "minimize"),
        pool=Pool(space, {"lr": lr.ravel(), "batch_size": batch.ravel().astype(np.int64)}),
        values=rng.uniform(2, 3, lr.size),
        details={"last_step_loss": rng.uniform(2, 3, lr.size), "steps": rng.uniform(1e3, 1e5, lr.size)},
    )


# Lookups in this process.


def rate(work: Callable[[], object], count: int, repeats: int) -> float:
    """Lookups per CPU second: median over repeats, after one that does not count."""
    work()
    rates = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        rates.append(count / (time.process_time() - start))
    return median(rates)


def lookups(experiment: Experiment, repeats: int) -> list[Measure]:
    """Single and batched lookups of measured configurations, and of numbers between the levels."""
    rows = np.random.default_rng(1).integers(len(experiment.pool), size=BATCH)
    measured = [experiment.pool.config(row) for row in rows[:SINGLE].tolist()]
    between = [{k: v * 1.1 for k, v in c.items()} for c in measured[: SINGLE // 10]]  # type: ignore[operator]
    columns = {n: c[rows] for n, c in experiment.pool.columns.items()}
    off = {n: c * 1.1 for n, c in columns.items()}

    def ask(configs: Sequence[Mapping[str, Any]]) -> Callable[[], object]:
        tell = experiment.tell

        def work() -> None:
            for config in configs:
                tell(config)

        return work

    return [
        Measure("tell, one by one", rate(ask(measured), SINGLE, repeats), "1/s", 200_000),
        Measure("tell, one by one, snapped", rate(ask(between), len(between), repeats), "1/s"),
        Measure("tell_many", rate(lambda: experiment.tell_many(columns), BATCH, repeats), "1/s", 5_000_000),
        Measure("tell_many, snapped", rate(lambda: experiment.tell_many(off), BATCH, repeats), "1/s"),
    ]


def peer_lookups(experiment: Experiment, ours: Mapping[str, float], repeats: int) -> list[Measure]:
    """The same single lookups through Syne Tune, and how many times faster ours are. It has no batched lookup."""
    name = "Syne Tune BlackboxTabular, one by one"
    try:
        answer = peer(experiment)
    except ImportError as problem:
        hint = f"not measured ({problem}); pip install 'autollmresearch[peers]'"
        return [Measure(name, None, "1/s", note=hint)]
    rows = np.random.default_rng(1).integers(len(experiment.pool), size=SINGLE // 20).tolist()
    configs = [experiment.pool.config(row) for row in rows]
    for row, config in zip(rows, configs, strict=True):
        if answer(config) != experiment.values[row]:
            raise SystemExit(f"gym_speed: Syne Tune gives {answer(config)} for {config}, we {experiment.values[row]}")

    def work() -> None:
        for config in configs:
            answer(config)

    theirs = rate(work, len(configs), repeats)
    return [
        Measure(name, theirs, "1/s"),
        *(Measure(f"{k} / Syne Tune one by one", ours[k] / theirs, "x") for k in ("tell, one by one", "tell_many")),
    ]


def peer(experiment: Experiment) -> Callable[[Mapping[str, Any]], float]:
    """The experiment as a tabular blackbox of Syne Tune: a function from a configuration to its value."""
    warnings.simplefilter("ignore")  # theirs, about optional parts
    import pandas as pd
    from syne_tune.blackbox_repository.blackbox_tabular import BlackboxTabular
    from syne_tune.config_space import choice, randint

    columns = {n: c.tolist() for n, c in experiment.pool.columns.items()}
    objectives: NDArray[np.float64] = np.stack([experiment.values, *experiment.details.values()], axis=1)
    box = BlackboxTabular(
        hyperparameters=pd.DataFrame(columns),
        configuration_space={n: choice(sorted(set(c))) for n, c in columns.items()},
        fidelity_space={"epoch": randint(1, 2)},
        objectives_evaluations=objectives[:, None, None, :],
        fidelity_values=np.array([1]),
    )
    return lambda config: float(box.objective_function(config, fidelity={"epoch": 1}, seed=0)["y0"])


# Fresh processes. Each prints one JSON list of numbers; times as pairs of wall clock and CPU.

CLOCK = """
import time
def now(): return time.perf_counter(), time.process_time()
def since(then, end): return [b - a for a, b in zip(then, end)]
start = now()
"""

IMPORT = (
    CLOCK
    + """
import llmconfig_gym
plain = now()
for name in llmconfig_gym.__all__: getattr(llmconfig_gym, name)
print(since(start, plain) + since(start, now()))
"""
)

LOAD = (
    CLOCK
    + """
import sys, numpy, pyarrow.parquet
from pathlib import Path
from llmconfig_gym.suite import Suite
imported = now()
suite = Suite.load(Path(sys.argv[1]))
listed = now()
for i in suite.ids: suite.experiment(i)
end = now()
print(since(imported, listed) + since(imported, end) + since(start, end))
"""
)

MEMORY = """
import sys
from pathlib import Path
def rss():
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(l.split()[1]) for l in status.read_text().splitlines() if l.startswith("VmRSS")) / 1024
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << (20 if sys.platform == "darwin" else 10))
bare = rss()
import numpy, pyarrow.parquet, scipy.spatial
from llmconfig_gym import load_suite
imported = rss()
kept = []
for name in sys.argv[1:]:
    suite = load_suite(name)
    for e in map(suite.experiment, suite.ids):
        e.tell(e.pool.config(0)); e.tell_many({n: c[:1] for n, c in e.pool.columns.items()})
    kept.append(suite)
print([rss() - imported, rss() - bare])
"""


def fresh(code: str, arguments: Sequence[str], repeats: int) -> list[float]:
    """Medians of what a fresh Python process prints, after one run that fills the disk's caches."""
    runs = []
    for _ in range(repeats + 1):
        run = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
        runs.append(json.loads(run.stdout))
    return [median(column) for column in zip(*runs[1:], strict=True)]


def processes(suite: Path | None, repeats: int) -> list[Measure]:
    """Import, loading and memory."""
    imports = fresh(IMPORT, [], repeats)
    with tempfile.TemporaryDirectory() as directory:
        if suite is None:
            suite = Path(directory) / "made-up"
            Suite.of("made-up", Card("made up"), [made_up(f"made-up/{i}") for i in range(17)]).save(suite)
        loads = fresh(LOAD, [str(suite)], repeats)

    def timed(name: str, times: Sequence[float], goal: float | None = None) -> Measure:
        return Measure(name, times[0], "s", goal, f"{times[1]:.3f} s of CPU")

    measures = [
        timed("import llmconfig_gym", imports[:2], 0.3),
        timed("import llmconfig_gym and all its names", imports[2:]),
        timed("load the index of a cached suite, after imports", loads[:2]),
        timed("load a cached suite whole, after imports", loads[2:4], 0.15),
        timed("load a cached suite whole, with imports", loads[4:]),
    ]
    names = [n for n in SOURCES if n in available()]
    note = f"{', '.join(names)}; " if len(names) < len(SOURCES) else "all public suites; "
    if not names:
        return [*measures, Measure("memory", None, "MB", note="no public suite is in the cache")]
    tables, total = fresh(MEMORY, names, min(repeats, 3))
    return [
        *measures,
        Measure("memory", tables, "MB", 300, note + "tables and indexes"),
        Measure("memory", total, "MB", note=note + "and the imported libraries"),
    ]


# The report.


def shown(m: Measure) -> tuple[str, str, str, str, str]:
    """A measure as a row of the table."""

    def text(value: float | None) -> str:
        if value is None:
            return "-"
        return f"{value:,.0f}" if m.unit == "1/s" or value >= 100 else f"{value:.3g}"

    met = {True: "yes", False: "NO", None: ""}[m.met]
    return m.name, f"{text(m.value)} {m.unit}", f"{text(m.goal)} {m.unit}" if m.goal is not None else "", met, m.note


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the gym and, beside it, Syne Tune's tabular blackbox.")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="output format (default: table)")
    parser.add_argument("--repeats", type=int, default=7, help="repeats of which the median counts (default: 7)")
    args = parser.parse_args()
    if args.repeats < 1:
        parser.error(f"--repeats must be at least 1, found {args.repeats}")
    experiment, suite, what = largest_experiment()
    measures = lookups(experiment, args.repeats)
    rates = {m.name: m.value for m in measures if m.value is not None}
    measures += peer_lookups(experiment, rates, args.repeats)
    measures += processes(suite, args.repeats)
    machine = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
    if args.format == "json":
        rows = [{**asdict(m), "met": m.met} for m in measures]
        print(json.dumps({"table": what, "repeats": args.repeats, **machine, "measures": rows}, indent=1))
        return
    print(f"table: {what}")
    print(", ".join(f"{k} {v}" for k, v in machine.items()) + f"; median of {args.repeats}; rates per CPU second\n")
    headers = ("measure", "result", "goal", "met", "note")
    print(tabulate(map(shown, measures), headers, tablefmt="simple", disable_numparse=True))


if __name__ == "__main__":
    main()
