"""Quantile: a prior of how good a configuration is among all, in quantiles, corrected by a process on the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autollmresearch.baselines.cheap_gps import gp_prior
from autollmresearch.baselines.cheap_tables import cheap_tables
from autollmresearch.baselines.choosing import least_untried, log_improvement
from autollmresearch.baselines.per_problem import per_problem
from autollmresearch.baselines.pooled_gp import regress
from autollmresearch.baselines.pooling import clip_losses, subset
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Proposal, State
from llmconfig_gym.parameter import FloatArray

POINTS = 1000
"""Most cheap outcomes that the prior is fitted on, drawn at random."""

LAYERS = (50, 50, 50)
"""Hidden units of the prior's network, the paper's."""

ALPHA = 0.1
"""Penalty on the network's squared weights, in place of the paper's dropout."""

ITERATIONS = 100
"""Steps of L-BFGS; to stop early is a regularisation, too."""

FOLDS = 3
"""Parts of the cheap outcomes that are held out in turn, to learn how far the prior is off."""


@dataclass(frozen=True)
class QuantilePolicy:
    """The Gaussian copula process (GCP) of Salinas, Shen and Perrone 2020.

    "A quantile-based approach for hyperparameter transfer learning": each experiment's losses become normal scores (the
    normal quantile of a loss's share of smaller ones, cut off at both ends), so that scales and blow-ups do not
    matter; one network predicts the scores of all cheaper experiments from the configuration; a Gaussian process on the
    target's residuals, divided by the prior's spread, corrects it, and expected improvement chooses. The spread is the
    same everywhere (the paper's network also predicts it): the root mean square residual of held-out outcomes.

    The mean of the residuals is taken out before: trials are mostly good ones, so that their quantiles among themselves
    say nothing of how good all of them are. The first trial is where the prior's mean is least. With nothing cheaper
    known it is random search.
    """

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        problem = state.problem
        if not problem.cheaper:
            return RandomPolicy().propose([state])[0]
        prior, spread = _prior(problem)
        told, losses = state.told()
        if len(told) == 0:
            return Proposal(least_untried(state, prior), "least expected quantile among cheaper experiments")
        scores = normal_scores(clip_losses(losses, problem.clip))
        x = problem.pool.encoded
        optimizer = "fmin_l_bfgs_b" if len(told) > 2 else None
        residuals = (scores - prior[told]) / spread
        shift = residuals.mean()
        process = regress(gp_prior(1), x[told], residuals - shift, optimizer=optimizer, normalize=False)
        mean, sd = process.predict(x, return_std=True)
        gain = log_improvement(prior + spread * (shift + mean), spread * sd, float(scores.min()))
        return Proposal(least_untried(state, -gain), f"most expected improvement in quantiles after {len(told)} trials")


def normal_scores(losses: FloatArray) -> FloatArray:
    """[n] the normal quantile of the share of losses that are no greater, ties alike; 0 for a single one.

    The share is cut off at d and 1 - d with d = 1 / (4 n^(1/4) sqrt(pi log n)) (Liu, Lafferty and Wasserman 2009,
    section 3), without which the best would lie at minus infinity.
    """
    from scipy.stats import norm, rankdata

    n = len(losses)
    if n == 1:
        return np.zeros(1)
    cut = 1 / (4 * n**0.25 * np.sqrt(np.pi * np.log(n)))
    return np.asarray(norm.ppf(np.clip(rankdata(losses, method="max") / n, cut, 1 - cut)), dtype=np.float64)


@per_problem
def _prior(problem: Problem) -> tuple[FloatArray, float]:
    """[pool] the score that the cheaper experiments let expect, and by how much it is usually off."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.neural_network import MLPRegressor

    tables = cheap_tables(problem)
    x = np.concatenate([table.x for table in tables])
    y = np.concatenate([normal_scores(table.losses) for table in tables])
    keep = subset(len(y), POINTS)
    x, y = x[keep], y[keep]
    network = MLPRegressor(hidden_layer_sizes=LAYERS, solver="lbfgs", alpha=ALPHA, max_iter=ITERATIONS, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        spread = 1.0
        if len(y) >= 2 * FOLDS:
            held_out = cross_val_predict(network, x, y, cv=KFold(FOLDS, shuffle=True, random_state=0))
            spread = max(float(np.sqrt(np.square(y - held_out).mean())), 1e-2)
        return network.fit(x, y).predict(problem.pool.encoded), spread
