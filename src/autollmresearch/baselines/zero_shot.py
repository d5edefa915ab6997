"""Zero-shot: a list of configurations that complement each other over the cheaper experiments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from autollmresearch.baselines.cheap_gps import cheap_gps
from autollmresearch.baselines.cheap_tables import SAME, cheap_tables
from autollmresearch.baselines.per_problem import per_problem
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Proposal, State
from llmconfig_gym.parameter import FloatArray


@dataclass(frozen=True)
class ZeroShotPolicy:
    """A list chosen greedily so that on average over the cheaper experiments its best member does well.

    Wistuba, Schilling and Schmidt-Thieme 2015, "Sequential model-free hyperparameter tuning": each next
    configuration is the one that lowers the mean over experiments of the least normalised loss in the list the most;
    where none lowers it any more, the one with the least mean loss goes next. Losses are normalised to [0, 1] in each
    experiment. What a table does not hold is predicted by a Gaussian process fitted to it, as Winkelmolen et al. 2020
    ("Practical and sample efficient zero-shot HPO") do with other surrogates. Outcomes on the target change nothing
    but that what was told is skipped. With nothing cheaper known it is random search.
    """

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        problem, untried = state.problem, set(state.untried().tolist())
        if not problem.cheaper or not untried:
            return RandomPolicy().propose([state])[0]
        place, row = next((i, row) for i, row in enumerate(greedy(pool_losses(problem)), start=1) if row in untried)
        reason = f"number {place} of a list that does well on {len(problem.cheaper)} cheaper experiments"
        return Proposal(problem.pool.config(row), reason)


@per_problem
def pool_losses(problem: Problem) -> FloatArray:
    """[experiments, pool] the loss of every configuration in every cheaper experiment: 0 is its best, 1 its worst.

    What is predicted beyond them counts as they do, so that no extrapolation looks better than what was measured.
    """
    result = []
    for table, model in zip(cheap_tables(problem), cheap_gps(problem), strict=True):
        low, high = float(table.losses.min()), float(table.losses.max())
        measured, apart = table.at(problem.pool.encoded)
        predicted = table.losses.mean() + table.losses.std() * model.mean
        losses = np.where(apart <= SAME, measured, predicted)
        result.append(np.clip((losses - low) / (high - low if high > low else 1.0), 0.0, 1.0))
    return np.stack(result)


def greedy(losses: FloatArray) -> Iterator[int]:
    """Every column of losses [experiments, pool], in the order in which the list takes them."""
    least, mean = np.ones(len(losses)), losses.mean(axis=0)
    left = np.ones(losses.shape[1], dtype=bool)
    while left.any():
        rows = np.flatnonzero(left)
        gained = np.minimum(losses[:, rows], least[:, None]).mean(axis=0)
        row = int(rows[np.lexsort((mean[rows], gained.round(12)))[0]])
        left[row] = False
        least = np.minimum(least, losses[:, row])
        yield row
