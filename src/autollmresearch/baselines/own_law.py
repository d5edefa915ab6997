"""Own law: a scaling law fitted to the cheap runs at hand, read off at the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autollmresearch.baselines.cheap_tables import cheap_tables
from autollmresearch.baselines.pooling import FidelityScale
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Proposal, State, nearest_untried
from llmconfig_gym.parameter import FloatArray, Ordered

FEWEST = 5
"""Runs of an experiment whose best counts."""


@dataclass(frozen=True)
class OwnLawPolicy:
    """Each numeric setting's best value as a power law of the fidelity's numbers; then what lies nearest around it.

    What practitioners do (Kaplan et al. 2020, DeepSeek-AI 2024, section 3.1): least squares, on logarithms, through the
    best configuration of each cheaper experiment. A setting on a linear scale follows a straight line in the logarithms
    of fidelity, one marked relative keeps to its position in the range. Where there are fewer experiments than
    coefficients, the smallest exponents that pass through all of them are taken. Experiments of which fewer than five
    runs are known do not count, whose best is chance; where fewer than two count, the best of the nearest experiment is
    copied. So it is for categories and the weights of mixtures, which follow no power law.
    """

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        if not state.problem.cheaper:
            return RandomPolicy().propose([state])[0]
        point, count = _predicted(state.problem)
        law = f"a power law through the best of {count} cheaper experiments"
        reason = f"nearest to {law if count > 1 else 'the best of the nearest cheaper experiment'}"
        return Proposal(nearest_untried(state, point), reason)


def _predicted(problem: Problem) -> tuple[FloatArray, int]:
    """[width] where the best configuration of the target is expected, and the experiments it rests on."""
    point = cheap_tables(problem)[0].best.copy()
    tables = [table for table in cheap_tables(problem) if len(table.losses) >= FEWEST]
    if len(tables) < 2:
        return point, 1
    scale = FidelityScale(problem)
    fidelities = np.concatenate([scale.rows(table.runs.fidelity, 1) for table in tables])
    target = scale.rows(problem.fidelity, 1)[0]
    best = np.stack([table.best for table in tables])
    # Centred, the solution of least norm has the smallest exponents rather than the smallest settings.
    slopes = np.linalg.lstsq(fidelities - fidelities.mean(axis=0), best - best.mean(axis=0), rcond=1e-9)[0]
    law = np.clip(best.mean(axis=0) + (target - fidelities.mean(axis=0)) @ slopes, 0.0, 1.0)
    start = 0
    for p in problem.space.parameters:
        if isinstance(p, Ordered) and scale.names:
            point[start] = law[start]
        start += p.width
    return point, len(tables)
