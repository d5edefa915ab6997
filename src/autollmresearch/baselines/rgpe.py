"""RGPE: one Gaussian process per cheaper experiment, weighed by how well each ranks the target's trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autollmresearch.baselines.cheap_gps import CheapGP, cheap_gps, gp_prior, standardised
from autollmresearch.baselines.choosing import least_untried, log_improvement
from autollmresearch.baselines.pooled_gp import regress
from autollmresearch.baselines.pooling import clip_losses
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.policy import Proposal, State
from llmconfig_gym.parameter import FloatArray

SAMPLES = 256
"""Draws of each model's ranking."""

FEWEST = 3
"""Trials before the target has a process of its own: leaving one out must leave a ranking."""


@dataclass(frozen=True)
class RGPEPolicy:
    """Expected improvement under a mean of processes, weighed by the probability that each ranks the trials best.

    Feurer, Letham and Bakshy 2018, "Scalable meta-learning for Bayesian optimization using ranking-weighted Gaussian
    process ensembles": a model's weight is the share of draws in which it misranks the fewest pairs of trials, ties
    shared equally; the target's own process is judged by leaving one out, and a process whose median number of
    misranked pairs is beyond 95 % of the target's draws is dropped. Before two trials nothing is ranked and all weights
    are equal, and the first trial is where the mean is least. The incumbent is the least mean among the trials, which
    stays on the ensemble's scale. With nothing cheaper known it is random search.
    """

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        if not state.problem.cheaper:
            return RandomPolicy().propose([state])[0]
        models = cheap_gps(state.problem)
        told, losses = state.told()
        rng = state.rng()
        x, y = state.problem.pool.encoded[told], standardised(clip_losses(losses, state.problem.clip))
        means, sds = [m.mean for m in models], [m.sd for m in models]
        own = None
        if len(told) >= FEWEST:
            process = regress(gp_prior(1), x, y, optimizer="fmin_l_bfgs_b")
            mean, sd = process.predict(state.problem.pool.encoded, return_std=True)
            means, sds = [*means, mean], [*sds, sd]
            own = _left_out(process.kernel_(x), y, rng)
        weights = _weights(models, x, y, own, rng)
        mean = np.einsum("m,mp->p", weights, np.stack(means))
        if len(told) == 0:
            return Proposal(least_untried(state, mean), f"least mean of {len(models)} cheaper experiments' processes")
        sd = np.sqrt(np.einsum("m,mp->p", np.square(weights), np.square(np.stack(sds))))
        gain = log_improvement(mean, sd, float(mean[told].min()))
        reason = f"most expected improvement under {int((weights > 0).sum())} of {len(weights)} processes"
        return Proposal(least_untried(state, -gain), reason)


def _weights(
    models: Sequence[CheapGP], x: FloatArray, y: FloatArray, own: FloatArray | None, rng: np.random.Generator
) -> FloatArray:
    """[models, and one for the target where it has a process] weights that sum to one.

    Args:
        x, y: [n, width] and [n] the trials.
        own: [samples, n] draws of the target's process at each trial, without it.
    """
    if len(y) < 2:
        return np.full(len(models), 1 / len(models))
    right = y[:, None] < y[None]
    drawn = [m.draws(x, SAMPLES, rng) for m in models]
    wrong = [((f[:, :, None] < f[:, None]) ^ right).sum(axis=(1, 2)) for f in drawn]
    if own is not None:
        misranked = ((own[:, :, None] < y) ^ right).sum(axis=(1, 2))
        limit = np.quantile(misranked, 0.95)
        kept = [np.where(np.median(w) > limit, np.inf, w) for w in wrong]
        wrong = [*kept, misranked]
    table = np.stack(wrong).astype(np.float64)
    least = table == table.min(axis=0)
    return np.asarray((least / least.sum(axis=0)).mean(axis=1))


def _left_out(covariance: FloatArray, y: FloatArray, rng: np.random.Generator) -> FloatArray:
    """[SAMPLES, n] draws of a process of this covariance [n, n] at each point, given the others (Rasmussen and
    Williams 2006, equations 5.10 to 5.12)."""
    inverse = np.linalg.inv(covariance)
    variance = 1 / np.diag(inverse)
    return y - (inverse @ y) * variance + np.sqrt(variance) * rng.standard_normal((SAMPLES, len(y)))
