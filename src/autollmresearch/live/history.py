"""A study's trials as a policy reads them: finished ones as outcomes, unfinished ones as provisional outcomes.

Trials that other workers are running, and those waiting in the queue, are told with the outcome that was expected of
them ("kriging believer", Ginsbourger, Le Riche and Carraro 2010), made worse by one standard deviation, so that eight
workers do not all go to one place. A failed or pruned trial is an outcome without a value, which policies read as the
worst known. A trial that was lost with its worker and is run again is neither.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autollmresearch.live.distributions import SearchSpace
from llmconfig_gym.errors import InvalidConfig
from llmconfig_gym.experiment import Outcome
from llmconfig_gym.parameter import Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

CLAIM = "autollmresearch:claim"
"""System attribute of a trial: what it is given, whether that is final, and the outcome to count on (claims.py)."""


@dataclass(frozen=True)
class History:
    """What is known of a study's own trials, each list in the order of their numbers.

    Attributes:
        finished: outcomes.
        pending: provisional outcomes of trials that are running or waiting.
    """

    finished: tuple[Outcome, ...]
    pending: tuple[Outcome, ...]

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """All of them, finished ones first."""
        return self.finished + self.pending

    @property
    def configs(self) -> list[Mapping[str, Value]]:
        """Their configurations."""
        return [o.config for o in self.outcomes if o.config is not None]


def read_history(trials: Sequence[FrozenTrial], number: int, space: SearchSpace) -> History:
    """The history that trial `number` is proposed from.

    Args:
        trials: all trials of the study, by number.
        number: the trial that is being proposed.
        space: the search space; trials that cannot be placed in it are left out.
    """
    lost = {n for t in trials for n in t.system_attrs.get("retry_history", ())}
    finished: list[Outcome] = []
    unfinished: list[tuple[FrozenTrial, Mapping[str, Value]]] = []
    for trial in trials:
        config = _config(trial, space)
        if config is None or trial.number == number or trial.number in lost:
            continue
        if trial.state.is_finished():
            finished.append(Outcome("measured", config, _value(trial)))
        else:
            unfinished.append((trial, config))
    values = [o.value for o in finished if o.value is not None]
    pending = tuple(Outcome("measured", c, _provisional(t, values), message="running.") for t, c in unfinished)
    return History(tuple(finished), pending)


def _config(trial: FrozenTrial, space: SearchSpace) -> Mapping[str, Value] | None:
    """The trial's whole configuration in the search space, as far as it is decided; None if it cannot be placed."""
    decided: dict[str, Any] = {}
    known_as: dict[str, BaseDistribution] = {}
    for params, distributions in (
        (trial.system_attrs.get(CLAIM, {}).get("params", {}), space.distributions),
        (trial.system_attrs.get("fixed_params", {}), space.distributions),
        (trial.params, trial.distributions),
    ):
        decided |= params
        known_as |= {name: distributions[name] for name in params if name in distributions}
    try:
        config = space.read(decided, known_as)
    except InvalidConfig:
        return None
    return config if len(config) == len(space.space.names) else None


def _value(trial: FrozenTrial) -> float | None:
    if trial.state.name != "COMPLETE" or trial.value is None or not math.isfinite(trial.value):
        return None
    return trial.value


def _provisional(trial: FrozenTrial, values: Sequence[float]) -> float | None:
    """What an unfinished trial counts as: what its claim says, else the median so far, else unknown."""
    expected = trial.system_attrs.get(CLAIM, {}).get("expected")
    if isinstance(expected, int | float):
        return float(expected)
    return statistics.median(values) if values else None
