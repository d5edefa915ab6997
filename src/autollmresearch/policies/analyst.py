"""The analyst as a policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autollmresearch.evidence.analyst import fit
from autollmresearch.evidence.posterior import proposals
from autollmresearch.policy import Proposal, State


@dataclass(frozen=True)
class AnalystPolicy:
    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        problem = state.problem
        posterior = fit(problem, state.trials)
        left = max(problem.budget - len(state.trials), 1)
        row = int(proposals(posterior, left)[0])
        return Proposal(problem.pool.config(row), "analyst")
