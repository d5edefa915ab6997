"""From a study and its evidence to the `Problem` that a policy sees, the same object for as long as nothing new is
known, so that a policy fits what it fits per problem once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from autollmresearch.evidence.records import CheapRuns, Problem
from autollmresearch.live.candidates import best_of, candidates, nearest_legal
from autollmresearch.live.distributions import SearchSpace
from autollmresearch.live.history import History
from llmconfig_gym.experiment import Fidelity, Metric
from llmconfig_gym.parameter import Value
from llmconfig_gym.pool import Pool


@dataclass(eq=False)
class Prepared:
    """All of a problem that does not change from trial to trial.

    Attributes:
        target: the search space.
        fidelity, metric, task, cheaper: see `Problem`.
    """

    target: SearchSpace
    fidelity: Fidelity
    metric: Metric
    task: str
    cheaper: tuple[CheapRuns, ...]
    _best: list[Mapping[str, Value]] = field(init=False)
    _pool: Pool = field(init=False)
    _last: Problem | None = field(default=None, init=False)
    _added: list[dict[str, Value]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._best = [config for runs in self.cheaper for config in best_of(runs, self.target.space)]
        self._pool = self._candidates(self._best)

    def problem(self, history: History, budget: int) -> Problem:
        """The problem whose pool also holds what was tried though it was no candidate (a user's own trials).

        Args:
            history: the study's trials so far.
            budget: trials expected in all; doubled until it is more than were made.
        """
        tried = [nearest_legal(self.target.space, config) for config in history.configs]
        added = [config for config in tried if not self._pool.find(config)[1]]
        while budget <= len(tried):
            budget *= 2
        if self._last is None or added != self._added or self._last.budget != budget:
            pool = self._candidates([*self._best, *added]) if added else self._pool
            self._added = added
            self._last = Problem(self.task, self.fidelity, self.metric, pool, self.cheaper, budget)
        return self._last

    def _candidates(self, include: Iterable[Mapping[str, Value]]) -> Pool:
        """Candidates, each of which is still itself once Optuna has it: a fine step rounds some to one."""
        pool = candidates(self.target.space, include=include)
        if not self.target.rounds:
            return pool
        kept: dict[str, Mapping[str, Value]] = {}
        for row in range(len(pool)):
            params = self.target.write(pool.config(row))
            kept.setdefault(repr(params), self.target.read(params, self.target.distributions))
        return Pool.from_configs(self.target.space, kept.values())
