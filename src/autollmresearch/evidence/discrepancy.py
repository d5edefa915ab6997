"""Discrepancy: what a structured model leaves out, corrected where the target itself has been told.

To each world is added a smooth random deviation, and one of each configuration for itself: what a single run and its
seed add, of which a neighbour's outcome says nothing. All are then conditioned on the told outcomes by Matheron's rule
(Journel and Huijbregts 1978; Wilson et al. 2020, arXiv:2002.09309). The worlds keep their own correlations: with
`joint`, an outcome also says which worlds were nearer to the truth (an ensemble Kalman update), for models that were
fitted without it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autollmresearch.evidence.gp import centred_normal, cholesky, distance, landmarks, matern
from llmconfig_gym.parameter import FloatArray


def correct(
    worlds: FloatArray,
    features: FloatArray,
    told: NDArray[np.int64],
    losses: FloatArray,
    noise: FloatArray,
    sd: float,
    length: float,
    *,
    joint: bool,
    own: float = 0.0,
) -> FloatArray:
    """Worlds [samples, n] with a deviation of this sd and length scale in `features` [n, f], given told outcomes.

    Args:
        own: standard deviation of what each configuration has for itself.
        told, losses, noise: [m] rows, their outcomes, and the standard deviation of each outcome.
        joint: whether the worlds do not know of the told outcomes yet.
    """
    from scipy.linalg import cho_factor, cho_solve, solve_triangular

    rows = landmarks(worlds.mean(axis=0))
    marks = features[rows]
    root = cholesky(sd**2 * matern(distance(marks, marks) / length))
    weights = solve_triangular(root, centred_normal(len(worlds), len(rows), 1).T, lower=True, trans="T")
    moved = worlds + (sd**2 * matern(distance(features, marks) / length) @ weights).T
    moved += own * _independent(*worlds.shape)
    if len(told) == 0:
        return moved
    across = sd**2 * matern(distance(features, features[told]) / length)
    across[told, np.arange(len(told))] += own**2
    if joint:
        centred = worlds - worlds.mean(axis=0)
        across = across + centred.T @ centred[:, told] / max(len(worlds) - 1, 1)
    inside = across[told] + np.diag(np.square(noise) + 1e-10 * (sd**2 + float(np.square(noise).max())))
    seen = losses + noise * centred_normal(len(worlds), len(told), 2)
    return np.asarray(moved + cho_solve(cho_factor(inside), (seen - moved[:, told]).T).T @ across.T)


def _independent(samples: int, n: int) -> FloatArray:
    """Standard normal draws [samples, n], the same values in every column, each in an order of its own.

    A Latin hypercube (McKay et al. 1979): of thousands of candidates none looks better for the luck of its draws.
    """
    from scipy.special import ndtri

    values = ndtri((np.arange(samples) + 0.5) / samples)
    return np.random.default_rng(3).permuted(np.tile(values[:, None], (1, n)), axis=0)
