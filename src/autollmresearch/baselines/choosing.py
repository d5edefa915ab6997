"""Choosing: from a score for every configuration of the pool to one that was not told yet."""

from __future__ import annotations

import numpy as np

from autollmresearch.policy import State
from llmconfig_gym.parameter import FloatArray
from llmconfig_gym.space import Config

FAR = -30.0
"""Standard deviations below the mean beyond which the asymptote is exact to one part in 300."""


def least_untried(state: State, scores: FloatArray) -> Config:
    """The untried configuration with the least of scores [pool]; ties go to the lowest row.

    When everything was told, the least of all.
    """
    rows = state.untried()
    if len(rows) == 0:
        rows = np.arange(len(state.problem.pool))
    return state.problem.pool.config(int(rows[int(np.argmin(scores[rows]))]))


def log_improvement(mean: FloatArray, sd: FloatArray, incumbent: float) -> FloatArray:
    """Logarithm of how much a normal outcome is expected to fall below the incumbent. Any shape.

    Expected improvement (Jones et al. 1998, equation 15); its logarithm still tells candidates apart where it is too
    small for a float, by its asymptote there.
    """
    from scipy.stats import norm

    sd = np.maximum(sd, 1e-12)
    z = (incumbent - mean) / sd
    near, far = np.maximum(z, FAR), np.minimum(z, FAR)
    shape = np.log(near * norm.cdf(near) + norm.pdf(near))
    return np.asarray(np.log(sd) + np.where(z >= FAR, shape, norm.logpdf(far) - 2 * np.log(-far)), dtype=np.float64)
