"""MetaBO: an acquisition function that was learned by playing, a small network in the place of expected improvement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from autollmresearch.baselines.cheap_gps import cheap_gps, standardised
from autollmresearch.baselines.choosing import least_untried
from autollmresearch.baselines.pooling import clip_losses
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Proposal, State
from llmconfig_gym.parameter import FloatArray

CHECKPOINT = Path(__file__).with_name("metabo.npz")
"""The shipped network: matrices `w0`, `w1`, ... and offsets `b0`, `b1`, ... Plain arrays, so that choosing needs no
torch. recipes/baselines/metabo.yaml makes it."""

FEATURES = 8
"""What the network sees of a configuration."""

LONGEST = 10
"""Trials that count as one in the features of turn and budget."""


@dataclass(frozen=True)
class MetaBOPolicy:
    """Volpp et al. 2019, "Meta-learning acquisition functions for transfer learning in Bayesian optimization".

    A network scores every configuration by what a Gaussian process on the trials expects there (mean and standard
    deviation), the turn, the budget, and the configuration itself; it was trained by proximal policy optimisation, for
    the least regret, on problems like these. In the paper all problems share one space. Here spaces differ, so a
    configuration is told by what each cheaper experiment's process says of it (see `features`), and one network serves
    every space. The process's hyperparameters are those of the nearest cheaper experiment, as the paper's come from the
    source data. With nothing cheaper known it is random search.
    """

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        problem = state.problem
        if not problem.cheaper:
            return RandomPolicy().propose([state])[0]
        told, losses = state.told()
        prior = prior_of(problem)
        x = problem.pool.encoded
        cross, within = prior.covariance(x, x[told]), prior.covariance(x[told], x[told])
        y = clip_losses(losses, problem.clip)
        seen = features(prior.cheap, cross, within, prior.noise, y, problem.budget)
        scores = score(_shipped(), seen)
        return Proposal(least_untried(state, -scores), f"highest learned score after {len(told)} trials")


@dataclass(frozen=True, eq=False)
class Prior:
    """What is known before the first trial.

    Attributes:
        cheap: [pool, 4] of the nearest cheaper experiment and of the mean of all: how far above the best of the pool
            a loss is expected, and the standard deviation, in standard deviations of that experiment.
        kernel: of the process on the target, for standardised losses; it has unit variance.
        noise: its variance, over that of the process.
    """

    cheap: FloatArray
    kernel: object
    noise: float

    def covariance(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """[n, m] of points a [n, width] and b [m, width]."""
        return np.asarray(self.kernel(a, b)) if len(b) else np.zeros((len(a), 0))  # type: ignore[operator]


def prior_of(problem: Problem) -> Prior:
    """What the cheaper experiments' processes say of the pool, and the nearest one's kernel."""
    models = cheap_gps(problem)
    means, sds = np.stack([m.mean for m in models]), np.stack([m.sd for m in models])
    columns = [m - m.min() if i % 2 == 0 else m for i, m in enumerate((means[0], sds[0], means.mean(0), sds.mean(0)))]
    signal, white = models[0].model.kernel_.k1, models[0].model.kernel_.k2
    return Prior(np.stack(columns, axis=1), signal.k2, white.noise_level / signal.k1.constant_value)


def features(
    cheap: FloatArray, cross: FloatArray, within: FloatArray, noise: FloatArray | float, losses: FloatArray, budget: int
) -> FloatArray:
    """[..., pool, FEATURES] what the network sees, of one problem or of many that have had as many trials.

    Args:
        cheap: [..., pool, 4] see `Prior`.
        cross, within: [..., pool, n] and [..., n, n] covariances of the pool and of the trials with the trials.
        noise: [...] its variance.
        losses: [..., n] of the trials; they are standardised, and expected ones are told from the best of them.
        budget: trials in all.
    """
    n = losses.shape[-1]
    y = standardised(losses)
    covariance = within + (np.asarray(noise)[..., None, None] + 1e-6) * np.eye(n)
    weights = np.linalg.solve(covariance, np.swapaxes(cross, -1, -2))  # [..., n, pool]
    mean = np.einsum("...np,...n->...p", weights, y) - (y.min(axis=-1, keepdims=True) if n else 0.0)
    variance = 1 - np.einsum("...pn,...np->...p", cross, weights)
    sd = np.sqrt(np.maximum(variance, 0.0))
    turn = np.broadcast_to([n / LONGEST, budget / LONGEST], (*mean.shape, 2))
    return np.concatenate([mean[..., None], sd[..., None], cheap, turn], axis=-1)


def score(network: Mapping[str, FloatArray], seen: FloatArray) -> FloatArray:
    """[pool] of features [pool, FEATURES]: layers with rectified units between them."""
    layers = len(network) // 2
    for i in range(layers):
        seen = seen @ network[f"w{i}"] + network[f"b{i}"]
        if i < layers - 1:
            seen = np.maximum(seen, 0.0)
    return np.asarray(seen[..., 0])


@lru_cache(maxsize=1)
def _shipped() -> Mapping[str, FloatArray]:
    with np.load(CHECKPOINT, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
