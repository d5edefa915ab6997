"""Bounding box: search only where cheaper experiments had their best configurations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autollmresearch.baselines.cheap_tables import cheap_tables
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.policy import Proposal, State

ROUNDING = 1e-9


@dataclass(frozen=True)
class BoundingBoxPolicy:
    """Random search in the smallest box that holds the best configuration of every cheaper experiment.

    Perrone, Shen, Seeger, Archambeau and Jenatton 2019, "Learning search spaces for Bayesian optimization: another view
    of hyperparameter transfer learning". Numbers and the weights of a mixture lie between the least and the
    greatest of the best, categories are among them. Inside it is random search, the first of the optimisers that the
    paper puts there: with ten trials or fewer the others are random search for most of them.

    When all of the box was told, and where it holds no configuration of the target (of a single cheaper experiment it
    is a point), it grows until it touches the next one. With nothing cheaper known it is random search.
    """

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        rows = state.untried()
        if not state.problem.cheaper or len(rows) == 0:
            return RandomPolicy().propose([state])[0]
        best = np.stack([table.best for table in cheap_tables(state.problem)])
        pool = state.problem.pool.encoded[rows]
        outside = np.abs(pool - np.clip(pool, best.min(axis=0), best.max(axis=0))).max(axis=1)
        inside = rows[outside <= outside.min() + ROUNDING]
        config = state.problem.pool.config(int(state.rng().choice(inside)))
        return Proposal(config, f"one of {len(inside)} drawn at random from the box around the best of {len(best)}")
