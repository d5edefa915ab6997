"""Copy: what most practitioners do. Take the best configuration of the nearest cheaper experiment, then its
second best, and so on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.evidence.records import CheapRuns, Problem
from autollmresearch.policy import Proposal, State
from llmconfig_gym.experiment import Fidelity


@dataclass(frozen=True)
class CopyPolicy:
    """The best configurations of the nearest cheaper experiment, in order, skipping what was told already.

    Nearest means closest in the logarithms of the fidelity's numbers (parameters, tokens, ...), or of the cost where
    the experiments share no such number. When that experiment is exhausted, the next nearest follows; with nothing
    cheaper known it is random search.
    """

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        return best_cheap(state) or RandomPolicy().propose([state])[0]


def best_cheap(state: State) -> Proposal | None:
    """The best configuration of the nearest cheaper experiment that was not told yet; None when all were."""
    problem, untried = state.problem, set(state.untried().tolist())
    for rank, (runs, row) in enumerate(ranked(problem), start=1):
        config = problem.space.translate(runs.pool.config(row), runs.space)
        here = problem.pool.find(config)[0]
        if here in untried:
            return Proposal(problem.pool.config(here), f"rank {rank} among runs at {runs.fidelity.text()}")
    return None


def ranked(problem: Problem) -> Iterator[tuple[CheapRuns, int]]:
    """Cheaper runs from the nearest experiment's best to the farthest's worst."""
    for runs in sorted(problem.cheaper, key=lambda r: distance(r.fidelity, problem.fidelity)):
        for row in np.argsort(runs.losses, kind="stable"):
            yield runs, int(row)


def distance(a: Fidelity, b: Fidelity) -> float:
    """Euclidean distance of the logarithms of what both fidelities count; of their costs if that is no number."""
    pairs = [(a.values[k], b.values[k]) for k in a.values if k in b.values]
    numbers = [(x, y) for x, y in pairs if isinstance(x, int | float) and isinstance(y, int | float)]
    logs = [math.log(x / y) for x, y in numbers if x > 0 and y > 0] or [math.log(a.cost / b.cost)]
    return math.hypot(*logs)
