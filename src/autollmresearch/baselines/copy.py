"""Copy: what most practitioners do. Take the best configuration of the nearest cheaper experiment, then its
second best, and so on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.evidence.records import CheapRuns
from autollmresearch.policy import Proposal, State, nearest_untried


@dataclass(frozen=True)
class CopyPolicy:
    """The best untried configurations of the nearest cheaper experiment, in order.

    Nearest means closest in the logarithm of cost. When that experiment is exhausted, the next nearest follows;
    with nothing cheaper known it is random search.
    """

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        problem = state.problem
        turn = len(state.trials)
        for position, (runs, row) in enumerate(_ranked(state)):
            if position == turn:
                point = problem.space.encode(problem.space.translate(runs.pool.config(row), runs.space))
                return Proposal(
                    nearest_untried(state, point), f"rank {turn + 1} among the runs at {runs.fidelity.text()}"
                )
        return RandomPolicy().propose([state])[0]


def _ranked(state: State) -> Iterator[tuple[CheapRuns, int]]:
    """Cheaper runs from the nearest experiment's best to the farthest's worst."""
    target = np.log(state.problem.fidelity.cost)
    for runs in sorted(state.problem.cheaper, key=lambda r: abs(float(np.log(r.fidelity.cost)) - target)):
        for row in np.argsort(runs.losses, kind="stable"):
            yield runs, int(row)
