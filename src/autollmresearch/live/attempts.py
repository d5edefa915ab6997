"""One trial of `run`, from its start to its outcome: whatever an earlier process has left of it is taken up.

A trial is open in the storage before its command starts and told after it has ended. So what its directory holds says
where it stands: nothing yet; a command that runs; one that has ended; or one that was cut off without a word.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from autollmresearch.errors import StudyProblem
from autollmresearch.live.outcome import REPORT, REPORT_VARIABLE, judge
from autollmresearch.live.propose import best_trial
from autollmresearch.live.settings import RunSettings, placeholders
from autollmresearch.live.spec import Spec
from autollmresearch.live.study import LiveStudy
from autollmresearch.live.trial import LiveTrial, sentences
from autollmresearch.secrets import without_secrets
from llmconfig_gym import keeper, process
from llmconfig_gym.files import write_text
from llmconfig_gym.parameter import Value
from llmconfig_gym.space import Config
from llmconfig_gym.template import Template
from llmconfig_gym.text import number, value_text

CONFIG = "config.json"
"""The configuration, in the trial's directory."""


class Progress(Protocol):
    """Who is told how a study goes."""

    def line(self, text: str) -> None:
        """Something happened."""
        ...

    def tick(self, text: str) -> None:
        """How the trial that runs stands; called often."""
        ...


def trial_directory(settings: RunSettings, label: str, trial: LiveTrial) -> Path:
    """Where a trial's command runs; `label` is its stage's."""
    return Path(settings.directory) / "trials" / f"{label}-{trial.number:04d}"


def finish(
    settings: RunSettings,
    study: LiveStudy,
    label: str,
    trial: LiveTrial,
    before: Sequence[LiveTrial],
    progress: Progress,
) -> None:
    """Run an open trial to its end and tell its outcome.

    Args:
        before: the trials that it may turn out to be better than.

    Raises:
        StudyProblem: its program cannot be started, or its directory is another trial's; the trial stays open.
    """
    spec, directory = study.spec, trial_directory(settings, label, trial)
    title = f"[{label} {trial.number + 1}/{spec.budget}]"
    progress.line(
        f"{title} {_config_text(trial.config)}" + "".join(f"  ({why})" for why in sentences(trial.reasoning)[:1])
    )
    _check_owner(directory, trial)
    if _running(directory):
        progress.line(f"{title} it still runs; waiting for it")
    try:
        ended = _ended(settings, spec, trial, directory, progress, title)
    except KeyboardInterrupt:
        progress.line(f"{title} is being stopped ...")
        _stop(directory)
        raise
    if ended is None:
        job = process.last_job(directory)
        cuts = 1 if job is None else job.cuts + 1
        reason = f"cut off {'once' if cuts == 1 else f'{cuts} times'}: its process vanished without a word"
        study.fail(trial.number, reason)
        progress.line(f"{title} failed: {reason}")
        return
    outcome = judge(settings, directory, ended)
    if outcome.value is None:
        study.fail(trial.number, outcome.failure, outcome.details)
        progress.line(f"{title} failed: {outcome.failure}  ({_time(ended.seconds)}, log: {directory / keeper.LOG})")
        return
    told = study.tell(trial.number, outcome.value, outcome.details)
    mark = "  best so far" if best_trial(spec, [*before, told]) is told else ""
    progress.line(f"{title} {spec.metric.name} {number(outcome.value, 5)}{mark}  ({_time(ended.seconds)})")


def _ended(
    settings: RunSettings, spec: Spec, trial: LiveTrial, directory: Path, progress: Progress, title: str
) -> process.Ended | None:
    """How the trial's command ended, after as many attempts as that takes; None if it was cut off once too often."""
    launched = False
    while True:
        running = process.alive(directory)  # looked at first: what ends after this look is waited for, not repeated
        ended, job = process.ended(directory), process.last_job(directory)
        if ended is not None and ended.how == "absent":
            (directory / keeper.ENDED).unlink()
            (directory / process.JOB).unlink()
            raise StudyProblem(f"{ended.message}; mend the command, then run the same again: nothing is lost")
        if ended is not None and ended.how != "stopped":
            return ended
        if ended is None and running:
            _wait(settings, directory, settings.timeout if job is None else job.timeout, progress, title)
            continue
        begun = process.has_begun(directory)
        if ended is None and launched and not begun:
            raise StudyProblem(
                f"the command of {directory} could not be watched: its keeper did not start (is the disk full, or was "
                "this program moved?), or the command emptied that directory and may still run; mend it, then run the "
                "same again: nothing is lost"
            )
        cuts = 0 if job is None else job.cuts + (ended is None and begun)
        if cuts > settings.retries:
            return None
        if cuts and ended is None:
            progress.line(f"{title} it was cut off; the same configuration is started again")
        _launch(settings, spec, trial, directory, 1 if job is None else job.attempt + 1, cuts)
        launched = True


def _check_owner(directory: Path, trial: LiveTrial) -> None:
    """That a result found in a directory is this trial's: a storage may have been removed, and its trials not."""
    try:
        found = json.loads((directory / CONFIG).read_text(encoding="utf-8"))["config"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        found = None
    if found != trial.config:
        raise StudyProblem(f"{directory} holds files of another trial; move it away, then run the same again")


def _launch(settings: RunSettings, spec: Spec, trial: LiveTrial, directory: Path, attempt: int, cuts: int) -> None:
    """Start the command in the trial's directory, which keeps what earlier attempts left, but for their results."""
    directory.mkdir(parents=True, exist_ok=True)
    for stale in (REPORT, settings.source.file):
        if stale:
            (directory / stale).unlink(missing_ok=True)
    config = {"config": dict(trial.config), "fidelity": dict(spec.fidelity.values), "seed": settings.seed}
    write_text(directory / CONFIG, json.dumps(config, indent=1) + "\n")
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
        "config": str(directory / CONFIG),
    }
    for name, value in trial.config.items():
        if isinstance(value, Mapping):
            values |= dict(zip(placeholders(name, spec.space), (value[c] for c in value), strict=True))
        else:
            values[name] = value
    return values


def _running(directory: Path) -> bool:
    return process.ended(directory) is None and process.alive(directory)


def _wait(settings: RunSettings, directory: Path, timeout: float | None, progress: Progress, title: str) -> None:
    """Wait until the job of this directory has ended."""
    job = directory / process.JOB
    begun = job.stat().st_mtime if job.exists() else time.time()
    pause, unwritten = 0.02, False
    while _running(directory):
        if not unwritten and process.is_unwritten(directory):
            unwritten = True
            progress.line(
                f"{title} has ended, but how cannot be written: is the disk full? Make room and it goes on by itself, "
                f"or stop this (Ctrl-C) and go on later: {directory} is not run again"
            )
        late = timeout is not None and time.time() - begun > timeout
        if late and process.is_orphan(directory):  # nobody else is left to end it
            process.stop(directory)
        said = without_secrets(_last_line(directory / keeper.LOG), settings.env)
        progress.tick(f"{title} {_time(time.time() - begun)}  {said}")
        time.sleep(pause)
        pause = min(1.2 * pause, 0.5)


def _stop(directory: Path) -> None:
    """End the job of this directory and wait until it has ended; Ctrl-C once more ends it at once, a third time leaves
    it to itself. A command that has ended is left to its keeper, which waits for room to write how."""
    interrupts, asked = 0, -1
    while interrupts < 2 and _running(directory) and not process.is_unwritten(directory):
        try:
            if asked < interrupts and process.stop(directory, now=interrupts > 0):
                asked = interrupts
            time.sleep(0.05)
        except KeyboardInterrupt:
            interrupts += 1


def _last_line(log: Path) -> str:
    """The last whole line of a log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 400))
            lines = file.read().decode("utf-8", errors="replace").split("\n")[:-1]
    except OSError:
        return ""
    return "".join(c for c in (lines[-1] if lines else "") if c.isprintable())


def _config_text(config: Config) -> str:
    return ", ".join(f"{k} {value_text(v)}" for k, v in config.items())


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
