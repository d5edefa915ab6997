"""Cheap GPs: one Gaussian process per cheaper experiment, in the target's coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autollmresearch.baselines.cheap_tables import CheapTable, cheap_tables
from autollmresearch.baselines.per_problem import per_problem
from autollmresearch.baselines.pooled_gp import regress
from autollmresearch.baselines.pooling import subset
from autollmresearch.evidence.records import Problem
from llmconfig_gym.parameter import FloatArray, Simplex

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Kernel

POINTS = 200
"""Most outcomes of an experiment that its process is fitted on, drawn at random."""


class CheapGP:
    """A process fitted to one cheaper experiment's losses, which it predicts in their own standard deviations.

    Attributes:
        mean, sd: [pool] what it says of the target's pool.
    """

    def __init__(self, table: CheapTable, problem: Problem) -> None:
        keep = subset(len(table.losses), POINTS)
        x, y = table.x[keep], standardised(table.losses)[keep]
        mixture = any(isinstance(p, Simplex) for p in problem.space.parameters)
        widths = 1 if mixture else x.shape[1]  # the weights of a mixture are alike and many
        optimizer = "fmin_l_bfgs_b" if len(x) > 2 else None
        self.model: GaussianProcessRegressor = regress(gp_prior(widths), x, y, optimizer=optimizer)
        self.mean, self.sd = self.model.predict(problem.pool.encoded, return_std=True)

    def draws(self, points: FloatArray, samples: int, rng: np.random.Generator) -> FloatArray:
        """[samples, n] joint draws of the process at points [n, width]."""
        mean, covariance = self.model.predict(points, return_cov=True)
        return rng.multivariate_normal(mean, covariance, size=samples, method="eigh")


def gp_prior(widths: int) -> Kernel:
    """Matern-5/2 with one length scale per coordinate (or one for all), and noise; for standardised outcomes."""
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    matern = Matern([1.0] * widths if widths > 1 else 1.0, (5e-2, 1e2), nu=2.5)
    return ConstantKernel(1.0, (1e-1, 1e2)) * matern + WhiteKernel(1e-2, (1e-5, 1.0))


def standardised(losses: FloatArray) -> FloatArray:
    """[..., n] zero mean and unit standard deviation along the last axis; zeros where all are alike."""
    if losses.shape[-1] == 0:
        return losses
    sd = losses.std(axis=-1, keepdims=True)
    return np.asarray((losses - losses.mean(axis=-1, keepdims=True)) / np.where(sd > 0, sd, 1.0))


@per_problem
def cheap_gps(problem: Problem) -> tuple[CheapGP, ...]:
    """One process per cheaper experiment, the nearest in fidelity first."""
    return tuple(CheapGP(table, problem) for table in cheap_tables(problem))
