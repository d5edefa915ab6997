"""Pooled quadratic: a plain regression of the loss on a full quadratic in configuration and log fidelity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autollmresearch.baselines.per_problem import per_problem
from autollmresearch.baselines.pooling import FidelityScale, clip_losses
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Proposal, State
from llmconfig_gym.parameter import FloatArray

RIDGE = 1e-3
"""Penalty on standardised coefficients: with fewer outcomes than terms least squares has no single answer."""


@dataclass(frozen=True)
class PooledQuadraticPolicy:
    """Greedy on a ridge regression on all squares and products of encoded configuration and log fidelities.

    What a response-surface textbook would do (Box and Wilson 1951) with the cheaper outcomes of all fidelities and the
    target's own in one table. Diverged runs are clipped as on the regret scale. With nothing known it is random search.
    """

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import PolynomialFeatures, StandardScaler

        problem = state.problem
        if not problem.cheaper:
            return RandomPolicy().propose([state])[0]
        pool, x, y = _table(problem)
        told, losses = state.told()
        model = make_pipeline(PolynomialFeatures(2, include_bias=False), StandardScaler(), Ridge(RIDGE))
        model.fit(np.concatenate([pool[told], x]), np.concatenate([clip_losses(losses, problem.clip), y]))
        rows = state.untried()
        if len(rows) == 0:
            rows = np.arange(len(pool))
        best = int(rows[int(np.argmin(model.predict(pool[rows])))])
        count = len(told) + len(y)
        return Proposal(problem.pool.config(best), f"least prediction of a quadratic regression over {count} outcomes")


@per_problem  # moving 15,000 configurations to another space takes a second
def _table(problem: Problem) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Features of the pool and of the cheaper outcomes, and their losses."""
    scale = FidelityScale(problem)
    pool = np.concatenate([problem.pool.encoded, scale.rows(problem.fidelity, len(problem.pool))], axis=1)
    encoded = np.concatenate([runs.encoded_in(problem.space) for runs in problem.cheaper])
    fidelity = np.concatenate([scale.rows(runs.fidelity, len(runs.losses)) for runs in problem.cheaper])
    losses = np.concatenate([clip_losses(runs.losses, problem.clip) for runs in problem.cheaper])
    return pool, np.concatenate([encoded, fidelity], axis=1), losses
