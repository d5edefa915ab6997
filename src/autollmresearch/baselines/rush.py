"""RUSH: the best configuration of every cheaper experiment first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autollmresearch.baselines.copy import ranked
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.policy import Proposal, State


@dataclass(frozen=True)
class RushPolicy:
    """The best configuration of each cheaper experiment, nearest experiment first; then random search.

    Zappella, Salinas and Archambeau 2021, "A resource-efficient method for repeated HPO and NAS problems". Its other
    half stops runs at low resources that do worse than the best of these did there; at full fidelity alone, where a
    run cannot be stopped, this start is what is left of it.
    """

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        problem, untried, seen = state.problem, set(state.untried().tolist()), set()
        for runs, row in ranked(problem):
            if id(runs) in seen:
                continue
            seen.add(id(runs))
            here = problem.pool.find(problem.space.translate(runs.pool.config(row), runs.space))[0]
            if here in untried:
                return Proposal(problem.pool.config(here), f"the best of the runs at {runs.fidelity.text()}")
        return RandomPolicy().propose([state])[0]
