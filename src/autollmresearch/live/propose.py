"""The next trial of a live study: the policy's proposal, given the cheaper runs and the trials so far."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from autollmresearch.errors import StudyProblem
from autollmresearch.evidence.records import Problem
from autollmresearch.live.candidates import best_of, candidates, nearest_legal
from autollmresearch.live.choice import choose
from autollmresearch.live.spec import Spec
from autollmresearch.live.study import LiveStudy
from autollmresearch.live.trial import LiveTrial
from autollmresearch.methods import make_policy
from autollmresearch.policy import Proposal, State
from llmconfig_gym.experiment import Outcome
from llmconfig_gym.parameter import Value
from llmconfig_gym.text import number

PATIENCE = 1.0
"""Seconds within which a process that proposed too late takes its trial back."""


def propose(spec: Spec, trials: Sequence[LiveTrial] = ()) -> tuple[Proposal, dict[str, Value]]:
    """What to try next: the policy's proposal, and its configuration, legal and not tried before.

    A failed trial is known as one that gave no value, with its reason. An open one counts as if it had come out as it
    was expected to, so that a second proposal beside it goes elsewhere.
    """
    space = spec.space
    told = [nearest_legal(space, space.check(t.config)) for t in trials]
    best = [config for runs in spec.cheaper for config in best_of(runs, space)]
    pool = candidates(space, seed=spec.seed, include=[*told, *best])
    problem = Problem(spec.task, spec.fidelity, spec.metric, pool, spec.cheaper, spec.budget, spec.clip)
    outcomes = tuple(_outcome(t, pool.config(pool.find(c)[0])) for t, c in zip(trials, told, strict=True))
    made = tuple(Proposal(c, t.reasoning) for t, c in zip(trials, told, strict=True))  # a language model hears itself
    state = State(problem, outcomes, spec.seed, made)
    proposal, config = choose(make_policy(spec.policy).propose([state])[0], state)
    return proposal, dict(config)


def _outcome(trial: LiveTrial, config: dict[str, Value]) -> Outcome:
    if trial.status == "complete":
        return Outcome("measured", config, trial.value, trial.details)
    if trial.status == "open":
        return Outcome("measured", config, trial.mean, message="not over yet; the value is what is expected.")
    return Outcome("measured", config, None, trial.details, f"the run failed: {trial.failure}.")


def next_trial(study: LiveStudy, *, another: bool = False) -> tuple[LiveTrial, bool]:
    """The trial to run now, and whether it is new: the first open one unless `another` is asked for.

    Raises:
        StudyProblem: the budget is spent.
    """
    patience = time.monotonic() + PATIENCE
    while True:
        trials = study.trials()
        waiting = [t for t in trials if t.status == "open"]
        if waiting and not another:
            return waiting[0], False
        if len(trials) >= study.spec.budget:
            if time.monotonic() > patience or not any(_just_opened(t) for t in waiting):
                raise StudyProblem(spent(study, trials))
            time.sleep(0.1)
            continue
        proposal, config = propose(study.spec, trials)
        trial = study.add(proposal, config, trials)
        if trial is not None:
            return trial, True


def _just_opened(trial: LiveTrial) -> bool:
    """Whether another process may be about to take this trial back."""
    return trial.started is not None and abs((datetime.now() - trial.started).total_seconds()) < PATIENCE


def spent(study: LiveStudy, trials: Sequence[LiveTrial]) -> str:
    """That the budget is spent, and how to go on."""
    waiting = [str(t.number) for t in trials if t.status == "open"]
    best = best_trial(study.spec, trials)
    found = "none gave a value"
    if best is not None and best.value is not None:
        found = f"the best is trial {best.number} with {study.spec.metric.name} {number(best.value, 5)}"
    open_ones = f"; still open: {', '.join(waiting)}" if waiting else ""
    return (
        f"the budget of {study.spec.budget} trials of {study.name} is spent; {found}{open_ones}. "
        f"To allow more: autollmresearch suggest --study {study.name} --budget {study.spec.budget + 1}"
    )


def best_trial(spec: Spec, trials: Sequence[LiveTrial]) -> LiveTrial | None:
    """The complete trial with the best value; the first of equals."""
    complete = [t for t in trials if t.value is not None]
    return min(complete, key=lambda t: spec.metric.sign * (t.value or 0.0), default=None)
