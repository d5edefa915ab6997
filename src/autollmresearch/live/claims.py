"""Claims: no two workers of a study run one configuration, though they share nothing but the storage.

Optuna gives every trial a number of its own, atomically; nothing else is locked. So a worker waits a moment for trials
with lower numbers that have just started, which makes it see what they chose. Then it writes what it chose, reads what
the others wrote, and keeps it or chooses again. Of two workers with one choice at least one sees the other, because
each writes before it reads; the one with the higher number gives way, and the other keeps its choice only when the
first has given way. That is Lamport's bakery (CACM 1974) with the trial's number as the ticket.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from autollmresearch.live.history import CLAIM

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

JUST_STARTED = 3.0
"""Seconds for which a trial that has not chosen yet is waited for; after that only the claims keep workers apart."""

PATIENCE = 10.0
"""Seconds for which a claim is waited for to become final: its worker needs milliseconds, or was killed."""

TURN = 0.1
"""Seconds between looks at whether it is our turn."""

SETTLE = 0.02
"""Seconds between looks at whether another claim is final."""


def wait_for_lower(study: Study, trial: FrozenTrial) -> None:
    """Wait while trials with lower numbers, started in the last seconds, have not chosen their configuration."""
    silent: set[int] = set()
    deadline = time.monotonic() + JUST_STARTED
    while time.monotonic() < deadline:
        since = datetime.now() - timedelta(seconds=JUST_STARTED)
        now = {t.number for t in _running(study) if t.number < trial.number and not _chosen(t) and _started(t, since)}
        if not now:
            return
        if now != silent:  # one of them has chosen: the others wait their turn as we do
            silent, deadline = now, time.monotonic() + JUST_STARTED
        time.sleep(TURN)


def claim(study: Study, trial: FrozenTrial, params: Mapping[str, Any], expected: float | None = None) -> bool:
    """Claim these values for a trial; False, and no claim is left, if another trial has them.

    Args:
        study, trial: whose.
        params: the values, as Optuna knows them.
        expected: the outcome that other workers are to count on until the trial has finished.
    """
    _write(study, trial, params, final=False)
    deadline = time.monotonic() + PATIENCE
    while rivals := [t for t in study.get_trials(deepcopy=False) if t.number != trial.number and _has(t, params)]:
        if any(t.number < trial.number or _is_final(t) for t in rivals) or time.monotonic() > deadline:
            _write(study, trial, {}, final=False)
            return False
        time.sleep(SETTLE)
    keep(study, trial, params, expected)
    return True


def keep(study: Study, trial: FrozenTrial, params: Mapping[str, Any], expected: float | None = None) -> None:
    """Settle on these values, whoever else has them: there are no others left, or they were drawn at random."""
    _write(study, trial, params, final=True, expected=expected)


def _write(
    study: Study, trial: FrozenTrial, params: Mapping[str, Any], *, final: bool, expected: float | None = None
) -> None:
    claimed: dict[str, Any] = {"params": dict(params), "final": final, "expected": expected}
    study._storage.set_trial_system_attr(trial._trial_id, CLAIM, claimed)


def _running(study: Study) -> list[FrozenTrial]:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def _started(trial: FrozenTrial, since: datetime) -> bool:
    return trial.datetime_start is not None and trial.datetime_start > since


def _chosen(trial: FrozenTrial) -> bool:
    """Whether a running trial will not be given another configuration any more.

    A claim that is not final may still be withdrawn, but a lower number gives way to a final claim only, which ours is
    not. A value whose range has more than one was given by some sampler.
    """
    claimed = trial.system_attrs.get(CLAIM)
    if claimed is not None:
        return bool(claimed["final"])
    return any(not d.single() for d in trial.distributions.values())


def _has(trial: FrozenTrial, params: Mapping[str, Any]) -> bool:
    """Whether a trial has these very values, or claims them."""
    claimed = trial.system_attrs.get(CLAIM, {}).get("params", {})
    return _covers(claimed, params) or _covers(trial.params, params)


def _covers(values: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    return all(name in values and values[name] == value for name, value in params.items())


def _is_final(trial: FrozenTrial) -> bool:
    return trial.state.is_finished() or bool(trial.system_attrs.get(CLAIM, {"final": True})["final"])
