"""Runner: every cell of a benchmark, in parallel, resumable, with budgets enforced outside the methods.

A cell is one method on one experiment under one protocol, with all its seeds. Each finished cell is one file, which
this process writes whole wherever the cell was run; a run that was interrupted starts again with the cells that are
missing. The rows of all cells together are `results.parquet`. Numbers do not depend on the number of workers: every
cell seeds itself and computes on one thread.

Under `active:B` a row is no trial but a recommendation: row t of T is what the method recommends when t / T of its
budget is spent, as it does on the target; `seconds`, tokens and `cost` are those of that part of the episode.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autollmresearch.active.episode import run_active
from autollmresearch.baselines.oracle import OraclePolicy
from autollmresearch.benchmark.metrics import NOT_APPLICABLE, episode_metrics, recommendation_metrics
from autollmresearch.benchmark.protocols import Active, parse_protocol
from autollmresearch.benchmark.record import EPISODES, TARGETS, episode_line, targets_text
from autollmresearch.benchmark.settings import BenchmarkSettings
from autollmresearch.episode import Trajectory, run_episodes
from autollmresearch.errors import NotApplicable, ResultsMismatch
from autollmresearch.methods import identity, make_active, make_policy
from llmconfig_gym.errors import NodesDiffer
from llmconfig_gym.files import whole_file, write_text
from llmconfig_gym.parallel import Cluster, Workers, run_jobs
from llmconfig_gym.parameter import shown
from llmconfig_gym.suite import Suite

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("method", "suite", "task", "experiment", "protocol", "seed", "trial", "config", "outcome", "value", "best_value"),
    *("simple_regret", "simple_regret_unclipped", "median_regret", "excess_percent", "cumulative_regret"),
    *("within_noise", "seconds", "read_tokens", "written_tokens", "cost"),
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

    @property
    def spoken(self) -> str:
        """The name of the file that holds what its method said."""
        return self.filename.removesuffix("parquet") + "jsonl"


def run_benchmark(
    settings: BenchmarkSettings, out: Path, *, workers: Workers = 1, progress: bool = True
) -> pd.DataFrame:
    """Run what is missing in `out` and return all rows, in a fixed order.

    Args:
        out: gets `settings.json`, `cells/` while running, and at the end `results.parquet` and what record.py says.
        workers: processes, or a cluster.

    Raises:
        ResultsMismatch: `out` holds results of other settings, tables or models.
        EndpointProblem: a language model's server fails for good; finished cells are kept.
        InvalidSettings, InvalidProtocol, UnknownMethod, CheckpointProblem: and the gym's errors for suites that cannot
            be loaded.
        WorkersLost, NodesDiffer, MissingExtra: as `llmconfig_gym.parallel.run_jobs`.
    """
    import pandas as pd

    settings, suites = settings.resolve()
    manifest = settings.manifest(suites)
    _claim(out, manifest)
    results = out / "results.parquet"
    if results.is_file():
        shutil.rmtree(out / "cells", ignore_errors=True)  # left by a run that was killed at its very end
        return read_results(out)
    by_name = {s.name: s for s in suites}
    cells = list(_cells(settings, suites))
    (out / "cells").mkdir(exist_ok=True)
    missing = [c for c in cells if _read_cell(out, c, settings) is None]
    models = manifest.get("models", {}) if isinstance(workers, Cluster) else None
    _run(missing, settings, by_name, out, models, workers, progress, done=len(cells) - len(missing))
    frame = pd.concat([pd.read_parquet(out / "cells" / c.filename) for c in cells], ignore_index=True)
    said = [out / "cells" / c.spoken for c in cells]
    write_text(out / EPISODES, "".join(p.read_text(encoding="utf-8") for p in said if p.is_file()))
    write_text(out / TARGETS, targets_text(settings, suites))
    with whole_file(results) as temporary:
        frame.to_parquet(temporary, index=False)
    shutil.rmtree(out / "cells")
    return frame


def holds_results(place: Path) -> bool:
    """Whether a benchmark was run here, to its end or not."""
    return (place / "results.parquet").is_file() or (place / "cells").is_dir()


def read_results(out: Path) -> pd.DataFrame:
    """The rows of a finished benchmark.

    Raises:
        ResultsMismatch: there are none in `out`, or they are damaged.
    """
    path = out / "results.parquet"
    if not path.is_file():
        raise ResultsMismatch(f"{out} holds no results.parquet; run: autollmresearch benchmark --out {out}")
    frame = _read(path)
    if frame is None or frame.empty:
        raise ResultsMismatch(f"{path} is damaged; remove {out} and run the benchmark again")
    return frame


def read_manifest(out: Path) -> dict[str, Any]:
    """The resolved settings of the benchmark in `out`, with digests (see `BenchmarkSettings.manifest`).

    Raises:
        ResultsMismatch: there are none, or they are damaged.
    """
    path = out / "settings.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        BenchmarkSettings(**manifest["settings"])
        if not all(isinstance(manifest[key], str) for key in ("version", "digest")):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ResultsMismatch(f"{path} is missing or damaged; choose another --out or remove {out}") from None
    return manifest


def _read_cell(out: Path, cell: Cell, settings: BenchmarkSettings) -> pd.DataFrame | None:
    """The rows of a finished cell; None if it has to be run (again): no file, or not one with all its rows."""
    frame = _read(out / "cells" / cell.filename)
    return None if frame is None or len(frame) != settings.seeds * settings.budget else frame


def _read(path: Path) -> pd.DataFrame | None:
    import pandas as pd
    import pyarrow

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError, pyarrow.ArrowException):
        return None
    return frame if tuple(frame.columns) == COLUMNS else None


def _claim(out: Path, manifest: dict[str, Any]) -> None:
    """Make `out` this benchmark's, or make sure that it already is. One that failed before any result gives way."""
    path = out / "settings.json"
    if path.is_file() and read_manifest(out)["digest"] == manifest["digest"]:
        return
    if path.is_file():
        if (out / "results.parquet").exists() or any((out / "cells").glob("[!.]*.parquet")):
            raise ResultsMismatch(
                f"{out} holds results of other settings, tables, models or another version (see {path}); "
                "choose another --out, or remove it to start over"
            )
    elif out.exists() and any(not p.name.startswith(f".{path.name}.") for p in out.iterdir()):  # those: killed here
        raise ResultsMismatch(f"{out} is not empty and holds no benchmark; choose another --out")
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
    models: Mapping[str, object] | None,
    workers: Workers,
    progress: bool,
    done: int,
) -> None:
    from tqdm import tqdm

    finished = run_jobs(_play, (settings, suites, models), cells, workers)
    with tqdm(total=done + len(cells), initial=done, unit="cell", desc="benchmark", disable=not progress) as bar:
        for cell, frame, said in finished:
            if said:
                write_text(out / "cells" / cell.spoken, said)  # first: a cell with rows is a finished one
            with whole_file(out / "cells" / cell.filename) as temporary:
                frame.to_parquet(temporary, index=False)
            bar.set_postfix_str(f"{cell.method} on {cell.experiment}", refresh=False)
            bar.update()


def _play(
    shared: tuple[BenchmarkSettings, dict[str, Suite], Mapping[str, object] | None], cell: Cell
) -> tuple[Cell, pd.DataFrame, str]:
    """Runs in a worker, which on a cluster must have the same model under the same name."""
    settings, suites, models = shared
    if models is not None and _identity(cell.method) != models.get(cell.method, {}):
        raise NodesDiffer(
            f"node {platform.node()} has another {cell.method}; put the same files there at the same path"
        )
    return cell, *run_cell(cell, settings, suites[cell.suite])


_identity = cache(identity)


def run_cell(cell: Cell, settings: BenchmarkSettings, suite: Suite) -> tuple[pd.DataFrame, str]:
    """The rows of one cell, and what its method said; where it cannot serve the experiment, why not."""
    import scipy.linalg  # noqa: F401  # it brings a BLAS of its own, which must be loaded to be limited
    from threadpoolctl import threadpool_limits

    target = suite.experiment(cell.experiment)
    seeds = list(range(settings.seeds))
    protocol = parse_protocol(cell.protocol)
    cheaper = suite.cheaper(target.id)
    # Draws of its own for each experiment: pools are often alike, and intervals take experiments to be independent.
    own = [zlib.crc32(f"{target.id} {seed}".encode()) for seed in seeds]
    try:
        with threadpool_limits(1):
            if isinstance(protocol, Active):
                method, problem = make_active(cell.method), protocol.problem(target, cheaper)
                played = run_active(method, [*cheaper, target], problem, own, settings.budget)
                turns = [episode.recommended for episode in played]
                measure = recommendation_metrics
            else:
                policy = make_policy(cell.method)
                if isinstance(policy, OraclePolicy):
                    policy = OraclePolicy(target)
                problems = protocol.problems(target, cheaper, settings.budget, seeds)
                episodes = run_episodes(policy, [target] * len(seeds), problems, own)
                turns = [episode.turns for episode in episodes]
                measure = episode_metrics
    except NotApplicable as reason:
        return _frame(_missing(cell, target.task, settings, str(reason))), ""
    said = episode_line(cell.method, cell.protocol, Trajectory(target.id, settings.budget, seeds[0], tuple(turns[0])))
    rows = []
    for seed, some in zip(seeds, turns, strict=True):
        metrics = measure(target, [turn.outcome for turn in some])
        for trial, (turn, row) in enumerate(zip(some, metrics, strict=True), start=1):
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
                    "config": _text(config),
                    "outcome": turn.outcome.kind,
                    **row,
                    "seconds": turn.seconds,
                    "read_tokens": turn.proposal.usage.read,
                    "written_tokens": turn.proposal.usage.wrote,
                    "cost": turn.proposal.usage.cost,
                }
            )
    return _frame(rows), said


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({"value": "float64", "best_value": "float64", "within_noise": "boolean"})


def _missing(cell: Cell, task: str, settings: BenchmarkSettings, reason: str) -> list[dict[str, Any]]:
    """The rows of a method that cannot serve an experiment: the reason in place of a configuration, and no metrics."""
    own = {"method": cell.method, "suite": cell.suite, "task": task, "experiment": cell.experiment}
    own |= {"protocol": cell.protocol, "config": _text(reason), "outcome": NOT_APPLICABLE}
    used = dict.fromkeys(("seconds", "read_tokens", "written_tokens", "cost"), 0)
    none = dict.fromkeys(COLUMNS, float("nan")) | {"within_noise": None} | used
    return [
        {**none, **own, "seed": seed, "trial": trial}
        for seed in range(settings.seeds)
        for trial in range(1, settings.budget + 1)
    ]


def _text(config: object) -> str:
    """A configuration as JSON, a text as it is; whatever else a policy proposed in words, always legal UTF-8."""
    try:
        text = config if isinstance(config, str) else json.dumps(config, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        text = shown(config)
    return text.encode("utf-8", "replace").decode("utf-8")
