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
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Protocol

import numpy as np

from autollmresearch.errors import StudyProblem
from autollmresearch.evidence.records import CheapRuns
from autollmresearch.live.candidates import candidates
from autollmresearch.live.fidelity import fidelity_of
from autollmresearch.live.outcome import REPORT, REPORT_VARIABLE, judge
from autollmresearch.live.propose import best_trial, propose
from autollmresearch.live.runs_file import read_evidence
from autollmresearch.live.settings import MAY_CHANGE, Phase, RunSettings, placeholders
from autollmresearch.live.spec import Spec, by_cost
from autollmresearch.live.study import LiveStudy, LiveTrial, create_study, find_study
from autollmresearch.policy import Proposal
from llmconfig_gym import process
from llmconfig_gym.experiment import Fidelity
from llmconfig_gym.files import only_one, write_text
from llmconfig_gym.parameter import Value
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Config
from llmconfig_gym.template import Template
from llmconfig_gym.text import number, value_text

SETTINGS = "settings.json"
RUN = "autollmresearch:run"
"""The study's user attribute that says where `run` runs it."""


class Progress(Protocol):
    """Who is told how a study goes."""

    def line(self, text: str) -> None:
        """Something happened."""
        ...

    def tick(self, text: str) -> None:
        """How the trial that runs stands; called often."""
        ...


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
            cheap += _runs_of(stage.study)
        study.learn(tuple(cheap))
        _run_stage(settings, Stage(study, "target", None), progress)
    return study


def _claim(settings: RunSettings, directory: Path, progress: Progress) -> None:
    """Save the resolved settings, or make sure that they are those that are saved."""
    path = directory / SETTINGS
    text = json.dumps(settings.to_dict(), indent=1) + "\n"
    if path.is_file():
        before, now = json.loads(path.read_text(encoding="utf-8")), json.loads(text)
        changed = [k for k in now if before.get(k) != now[k]]
        if wrong := [k for k in changed if k not in MAY_CHANGE]:
            found = f"{wrong[0]} was {_short(before.get(wrong[0]))} and is {_short(now[wrong[0]])}"
            raise StudyProblem(
                f"{directory} holds {settings.name} with other settings: {found}; put them back, choose another name, "
                f"or remove the directory to start over (only {', '.join(MAY_CHANGE)} may change)"
            )
        for key in changed:
            progress.line(f"note: {key} has changed since the last run of this study")
    write_text(path, text)


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _target_study(settings: RunSettings, progress: Progress) -> LiveStudy:
    """The expensive study, made on the first run with what the files of evidence say."""
    study = find_study(settings.name, settings.storage)
    if study is None:
        study = create_study(settings.name, settings.storage, _target_spec(settings, progress))
    where = study.recall(RUN)
    if where is None and study.trials():
        raise StudyProblem(f"{settings.name} in {settings.storage} is told by hand; choose another name")
    if where is not None and where["directory"] != settings.directory:
        raise StudyProblem(
            f"{settings.name} in {settings.storage} is run in {where['directory']}, not in {settings.directory}; "
            "choose another name or storage"
        )
    if where is None:
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
        found = read_evidence(Path(file), settings.target.values, settings.space, metric=metric, direction=direction)
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
        source=", ".join(Path(f).name for f in settings.evidence),
    )


def _at_target_scale(runs: CheapRuns, target: Fidelity) -> CheapRuns:
    """Runs of a file under the names and with the costs of this study's fidelities."""
    values = {k: v for k, v in runs.fidelity.values.items() if k in target.values}
    return replace(runs, fidelity=fidelity_of(values))


def _phase_name(settings: RunSettings, phase: Phase) -> str:
    return f"{settings.name} at " + ", ".join(f"{k} {value_text(v)}" for k, v in phase.fidelity.values.items())


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


def _runs_of(study: LiveStudy) -> list[CheapRuns]:
    """What a phase gave, as evidence. A failed run counts as the worst that did not fail; nothing if all failed."""
    spec, trials = study.spec, study.trials()
    finite = [spec.metric.sign * t.value for t in trials if t.value is not None]
    if not finite:
        return []
    losses = np.array([max(finite) if t.value is None else spec.metric.sign * t.value for t in trials])
    pool = Pool.from_configs(spec.space, [spec.space.check(t.config) for t in trials])
    details = {d: np.array([t.details.get(d, np.nan) for t in trials]) for d in spec.metric.details}
    return [CheapRuns(spec.fidelity, pool, losses, details)]


def _run_stage(settings: RunSettings, stage: Stage, progress: Progress) -> None:
    """All that is left of a stage: first the trials that were open when an earlier process ended, then new ones."""
    study = stage.study
    while True:
        trials = study.trials()
        waiting = [t for t in trials if t.status == "open"]
        if waiting:
            _finish(settings, stage, waiting[0], progress)
        elif len(trials) >= study.spec.budget or (stage.design is not None and len(trials) >= len(stage.design)):
            return
        elif stage.design is not None:
            config = stage.design[len(trials)]
            study.add(Proposal(config, f"point {len(trials) + 1} of a space-filling design"), config, len(trials))
        else:
            proposal, chosen = propose(study.spec, trials)
            study.add(proposal, chosen, len(trials))


def _finish(settings: RunSettings, stage: Stage, trial: LiveTrial, progress: Progress) -> None:
    """Run an open trial to its end, or take up what is left of an earlier attempt, and tell its outcome."""
    study, spec = stage.study, stage.study.spec
    directory = Path(settings.directory) / "trials" / f"{stage.label}-{trial.number:04d}"
    title = f"[{stage.label} {trial.number + 1}/{spec.budget}]"
    progress.line(f"{title} {_config_text(trial.config)}" + (f"  ({trial.reasoning})" if stage.design is None else ""))
    if process.ended(directory) is None and process.alive(directory):
        progress.line(f"{title} it still runs; waiting for it")
    while True:
        ended, job = process.ended(directory), process.last_job(directory)
        if ended is not None and ended.how == "absent":
            (directory / process.ENDED).unlink()
            (directory / process.JOB).unlink()
            raise StudyProblem(f"{ended.message}; mend the command, then run the same again: nothing is lost")
        if ended is not None and ended.how != "stopped":
            break
        if ended is None and job is not None and process.alive(directory):
            _wait(directory, job, progress, title)
            continue
        cuts = 0 if job is None else job.cuts + (ended is None)
        if cuts > settings.retries:
            reason = f"cut off {cuts} times: its process vanished without a word"
            study.fail(trial.number, reason)
            progress.line(f"{title} failed: {reason}")
            return
        if cuts and ended is None:
            progress.line(f"{title} it was cut off; the same configuration is started again")
        _launch(settings, spec, trial, directory, 1 if job is None else job.attempt + 1, cuts)
    outcome = judge(settings, directory, ended)
    if outcome.value is None:
        study.fail(trial.number, outcome.failure, outcome.details)
        progress.line(f"{title} failed: {outcome.failure}  ({_time(ended.seconds)}, log: {directory / process.LOG})")
        return
    study.tell(trial.number, outcome.value, outcome.details)
    best = best_trial(spec, study.trials())
    mark = "  best so far" if best is not None and best.number == trial.number else ""
    progress.line(f"{title} {spec.metric.name} {number(outcome.value, 5)}{mark}  ({_time(ended.seconds)})")


def _launch(settings: RunSettings, spec: Spec, trial: LiveTrial, directory: Path, attempt: int, cuts: int) -> None:
    """Start the command in the trial's directory, which keeps what earlier attempts left, but for their results."""
    directory.mkdir(parents=True, exist_ok=True)
    for stale in (REPORT, settings.source.file):
        if stale:
            (directory / stale).unlink(missing_ok=True)
    config = {"config": dict(trial.config), "fidelity": dict(spec.fidelity.values), "seed": settings.seed}
    write_text(directory / "config.json", json.dumps(config, indent=1) + "\n")
    values = _values(settings, spec, trial, directory)
    argv = Template(settings.command).fill(values)
    env = {k: Template((v,)).fill(values)[0] for k, v in settings.env.items()}
    env[REPORT_VARIABLE] = str(directory / REPORT)
    process.launch(directory, process.Job(tuple(argv), env, settings.timeout, attempt, cuts))


def _values(settings: RunSettings, spec: Spec, trial: LiveTrial, directory: Path) -> dict[str, Value]:
    """What the command's placeholders stand for."""
    values: dict[str, Value] = {
        **spec.fidelity.values,
        "seed": settings.seed,
        "trial": trial.number,
        "dir": str(directory),
        "here": settings.here,
        "config": str(directory / "config.json"),
    }
    for name, value in trial.config.items():
        if isinstance(value, Mapping):
            values |= dict(zip(placeholders(name, spec.space), (value[c] for c in value), strict=True))
        else:
            values[name] = value
    return values


def _wait(directory: Path, job: process.Job, progress: Progress, title: str) -> None:
    """Wait until the job of this directory has ended; Ctrl-C ends it."""
    begun = (directory / process.JOB).stat().st_mtime
    pause = 0.02
    try:
        while process.ended(directory) is None and process.alive(directory):
            late = job.timeout is not None and time.time() - begun > job.timeout
            if late and process.is_orphan(directory):  # nobody else is left to end it
                process.stop(directory, orphan=True)
            progress.tick(f"{title} {_time(time.time() - begun)}  {_last_line(directory / process.LOG)}")
            time.sleep(pause)
            pause = min(1.2 * pause, 0.5)
    except KeyboardInterrupt:
        progress.line(f"{title} is being stopped ...")
        while process.ended(directory) is None and process.alive(directory):
            try:
                process.stop(directory, orphan=process.is_orphan(directory))
                for _ in range(int(2 * process.GRACE / 0.05)):
                    if process.ended(directory) is not None or not process.alive(directory):
                        break
                    time.sleep(0.05)
            except KeyboardInterrupt:
                continue
        raise


def _last_line(log: Path) -> str:
    """The last whole line of a log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 400))
            lines = file.read().decode("utf-8", errors="replace").split("\n")[:-1]
    except OSError:
        return ""
    return "".join(c for c in (lines[-1] if lines else "") if c.isprintable())


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


def _config_text(config: Config) -> str:
    return ", ".join(f"{k} {value_text(v)}" for k, v in config.items())


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
