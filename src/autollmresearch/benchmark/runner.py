"""Runner: every cell of a benchmark, in parallel, resumable, with budgets enforced outside the methods.

A cell is one method on one experiment under one protocol, with all its seeds. Each finished cell is one file,
written whole; a run that was interrupted starts again with the cells that are missing. The rows of all cells
together are `results.parquet`. Numbers do not depend on the number of workers: every cell seeds itself and
computes on one thread.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autollmresearch.benchmark.metrics import episode_metrics
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.benchmark.settings import BenchmarkSettings
from autollmresearch.episode import run_episodes
from autollmresearch.errors import ResultsMismatch
from autollmresearch.methods import make_policy
from llmconfig_gym.files import whole_file, write_text
from llmconfig_gym.suite import Suite

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("method", "suite", "task", "experiment", "protocol", "seed", "trial", "config", "outcome", "value", "best_value"),
    *("simple_regret", "simple_regret_unclipped", "median_regret", "excess_percent", "cumulative_regret"),
    *("within_noise", "seconds"),
)


@dataclass(frozen=True)
class Cell:
    """One method on one experiment under one protocol."""

    method: str
    suite: str
    experiment: str
    protocol: str

    @property
    def filename(self) -> str:
        """A file name that no other cell has."""
        text = json.dumps([self.method, self.experiment, self.protocol])
        return hashlib.sha256(text.encode()).hexdigest()[:24] + ".parquet"


def run_benchmark(settings: BenchmarkSettings, out: Path, *, workers: int = 1, progress: bool = True) -> pd.DataFrame:
    """Run what is missing in `out` and return all rows, in a fixed order.

    Args:
        out: gets `settings.json`, `cells/` while running, and `results.parquet` at the end.
        workers: processes.

    Raises:
        ResultsMismatch: `out` holds results of other settings or tables.
        InvalidSettings, InvalidProtocol, UnknownMethod: and the gym's errors for suites that cannot be loaded.
    """
    import pandas as pd

    settings, suites = settings.resolve()
    _claim(out, settings.manifest(suites))
    results = out / "results.parquet"
    if results.is_file():
        return pd.read_parquet(results)
    by_name = {s.name: s for s in suites}
    cells = list(_cells(settings, suites))
    (out / "cells").mkdir(exist_ok=True)
    missing = [c for c in cells if not (out / "cells" / c.filename).is_file()]
    _run(missing, settings, by_name, out, workers, progress, done=len(cells) - len(missing))
    frame = pd.concat([pd.read_parquet(out / "cells" / c.filename) for c in cells], ignore_index=True)
    with whole_file(results) as temporary:
        frame.to_parquet(temporary, index=False)
    shutil.rmtree(out / "cells")
    return frame


def _claim(out: Path, manifest: dict[str, Any]) -> None:
    """Make `out` this benchmark's, or make sure that it already is."""
    path = out / "settings.json"
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))["digest"]
        except (ValueError, KeyError, TypeError):
            raise ResultsMismatch(f"{path} is damaged; choose another --out or remove {out}") from None
        if found != manifest["digest"]:
            raise ResultsMismatch(
                f"{out} holds results of other settings, tables or another version (see {path}); "
                "choose another --out, or remove it to start over"
            )
    elif out.exists() and any(out.iterdir()):
        raise ResultsMismatch(f"{out} is not empty and holds no benchmark; choose another --out")
    else:
        write_text(path, json.dumps(manifest, indent=1) + "\n")


def _cells(settings: BenchmarkSettings, suites: tuple[Suite, ...]) -> Iterator[Cell]:
    for suite in suites:
        for target in suite.split(settings.level):
            if suite.cheaper(target.id):
                for protocol in settings.protocols:
                    for method in settings.methods:
                        yield Cell(method, suite.name, target.id, protocol)


def _run(
    cells: list[Cell],
    settings: BenchmarkSettings,
    suites: dict[str, Suite],
    out: Path,
    workers: int,
    progress: bool,
    done: int,
) -> None:
    from joblib import Parallel, delayed
    from tqdm import tqdm

    pool = Parallel(n_jobs=workers, return_as="generator_unordered") if workers > 1 else None
    jobs = (delayed(run_cell)(c, settings, suites[c.suite], out / "cells" / c.filename) for c in cells)
    finished = pool(jobs) if pool else (f(*args, **kwargs) for f, args, kwargs in jobs)
    with tqdm(total=done + len(cells), initial=done, unit="cell", desc="benchmark", disable=not progress) as bar:
        for cell in finished:
            bar.set_postfix_str(f"{cell.method} on {cell.experiment}", refresh=False)
            bar.update()


def run_cell(cell: Cell, settings: BenchmarkSettings, suite: Suite, path: Path) -> Cell:
    """Run one cell and write its rows to `path`."""
    import pandas as pd
    from threadpoolctl import threadpool_limits

    target = suite.experiment(cell.experiment)
    seeds = list(range(settings.seeds))
    protocol = Protocol.parse(cell.protocol)
    problems = protocol.problems(target, suite.cheaper(target.id), settings.budget, seeds)
    with threadpool_limits(1):
        episodes = run_episodes(make_policy(cell.method), target, problems, seeds)
    rows = []
    for seed, turns in zip(seeds, episodes, strict=True):
        metrics = episode_metrics(target, [t.outcome for t in turns])
        for trial, (turn, row) in enumerate(zip(turns, metrics, strict=True), start=1):
            config = turn.outcome.config if turn.outcome.config is not None else turn.proposal.config
            rows.append(
                {
                    "method": cell.method,
                    "suite": cell.suite,
                    "task": target.task,
                    "experiment": target.id,
                    "protocol": cell.protocol,
                    "seed": seed,
                    "trial": trial,
                    "config": config if isinstance(config, str) else json.dumps(config),
                    "outcome": turn.outcome.kind,
                    **row,
                    "seconds": turn.seconds,
                }
            )
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame = frame.astype({"value": "float64", "best_value": "float64", "within_noise": "boolean"})
    with whole_file(path) as temporary:
        frame.to_parquet(temporary, index=False)
    return cell
