"""One trial of a live study: what was proposed and why, and what came of it; as data and as Optuna keeps it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from autollmresearch.live.notes import CANDIDATES, EXPECTED, EXPECTED_SD, REASONING, TRENDS
from autollmresearch.policy import Candidate
from llmconfig_gym.parameter import Grid, Simplex
from llmconfig_gym.space import Config, Space, plain_config

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

CONFIG, DETAILS, FAILURE = "config", "details", "failure"
"""User attributes of a trial, beside those of notes.py: the configuration, what else was measured, why it failed."""

Status: TypeAlias = Literal["open", "complete", "failed"]


@dataclass(frozen=True)
class LiveTrial:
    """One trial.

    Attributes:
        number: under which it is told; numbers may have gaps.
        status: `open` (proposed, not told yet), `complete` or `failed`.
        config: what to run.
        value: the metric; None unless complete.
        reasoning: why it was proposed.
        mean, sd: the outcome that was expected, and its standard deviation.
        candidates: what was thought likely to be best, most likely first; empty if the policy does not say.
        trends: that the analyst sees, where they are not part of the reasoning.
        details: what else was measured.
        failure: why it failed; empty unless it did.
        started, ended: when it was proposed and told.
    """

    number: int
    status: Status
    config: Config
    value: float | None = None
    reasoning: str = ""
    mean: float | None = None
    sd: float | None = None
    candidates: tuple[Candidate, ...] = ()
    trends: str = ""
    details: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""
    started: datetime | None = None
    ended: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {
            "trial": self.number,
            "status": self.status,
            "config": plain_config(self.config),
            "value": self.value,
            "details": dict(self.details),
            "failure": self.failure,
            "reasoning": self.reasoning,
            "expected": self.mean,
            "expected_sd": self.sd,
            "candidates": [c.to_dict() for c in self.candidates],
            "trends": self.trends,
            "started": None if self.started is None else self.started.isoformat(),
            "ended": None if self.ended is None else self.ended.isoformat(),
        }


def sentences(reasoning: str) -> list[str]:
    """A policy's reasoning a sentence at a time."""
    return [
        part for line in reasoning.splitlines() for part in re.split(r"(?<=[.!?]) +(?=[A-Z])", line.strip()) if part
    ]


def live_trial(t: FrozenTrial) -> LiveTrial:
    """A trial as Optuna keeps it."""
    status: dict[str, Status] = {"RUNNING": "open", "WAITING": "open", "COMPLETE": "complete"}
    attrs = t.user_attrs
    return LiveTrial(
        number=t.number,
        status=status.get(t.state.name, "failed"),
        config=attrs.get(CONFIG, t.params),
        value=t.value if t.state.name == "COMPLETE" else None,
        reasoning=attrs.get(REASONING, ""),
        mean=attrs.get(EXPECTED),
        sd=attrs.get(EXPECTED_SD),
        candidates=tuple(Candidate(c["config"], c["probability"]) for c in attrs.get(CANDIDATES, ())),
        trends=attrs.get(TRENDS, ""),
        details=attrs.get(DETAILS, {}) if t.state.is_finished() else {},  # what was half told was not told
        failure=attrs.get(FAILURE) or "failed" if t.state.name in ("FAIL", "PRUNED") else "",
        started=t.datetime_start,
        ended=t.datetime_complete,
    )


def optuna_distributions(space: Space) -> dict[str, BaseDistribution]:
    """Under which Optuna's tools see the trials: every number as itself, a mixture as `Space.to_optuna` has it."""
    from optuna.distributions import FloatDistribution, IntDistribution

    result = space.to_optuna()
    for p in space.parameters:
        if isinstance(p, Grid) and p.whole:
            result[p.name] = IntDistribution(int(p.levels[0]), int(p.levels[-1]), log=p.log)
        elif isinstance(p, Grid):
            result[p.name] = FloatDistribution(p.levels[0], p.levels[-1], log=p.log)
    return result


def optuna_params(space: Space, config: Config) -> dict[str, Any]:
    """A configuration under `optuna_distributions`."""
    mixtures = tuple(p for p in space.parameters if isinstance(p, Simplex))
    params = {n: v for n, v in config.items() if not isinstance(v, Mapping)}
    if mixtures:
        params |= Space(mixtures).optuna_params(config)
    return params
