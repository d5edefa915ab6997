"""Pooled GP: one Gaussian process over all cheaper outcomes and the target's own, with fidelity as a feature."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from autollmresearch.baselines.pooling import FidelityScale, clip_losses, subset
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Proposal, State
from llmconfig_gym.parameter import FloatArray, Simplex

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Kernel

FIT_POINTS = 300
"""Outcomes on which the kernel's hyperparameters are fitted."""

MIXTURE_FIDELITY = 0.1
"""How far apart the cheapest experiment and the target are, in units of a mixture's weights."""


@dataclass(frozen=True)
class PooledGPPolicy:
    """Greedy on the posterior mean of a GP with a Matern-5/2 ARD kernel over (configuration, log fidelity).

    Attributes:
        points: most outcomes the GP is conditioned on, drawn at random (exact inference grows with the cube).

    Outcomes vary slowly with fidelity: its length scales are at least the whole range from the cheapest experiment to
    the target, without which nothing known would say anything about a target beyond it. The weights of a mixture are
    alike and many, so they share one length scale, and the range of fidelity counts a tenth of a weight's. Both were
    chosen on low -> medium pairs (docs/log.md).

    Kernel hyperparameters are fitted once per problem on the cheaper outcomes, by marginal likelihood; each trial
    on the target then joins the data. Diverged runs are clipped as on the regret scale.
    """

    points: int = 800

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        if not state.problem.cheaper:
            return RandomPolicy().propose([state])[0]
        fits = _fitted.setdefault(state.problem, {})
        if self.points not in fits:
            fits[self.points] = _Pooled(state.problem, self.points)
        return fits[self.points].propose(state)


_fitted: WeakKeyDictionary[Problem, dict[int, _Pooled]] = WeakKeyDictionary()
"""Fits by problem: what a fit depends on is the problem alone, so episodes that share one share its fit."""


class _Pooled:
    """The cheaper outcomes as regression data, and a kernel fitted to them."""

    def __init__(self, problem: Problem, points: int) -> None:
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        mixture = any(isinstance(p, Simplex) for p in problem.space.parameters)
        scale = FidelityScale(problem, MIXTURE_FIDELITY if mixture else 1.0)
        encoded = np.concatenate([runs.encoded_in(problem.space) for runs in problem.cheaper])
        fidelity = np.concatenate([scale.rows(runs.fidelity, len(runs.losses)) for runs in problem.cheaper])
        losses = np.concatenate([clip_losses(runs.losses, problem.clip) for runs in problem.cheaper])
        features = np.concatenate([encoded, fidelity], axis=1)
        keep = subset(len(losses), points)
        self.x, self.y = features[keep], losses[keep]
        pool = problem.pool.encoded
        self.x_pool = np.concatenate([pool, scale.rows(problem.fidelity, len(pool))], axis=1)
        if mixture:
            kernel = Matern(1.0, (5e-2, 1e2), nu=2.5)
        else:
            settings, scales = encoded.shape[1], fidelity.shape[1]
            bounds = [(5e-2, 1e2)] * settings + [(1.0, 1e2)] * scales
            kernel = Matern([1.0] * settings + [2.0] * scales, bounds, nu=2.5)
        sample = subset(len(self.y), FIT_POINTS)
        prior = ConstantKernel(1.0, (1e-2, 1e3)) * kernel + WhiteKernel(1e-2, (1e-6, 1.0))
        self.kernel = regress(prior, self.x[sample], self.y[sample], optimizer="fmin_l_bfgs_b").kernel_

    def propose(self, state: State) -> Proposal:
        told, losses = state.told()
        x = np.concatenate([self.x, self.x_pool[told]])
        y = np.concatenate([self.y, clip_losses(losses, state.problem.clip)])
        rows = state.untried()
        if len(rows) == 0:
            rows = np.arange(len(self.x_pool))
        mean = regress(self.kernel, x, y, optimizer=None).predict(self.x_pool[rows])
        config = state.problem.pool.config(int(rows[int(np.argmin(mean))]))
        return Proposal(config, f"least posterior mean of a Gaussian process over {len(x)} outcomes")


def regress(
    kernel: Kernel, x: FloatArray, y: FloatArray, *, optimizer: str | None, normalize: bool = True
) -> GaussianProcessRegressor:
    """A Gaussian process given x [n, features] and y [n], which it standardises unless told not to."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound is an irrelevant feature
        return GaussianProcessRegressor(kernel, optimizer=optimizer, normalize_y=normalize).fit(x, y)
