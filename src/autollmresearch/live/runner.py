"""`autollmresearch run`: the user's command, once per trial, until the budget is spent; resumable at any moment.

Cheap phases come first, each a study of its own in the same storage; what they gave becomes evidence for the
expensive trials. A trial is opened in the storage before its command starts, and told after it has ended, so that a
`kill -9` anywhere leaves one of three traces, and a restart deals with each: a command that still runs is waited for;
one that has ended is recorded; one that was cut off is started again as the same trial, `retries` times at most. A
trial stopped by Ctrl-C is started again without counting. No trial uses its budget twice.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from autollmresearch.errors import StudyProblem
from autollmresearch.evidence.records import CheapRuns
from autollmresearch.live.attempts import Progress, finish, trial_directory
from autollmresearch.live.candidates import candidates
from autollmresearch.live.fidelity import fidelity_of
from autollmresearch.live.propose import propose
from autollmresearch.live.runs_file import read_evidence
from autollmresearch.live.settings import MAY_CHANGE, SETTINGS, Phase, RunSettings, read_saved
from autollmresearch.live.spec import Spec, by_cost
from autollmresearch.live.study import LiveStudy, create_study, find_study
from autollmresearch.policies.named import fallback
from autollmresearch.policy import Proposal
from llmconfig_gym.experiment import Fidelity
from llmconfig_gym.files import only_one, write_text
from llmconfig_gym.importing.source import Source
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Config

RUN = "autollmresearch:run"
"""The study's user attribute that says where `run` runs it."""


@dataclass(frozen=True)
class Stage:
    """One fidelity's trials: a cheap phase, or the target's."""

    study: LiveStudy
    label: str
    design: tuple[Config, ...] | None


def run_study(settings: RunSettings, progress: Progress) -> LiveStudy:
    """Run what is left of a study, and return it.

    Args:
        progress: is told what happens.

    Raises:
        StudyProblem: another process runs it, its settings have changed, or the command cannot be started.
        StorageProblem: the storage cannot be opened or written.
    """
    directory = Path(settings.directory)
    directory.mkdir(parents=True, exist_ok=True)
    busy = StudyProblem(f"another process is running {settings.name} in {directory}; wait for it, or end it")
    with only_one(directory, busy), _interruptible():
        _claim(settings, directory, progress)
        study = _target_study(settings, progress)
        cheap: list[CheapRuns] = []
        for index, phase in enumerate(settings.phases, 1):
            stage = _cheap_stage(settings, index, phase, by_cost(study.evidence, cheap))
            _run_stage(settings, stage, progress)
            cheap.append(_runs_of(settings, stage))
        study.learn(tuple(cheap))
        _run_stage(settings, Stage(study, "target", None), progress)
    return study


def _claim(settings: RunSettings, directory: Path, progress: Progress) -> None:
    """Save the resolved settings, or make sure that they are those that are saved."""
    now = settings.to_dict()
    if (directory / SETTINGS).is_file():
        before, after = _placeless(read_saved(directory)), _placeless(now)
        changed = [k for k in after if before.get(k) != after[k]]
        if wrong := [k for k in changed if k not in MAY_CHANGE]:
            found = f"{wrong[0]} was {_short(before.get(wrong[0]))} and is {_short(after[wrong[0]])}"
            raise StudyProblem(
                f"{directory} holds {settings.name} with other settings: {found}; put them back, or choose another "
                f"name (only {', '.join(MAY_CHANGE)} may change)"
            )
        for key in changed:
            progress.line(f"note: {key} has changed since the last run of this study")
    write_text(directory / SETTINGS, json.dumps(now, indent=1) + "\n")


def _placeless(saved: dict[str, Any]) -> dict[str, Any]:
    """Settings that stay the same when their directories are moved together."""
    text = json.dumps(saved)
    for key in ("directory", "here"):
        if place := saved.get(key):
            text = text.replace(json.dumps(place)[1:-1], f"<{key}>")
    moved = json.loads(text)
    assert isinstance(moved, dict)
    return moved


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _target_study(settings: RunSettings, progress: Progress) -> LiveStudy:
    """The expensive study, made on the first run with what the files of evidence say."""
    study = find_study(settings.name, settings.storage)
    if study is None:
        for note in fallback() if settings.policy == "analyst" else ():
            progress.line(f"note: {note}")
        study = create_study(settings.name, settings.storage, _target_spec(settings, progress))
    where = study.recall(RUN)
    if where is None and study.trials():
        raise StudyProblem(f"{settings.name} in {study.place} is told by hand; choose another name")
    if where is not None and where["directory"] != settings.directory and Path(where["directory"]).exists():
        raise StudyProblem(
            f"{settings.name} in {study.place} is run in {where['directory']}, not in {settings.directory}; "
            "choose another name or storage"
        )
    if where is None or where["directory"] != settings.directory:
        phases = [_phase_name(settings, p) for p in settings.phases]
        study.remember(RUN, {"directory": settings.directory, "phases": phases})
    if study.spec.budget != settings.budget:
        study.change_budget(settings.budget)
    return study


def _target_spec(settings: RunSettings, progress: Progress) -> Spec:
    cheaper: list[CheapRuns] = []
    clip, task = None, settings.task
    for file in settings.evidence:
        metric, direction = settings.metric.name, settings.metric.direction
        source = Source.of(file)
        found = read_evidence(source, settings.target.values, settings.space, metric=metric, direction=direction)
        for note in found.notes:
            progress.line(f"note: {note}")
        cheaper += [_at_target_scale(r, settings.target) for r in found.cheaper]
        clip, task = found.clip or clip, found.task if task == "other" else task
    return Spec(
        task=task,
        fidelity=settings.target,
        metric=settings.metric,
        space=settings.space,
        budget=settings.budget,
        policy=settings.policy,
        seed=settings.seed,
        cheaper=by_cost(cheaper),
        clip=clip,
        source=", ".join(Source.of(f).name for f in settings.evidence),
    )


def _at_target_scale(runs: CheapRuns, target: Fidelity) -> CheapRuns:
    """Runs of a file under the names and with the costs of this study's fidelities."""
    values = {k: v for k, v in runs.fidelity.values.items() if k in target.values}
    return replace(runs, fidelity=fidelity_of(values))


def _phase_name(settings: RunSettings, phase: Phase) -> str:
    return f"{settings.name} at " + ", ".join(f"{k} {v}" for k, v in phase.fidelity.values.items())


def _cheap_stage(settings: RunSettings, index: int, phase: Phase, known: tuple[CheapRuns, ...]) -> Stage:
    cheaper = tuple(r for r in known if r.fidelity.cost <= phase.fidelity.cost)
    spec = Spec(
        task=settings.task,
        fidelity=phase.fidelity,
        metric=settings.metric,
        space=settings.space,
        budget=phase.budget,
        policy=settings.policy if phase.design == "policy" else phase.design,
        seed=settings.seed,
        cheaper=cheaper,
    )
    study = create_study(_phase_name(settings, phase), settings.storage, spec)
    if study.recall(RUN) is None:
        study.remember(RUN, {"directory": settings.directory, "phases": []})
    design = _space_filling(settings, index, phase.budget) if phase.design == "space-filling" else None
    return Stage(study, f"cheap{index}", design)


def _space_filling(settings: RunSettings, index: int, count: int) -> tuple[Config, ...]:
    """As many configurations spread over the space, the same each time; fewer if there are not as many."""
    seed, size, pool = settings.seed + index, count, None
    while pool is None or (len(pool) < count and size < 64 * count):
        pool = candidates(settings.space, size=size, seed=seed)
        size *= 2
    rows = np.arange(len(pool))
    if len(pool) > count:  # a whole grid, in its own order
        rows = np.random.default_rng(seed).permutation(rows)
    return tuple(pool.config(int(row)) for row in rows[:count])


def _runs_of(settings: RunSettings, stage: Stage) -> CheapRuns:
    """What a cheap phase gave, as evidence. A failed run counts as the worst that did not fail.

    Raises:
        StudyProblem: all failed: the expensive trials would be spent for nothing.
    """
    spec, trials = stage.study.spec, stage.study.trials()
    finite = [spec.metric.sign * t.value for t in trials if t.value is not None]
    if not finite:
        raise StudyProblem(
            f"all {len(trials)} cheap runs at {spec.fidelity.text()} failed, the last with {trials[-1].failure!r} (see "
            f"{trial_directory(settings, stage.label, trials[-1])}), so no expensive trial is started; mend the "
            "command and start again under another name"
        )
    losses = np.array([max(finite) if t.value is None else spec.metric.sign * t.value for t in trials])
    pool = Pool.from_configs(spec.space, [spec.space.check(t.config) for t in trials])
    details = {d: np.array([t.details.get(d, np.nan) for t in trials]) for d in spec.metric.details}
    return CheapRuns(spec.fidelity, pool, losses, details)


def _run_stage(settings: RunSettings, stage: Stage, progress: Progress) -> None:
    """All that is left of a stage: first the trials that were open when an earlier process ended, then new ones."""
    study = stage.study
    while True:
        trials = study.trials()
        trial = next((t for t in trials if t.status == "open"), None)
        if trial is None:
            if len(trials) >= study.spec.budget or (stage.design is not None and len(trials) >= len(stage.design)):
                return
            config = None if stage.design is None else stage.design[len(trials)]
            proposal, chosen = propose(study.spec, trials) if config is None else (Proposal(config), config)
            trial = study.add(proposal, chosen, trials)
        if trial is not None:
            finish(settings, study, stage.label, trial, trials, progress)


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM (a batch system's farewell) does what Ctrl-C does."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
