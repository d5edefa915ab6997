"""Rank average: the configurations that did best on average over the cheaper experiments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autollmresearch.baselines.cheap_tables import cheap_tables
from autollmresearch.baselines.choosing import least_untried
from autollmresearch.baselines.per_problem import per_problem
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Proposal, State
from llmconfig_gym.parameter import FloatArray


@dataclass(frozen=True)
class RankAveragePolicy:
    """The pool in the order of its mean rank over the cheaper experiments, skipping what was told already.

    A configuration that a table does not hold has the loss of the nearest one it does; of equal mean ranks, which are
    many where few runs are known, the one nearest to what was measured goes first. With nothing cheaper known it is
    random search.
    """

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        problem = state.problem
        if not problem.cheaper:
            return RandomPolicy().propose([state])[0]
        count = len(problem.cheaper)
        return Proposal(least_untried(state, _place(problem)), f"least mean rank over {count} cheaper experiments")


@per_problem
def _place(problem: Problem) -> FloatArray:
    """[pool] the place of every configuration, 0 the first."""
    from scipy.stats import rankdata

    found = [table.at(problem.pool.encoded) for table in cheap_tables(problem)]
    ranks = np.mean([rankdata(losses) for losses, _ in found], axis=0)
    apart = np.mean([distances for _, distances in found], axis=0)
    places = np.empty(len(ranks))
    places[np.lexsort((apart.round(9), ranks.round(9)))] = np.arange(len(ranks))
    return places
