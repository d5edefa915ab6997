"""Records of the `active` protocol: nothing is known at first, and every run of any experiment is paid for.

A method is an `ActivePolicy`: asked again and again which run to pay for next, and what it recommends for the target.
As every policy, it keeps nothing between calls (decision 0003).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from autollmresearch.evidence.records import CheapRuns, Problem
from autollmresearch.policy import Proposal, State
from llmconfig_gym.experiment import Fidelity, Metric, Outcome
from llmconfig_gym.parameter import FloatArray
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Config

ROUNDING = 1e-9
"""What a sum of costs may be off by."""


@dataclass(frozen=True, eq=False)
class Source:
    """An experiment that may be run.

    Attributes:
        fidelity: at which scale.
        pool: the configurations that can be run there, in that experiment's own space.
        cost: of one run, in costs of one run of the target.
    """

    fidelity: Fidelity
    pool: Pool
    cost: float


@dataclass(frozen=True, eq=False)
class ActiveProblem:
    """Everything a method may know before its first run.

    Attributes:
        task, metric: what is asked, and which direction is better.
        sources: the experiments that may be run, cheapest first; the target, at cost 1, is the last.
        budget: what all runs together may cost, in costs of one run of the target.
        clip: the regret scale's bound on bad values, as a multiple of the best (see `Experiment.clip`).
    """

    task: str
    metric: Metric
    sources: tuple[Source, ...]
    budget: float
    clip: float | None = None

    @property
    def target(self) -> int:
        """The target's place among the sources."""
        return len(self.sources) - 1

    @property
    def cheaper(self) -> range:
        """The places of all the others."""
        return range(self.target)

    def config(self, source: int, row: int) -> Config:
        """The configuration at a row of a source's pool."""
        return self.sources[source].pool.config(row)


@dataclass(frozen=True)
class Query:
    """A run that is asked for: of which source (its place), and of which configuration."""

    source: int
    proposal: Proposal


@dataclass(frozen=True)
class Run:
    """A run that was paid for.

    Attributes:
        query: what was asked for.
        outcome: what came of it.
        row: of the source's pool; which configuration was run.
        seconds: the time the method took to ask for it.
    """

    query: Query
    outcome: Outcome
    row: int
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class ActiveState:
    """One episode as a method sees it: the problem, the runs so far, and a seed for its own randomness."""

    problem: ActiveProblem
    runs: tuple[Run, ...] = ()
    seed: int = 0

    def rng(self) -> np.random.Generator:
        """Randomness for this turn: the same for the same seed and number of runs."""
        return np.random.default_rng([self.seed, len(self.runs)])

    def at(self, source: int) -> tuple[Run, ...]:
        """The runs of one source, in order."""
        return self._by_source[source]

    def losses(self, source: int) -> FloatArray:
        """Of the runs of one source, [runs]: oriented so that smaller is better; NaN where one diverged."""
        values = [r.outcome.value for r in self.at(source)]
        return self.problem.metric.sign * np.array([np.nan if v is None else v for v in values], dtype=np.float64)

    def filled(self, source: int) -> FloatArray:
        """`losses`, where one that diverged carries the worst known of its source, else the worst known of any."""
        losses = self.losses(source)
        everything = np.concatenate([self.losses(s) for s in range(len(self.problem.sources))])
        known = next((c[np.isfinite(c)] for c in (losses, everything) if np.isfinite(c).any()), np.zeros(1))
        return np.where(np.isfinite(losses), losses, known.max())

    def untried(self, source: int) -> NDArray[np.int64]:
        """Rows of a source's pool that were not run yet, ascending."""
        mask = np.ones(len(self.problem.sources[source].pool), dtype=bool)
        mask[[r.row for r in self.at(source)]] = False
        return np.flatnonzero(mask)

    def spent(self, *sources: int) -> float:
        """What the runs of these sources cost (of all, if none is named), in costs of one run of the target."""
        chosen = sources or range(len(self.problem.sources))
        return math.fsum(len(self.at(s)) * self.problem.sources[s].cost for s in chosen)

    def affords(self, source: int) -> bool:
        """Whether what is left pays for one more run of this source."""
        return self.spent() + self.problem.sources[source].cost <= self.problem.budget + ROUNDING

    def view(self, source: int) -> State:
        """A source by itself as an ordinary state: its runs are the trials, and nothing else is known."""
        return self._state(source, (), 1)

    def on_target(self, left: int) -> State:
        """The target as an ordinary state with `left` trials to come, the cheaper runs so far known."""
        return self._state(self.problem.target, self._cheap_runs(), left)

    def _state(self, source: int, cheaper: tuple[CheapRuns, ...], left: int) -> State:
        p, at, mine = self.problem, self.problem.sources[source], self.at(source)
        problem = Problem(p.task, at.fidelity, p.metric, at.pool, cheaper, len(mine) + left, p.clip)
        return State(problem, tuple(r.outcome for r in mine), self.seed, tuple(r.query.proposal for r in mine))

    def _cheap_runs(self) -> tuple[CheapRuns, ...]:
        """The runs of each cheaper source, as far as there are."""
        result = []
        for s in filter(self.at, self.problem.cheaper):
            source = self.problem.sources[s]
            columns = {name: column[[r.row for r in self.at(s)]] for name, column in source.pool.columns.items()}
            told = [r.outcome.details for r in self.at(s)]
            details = {n: np.array([d.get(n, np.nan) for d in told]) for n in sorted({n for d in told for n in d})}
            result.append(CheapRuns(source.fidelity, Pool(source.pool.space, columns), self.filled(s), details))
        return tuple(result)

    @cached_property
    def _by_source(self) -> tuple[tuple[Run, ...], ...]:
        lists: list[list[Run]] = [[] for _ in self.problem.sources]
        for run in self.runs:
            lists[run.query.source].append(run)
        return tuple(map(tuple, lists))


class ActivePolicy(Protocol):
    """Anything that chooses runs and recommends a configuration. States of one batch may be of different problems."""

    def query(self, states: Sequence[ActiveState]) -> list[Query | None]:
        """For each state the run to pay for next; None to stop. What is refused ends the episode."""
        ...

    def recommend(self, states: Sequence[ActiveState]) -> list[Proposal]:
        """For each state the configuration to use at the target, of which nothing is told."""
        ...
