"""Policy: the one interface that decides.

A policy is anything with `propose(states) -> proposals`: a batch of states in, one proposal each out. Optuna's
samplers, transfer methods, the analyst, an endpoint and a trained model are all policies, so the benchmark, live
studies and the Optuna sampler take any of them by name. A policy keeps nothing between calls: all it may know is
in the state, so an interrupted run resumes with the same next proposal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autollmresearch.evidence.records import Problem
from llmconfig_gym.experiment import Outcome
from llmconfig_gym.parameter import FloatArray
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Config, plain_config


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a language model read and wrote in one turn, as token ids that nobody re-tokenises.

    Attributes:
        read: ids that follow what it wrote in the turn before (in the first turn: the whole prompt).
        wrote: ids it sampled, the end-of-turn token included if it came to it.
        logprobs: of each written id, under the distribution it was sampled from (temperature included).
    """

    read: tuple[int, ...]
    wrote: tuple[int, ...]
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a proposal is billed for: tokens read, tokens written, and their price."""

    read: int = 0
    wrote: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configuration that was considered, and how probable it is thought to be the best of all, in [0, 1]."""

    config: Config
    probability: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"config": plain_config(self.config), "probability": self.probability}


@dataclass(frozen=True)
class Proposal:
    """One configuration to try next, and why.

    Attributes:
        config: the configuration, or a language model's own words, from which the environment reads one.
        reasoning: for people; empty if the policy has none to give.
        mean, sd: the outcome the policy expects there, in the metric's own direction, and its standard deviation; None
            if it expects nothing in particular.
        prompt: the text that a language model read since its last turn; empty for every other policy.
        tokens: the same and its answer as token ids, where the policy works on them.
        usage: what it is billed for.
        candidates: the likeliest to be best, most likely first, where the policy weighs all.
        trends: what the analyst sees and what it doubts, for people, beside a language model's own thought; the model
            hears its thought alone again.
    """

    config: Config | str
    reasoning: str = ""
    mean: float | None = field(default=None, kw_only=True)
    sd: float | None = field(default=None, kw_only=True)
    prompt: str = field(default="", kw_only=True)
    tokens: Tokens | None = field(default=None, kw_only=True)
    usage: Usage = field(default=Usage(), kw_only=True)
    candidates: tuple[Candidate, ...] = field(default=(), kw_only=True)
    trends: str = field(default="", kw_only=True)


@dataclass(frozen=True, eq=False)
class State:
    """One episode as a policy sees it.

    Attributes:
        problem: what is asked and what cheaper runs showed.
        trials: the outcomes so far.
        seed: for the policy's own randomness.
        proposals: its own proposal for each trial; empty where trials came from elsewhere.
        hint: a sentence added to the last thing read. Only the simulation of trajectories gives one.
    """

    problem: Problem
    trials: tuple[Outcome, ...] = ()
    seed: int = 0
    proposals: tuple[Proposal, ...] = ()
    hint: str = ""

    def rng(self) -> np.random.Generator:
        """Randomness for this turn: the same for the same seed and turn, whatever happened elsewhere."""
        return np.random.default_rng([self.seed, len(self.trials)])

    def told(self) -> tuple[NDArray[np.int64], FloatArray]:
        """Rows of the pool told so far [n] and their losses [n] (smaller is better).

        A run that diverged without a value carries the worst loss seen so far, so that it is learned from too.
        """
        rows, losses = [], []
        for outcome in self.trials:
            if outcome.kind in ("measured", "snapped") and outcome.config is not None:
                rows.append(self.problem.pool.find(outcome.config)[0])
                value = outcome.value
                losses.append(np.nan if value is None else self.problem.metric.sign * value)
        array = np.array(losses, dtype=np.float64)
        if np.isnan(array).any():
            known = [*array[~np.isnan(array)], *(r.losses.max() for r in self.problem.cheaper)]
            array[np.isnan(array)] = max(known, default=0.0)
        return np.array(rows, dtype=np.int64), array

    def untried(self) -> NDArray[np.int64]:
        """Rows of the pool not told yet, ascending. Empty only when everything was told."""
        mask = np.ones(len(self.problem.pool), dtype=bool)
        mask[self.told()[0]] = False
        return np.flatnonzero(mask)


class Policy(Protocol):
    """Anything that proposes.

    One that learns nothing from cheaper runs may say so by an attribute `target_only = True`: where runs are paid for
    (protocol `active:B`) none are bought for it.
    """

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        """One proposal per state, in order. States of one batch may be of different problems."""
        ...


def nearest_untried(state: State, point: FloatArray) -> Config:
    """The untried configuration nearest to a point [width] in the encoding; ties go to the lowest row.

    What every method's numeric proposal goes through, so that none spends trials on repeats and all meet the
    holes of a table in the same way. When everything was told, the nearest configuration of all.
    """
    rows = state.untried()
    if len(rows) == 0:
        rows = np.arange(len(state.problem.pool))
    return nearest_of(state.problem.pool, rows, point)


def nearest_of(pool: Pool, rows: NDArray[np.int64], point: FloatArray) -> Config:
    """Of these rows of a pool, at least one, the configuration nearest to a point [width]; ties go to the first."""
    distances = np.square(pool.encoded[rows] - point).sum(axis=1)
    return pool.config(int(rows[int(np.argmin(distances))]))
