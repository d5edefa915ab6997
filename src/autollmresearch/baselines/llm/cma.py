"""CMA-ES, replayed from the trials: mean, step size and covariance after all generations that are complete.

Written from Hansen, "The CMA Evolution Strategy: A Tutorial" (arXiv:1604.00772), appendix A, with positive weights.
What was run is learned from, whoever proposed it, so nothing needs to be kept between turns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from llmconfig_gym.parameter import FloatArray

STEP = 1 / 6
"""First step size, in widths of the range (the default of Optuna's CMA-ES sampler, which the Centaur paper uses)."""


@dataclass(frozen=True)
class Gaussian:
    """Where CMA-ES looks: `mean` [n], `step` > 0, `covariance` [n, n] of points in units of the step, squared."""

    mean: FloatArray
    step: float
    covariance: FloatArray

    @property
    def deviations(self) -> FloatArray:
        """[n] standard deviation of each coordinate."""
        return np.asarray(self.step * np.sqrt(np.diag(self.covariance)))

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """A point [n]."""
        scales, axes = _eigen(self.covariance)
        return np.asarray(self.mean + self.step * axes @ (scales * rng.standard_normal(len(scales))))


def population(width: int) -> int:
    """Trials of one generation."""
    return 4 + int(3 * math.log(width))


def replay(points: FloatArray, losses: FloatArray, width: int) -> Gaussian:
    """CMA-ES after these trials: points [trials, width] in the unit cube, losses [trials]."""
    n, size = width, population(width)
    raw = math.log((size + 1) / 2) - np.log(np.arange(1, size // 2 + 1))
    weights = raw / raw.sum()
    effective = 1 / float(np.square(weights).sum())
    c_step = (effective + 2) / (n + effective + 5)
    damping = 1 + 2 * max(0.0, math.sqrt((effective - 1) / (n + 1)) - 1) + c_step
    c_path = (4 + effective / n) / (n + 4 + 2 * effective / n)
    c_one = 2 / ((n + 1.3) ** 2 + effective)
    c_mu = min(1 - c_one, 2 * (effective - 2 + 1 / effective) / ((n + 2) ** 2 + effective))
    length = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))  # of a standard normal vector, expected

    mean, step, covariance = np.full(n, 0.5), STEP, np.eye(n)
    path, step_path = np.zeros(n), np.zeros(n)
    for generation in range(len(points) // size):
        part = slice(generation * size, (generation + 1) * size)
        best = np.argsort(losses[part], kind="stable")[: len(weights)]
        moves = (points[part][best] - mean) / step
        move = weights @ moves
        scales, axes = _eigen(covariance)
        whitened = axes @ ((axes.T @ move) / scales)
        step_path = (1 - c_step) * step_path + math.sqrt(c_step * (2 - c_step) * effective) * whitened
        norm = float(np.linalg.norm(step_path))
        fading = math.sqrt(1 - (1 - c_step) ** (2 * (generation + 1)))
        small = float(norm / fading < (1.4 + 2 / (n + 1)) * length)
        path = (1 - c_path) * path + small * math.sqrt(c_path * (2 - c_path) * effective) * move
        lost = (1 - small) * c_path * (2 - c_path)
        covariance = (
            (1 - c_one - c_mu + c_one * lost) * covariance
            + c_one * np.outer(path, path)
            + c_mu * (moves.T * weights) @ moves
        )
        mean = mean + step * move
        step *= math.exp(min(1.0, c_step / damping * (norm / length - 1)))
    return Gaussian(mean, step, covariance)


def _eigen(covariance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Square roots of the eigenvalues [n], none zero, and the eigenvectors as columns [n, n]."""
    values, axes = np.linalg.eigh(covariance)
    return np.sqrt(np.maximum(values, 1e-20)), axes
