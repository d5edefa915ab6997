"""A live study as a table (CSV, JSON lines, Parquet), or as a suite for the gym.

A table has one row per trial, cheap phases included, with the columns that `suggest --from` and `llmconfig-gym import`
understand: what is scaled, the parameters, the metric, its details, and the state of the run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autollmresearch.errors import StudyProblem
from autollmresearch.evidence.records import CheapRuns
from autollmresearch.live.runner import RUN
from autollmresearch.live.study import LiveStudy, load_study
from autollmresearch.live.trial import LiveTrial
from llmconfig_gym.experiment import Experiment, Fidelity, Level
from llmconfig_gym.files import whole_file
from llmconfig_gym.importing.levels import experiment_ids, split_levels
from llmconfig_gym.pool import Pool
from llmconfig_gym.suite import Card, Suite

TABLES = (".csv", ".jsonl", ".parquet")
_STATES = {"complete": "finished", "open": "running", "failed": "diverged"}


def phases_of(study: LiveStudy) -> list[LiveStudy]:
    """The cheap phases of a study that `run` runs, as far as they have begun; none of any other."""
    run = study.recall(RUN) or {}
    found = []
    for name in run.get("phases", []):
        try:
            found.append(load_study(name, study.url))
        except StudyProblem:  # its turn has not come
            continue
    return found


def rows_of(study: LiveStudy) -> list[dict[str, Any]]:
    """One flat row per trial, cheap phases first."""
    rows = []
    for part in (*phases_of(study), study):
        for t in part.trials():
            row: dict[str, Any] = {"study": part.name, "trial": t.number, "state": _STATES[t.status]}
            row |= part.spec.fidelity.values
            for name, value in t.config.items():
                row |= {f"{name}.{k}": v for k, v in value.items()} if isinstance(value, Mapping) else {name: value}
            row[part.spec.metric.name] = t.value
            row |= {k: v for k, v in t.details.items() if k not in row}
            row |= {"expected": t.mean, "expected_sd": t.sd, "failure": t.failure, "reasoning": t.reasoning}
            rows.append(row)
    return rows


def export(study: LiveStudy, out: Path) -> int:
    """Write a study to `out`: a table by its ending, or the directory of a suite; the number of trials written.

    Raises:
        StudyProblem: the ending is unknown, or there is nothing to write.
        SuiteFormatError: the directory holds something.
    """
    if out.suffix and out.suffix not in TABLES:
        raise StudyProblem(f"{out} ends in {out.suffix!r}; expected {', '.join(TABLES)}, or a directory for a suite")
    rows = rows_of(study)
    if not rows:
        raise StudyProblem(f"{study.name} has no trial yet, so there is nothing to export")
    if not out.suffix:
        return _export_suite(study, out)
    import pandas as pd

    frame = pd.DataFrame(rows)
    with whole_file(out) as temporary:
        if out.suffix == ".csv":
            frame.to_csv(temporary, index=False)
        elif out.suffix == ".parquet":
            frame.to_parquet(temporary, index=False)
        else:
            temporary.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return len(rows)


def _export_suite(study: LiveStudy, out: Path) -> int:
    """A suite of the cheaper runs and the target; open trials are left out."""
    trials = [t for t in study.trials() if t.status != "open"]
    if not any(t.value is not None for t in trials):
        raise StudyProblem(f"no trial of {study.name} has a value, so it makes no suite yet; export a table instead")
    spec, name = study.spec, out.name
    known = [r for r in spec.cheaper if r.fidelity.values != spec.fidelity.values]
    ids = experiment_ids(name, [r.fidelity.values for r in known] + [spec.fidelity.values])
    levels = split_levels(len(ids))
    experiments = [
        _cheap(study, id_, level, runs) for id_, level, runs in zip(ids[:-1], levels[:-1], known, strict=True)
    ]
    experiments.append(_experiment(study, ids[-1], levels[-1], spec.fidelity, *_columns(study, trials)))
    card = Card(
        title=f"the live study {study.name}",
        maker="autollmresearch.live.export/1",
        notes=(f"{len(trials)} trials proposed by {spec.policy}, and the cheaper runs that they were proposed from.",),
    )
    Suite.of(name, card, experiments).save(out)
    return len(trials)


def _columns(study: LiveStudy, trials: Sequence[LiveTrial]) -> tuple[Pool, Any, dict[str, Any]]:
    space = study.spec.space
    pool = Pool.from_configs(space, [space.check(t.config) for t in trials])
    values = np.array([np.nan if t.value is None else t.value for t in trials])
    details = {d: np.array([t.details.get(d, np.nan) for t in trials]) for d in study.spec.metric.details}
    return pool, values, details


def _cheap(study: LiveStudy, id_: str, level: Level, runs: CheapRuns) -> Experiment:
    details = {d: runs.details.get(d, np.full(len(runs.losses), np.nan)) for d in study.spec.metric.details}
    return _experiment(study, id_, level, runs.fidelity, runs.pool, study.spec.metric.sign * runs.losses, details)


def _experiment(
    study: LiveStudy,
    id_: str,
    level: Level,
    fidelity: Fidelity,
    pool: Pool,
    values: Any,
    details: Mapping[str, Any],
) -> Experiment:
    spec = study.spec
    suite = id_.partition("/")[0]
    return Experiment(id_, suite, spec.task, suite, level, fidelity, spec.metric, pool, values, details, clip=spec.clip)
