"""FSBO: a deep kernel trained on the cheaper experiments, adapted to the target's few trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autollmresearch.baselines.cheap_tables import cheap_tables
from autollmresearch.baselines.choosing import least_untried, log_improvement
from autollmresearch.baselines.deep_kernel import fine_tune, meta_train, posterior
from autollmresearch.baselines.per_problem import per_problem
from autollmresearch.baselines.pooling import clip_losses, subset
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Proposal, State
from llmconfig_gym.errors import need
from llmconfig_gym.parameter import FloatArray

if TYPE_CHECKING:
    from autollmresearch.baselines.deep_kernel import Weights

POINTS = 200
"""Most outcomes of a cheaper experiment that are used, drawn at random."""


@dataclass(frozen=True)
class FSBOPolicy:
    """Few-shot Bayesian optimisation (Wistuba and Grabocka 2021, "Few-shot Bayesian optimization with deep kernel
    surrogates"): a Gaussian process over a network's features, expected improvement.

    Attributes:
        startup: trials of the warm start, which the process does not choose.

    The kernel is trained on the problem's cheaper experiments, which are tasks over one space, as in the paper; what is
    known of other problems is not used, and no checkpoint is needed. At each turn it is adapted to the trials. The warm
    start is the paper's: configurations that together lose least on the cheaper experiments, whose losses where they
    were not measured the trained process predicts; they are chosen one by one, where the paper searches by evolution.
    Labels are goodness: 0 at the worst and 1 at the best of an experiment, or of the trials. With nothing cheaper known
    it is random search.
    """

    startup: int = 2

    def __post_init__(self) -> None:
        need("torch", "bench", "the method fsbo")

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        problem = state.problem
        if not problem.cheaper:
            return RandomPolicy().propose([state])[0]
        weights, good = _meta(problem)
        told, losses = state.told()
        if len(told) < self.startup:
            reached = good[:, told].max(axis=1, initial=-np.inf)
            together = np.maximum(good, reached[:, None]).mean(axis=0)
            return Proposal(least_untried(state, -together), f"warm start from {len(good)} cheaper experiments")
        x, y = problem.pool.encoded, goodness(clip_losses(losses, problem.clip))
        if len(told) > 1:
            weights = fine_tune(weights, x[told], y)
        mean, sd = posterior(weights, x[told], y, x)
        gain = log_improvement(-mean, sd, -float(y.max()))
        return Proposal(least_untried(state, -gain), f"most expected improvement after {len(told)} trials")


def goodness(losses: FloatArray) -> FloatArray:
    """[n] 1 at the least loss, 0 at the greatest; ones where all are alike."""
    worst, span = losses.max(), np.ptp(losses)
    return np.ones(len(losses)) if span == 0 else np.asarray((worst - losses) / span)


@per_problem
def _meta(problem: Problem) -> tuple[Weights, FloatArray]:
    """The trained kernel, and how good it expects the pool to be on each cheaper experiment [experiments, pool]."""
    tasks = []
    for table in cheap_tables(problem):
        rows = subset(len(table.losses), POINTS)
        tasks.append((table.x[rows], goodness(table.losses[rows])))
    weights = meta_train(tasks)
    return weights, np.stack([posterior(weights, x, y, problem.pool.encoded)[0] for x, y in tasks])
