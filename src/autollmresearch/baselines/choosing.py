"""Choosing: from a score for every configuration of the pool to one that was not told yet."""

from __future__ import annotations

import numpy as np

from autollmresearch.policy import State
from llmconfig_gym.parameter import FloatArray
from llmconfig_gym.space import Config


def least_untried(state: State, scores: FloatArray) -> Config:
    """The untried configuration with the least of scores [pool]; ties go to the lowest row.

    When everything was told, the least of all.
    """
    rows = state.untried()
    if len(rows) == 0:
        rows = np.arange(len(state.problem.pool))
    return state.problem.pool.config(int(rows[int(np.argmin(scores[rows]))]))


def expected_improvement(mean: FloatArray, sd: FloatArray, incumbent: float) -> FloatArray:
    """How much a normal outcome is expected to fall below the incumbent (Jones et al. 1998, equation 15). Any shape."""
    from scipy.stats import norm

    sd = np.maximum(sd, 1e-12)
    z = (incumbent - mean) / sd
    return np.asarray(sd * (z * norm.cdf(z) + norm.pdf(z)), dtype=np.float64)
