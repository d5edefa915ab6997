"""Random search without repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from autollmresearch.policy import Proposal, State


@dataclass(frozen=True)
class RandomPolicy:
    """A configuration drawn uniformly from those not told yet (Bergstra and Bengio, JMLR 2012)."""

    target_only: ClassVar[bool] = True

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        rows = state.untried()
        row = int(state.rng().choice(rows if len(rows) else len(state.problem.pool)))
        return Proposal(state.problem.pool.config(row), "drawn at random")
