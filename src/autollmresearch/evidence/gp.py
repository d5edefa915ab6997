"""A Gaussian process over configurations that are alike at all fidelities, conditioned on runs of several.

    y = level(z) + offset_e + r_e g(x, e) + noise

`g` has a Matern-5/2 kernel in features of the configuration, times a correlation between experiments that falls with
the octaves between their fidelities (an autoregressive process in fidelity, as Kennedy and O'Hagan 2000, so a nearer
experiment counts more), plus a linear part if asked for. The level is a straight line in the octaves under a prior,
with an offset per experiment. `r_e` says how much configurations matter in an experiment. Length scale, height and
noise maximise the marginal likelihood times a prior on a small grid: no optimiser to get stuck, the same answer every
time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.parameter import FloatArray

LANDMARKS = 200
"""Candidates at which worlds are drawn jointly; the others follow by interpolation."""

FIT_POINTS = 150
"""Runs on which the hyperparameters are chosen."""


@dataclass(frozen=True)
class Hyper:
    """Hyperparameters: all lengths in units of the features, heights and noise in units of y."""

    length: float
    height: float
    noise: float


@dataclass(frozen=True, eq=False)
class Points:
    """n points: features [n, f] and the index of their experiment [n]."""

    x: FloatArray
    experiment: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> Points:
        """These rows only."""
        return Points(self.x[rows], self.experiment[rows])

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, eq=False)
class Kernel:
    """What is fixed before hyperparameters: how fidelities hang together, and the priors of the level.

    Attributes:
        strength: [experiments] r_e.
        z: [experiments, names] octaves from the target.
        octaves: distance in fidelity at which the correlation has fallen to 1/e.
        other: correlation between two experiments beyond what their distance says.
        level: sd of the common level, of its slope per octave, and of an experiment's offset.
        linear: variance of a linear part in the features, relative to the height.
    """

    strength: FloatArray
    z: FloatArray
    octaves: float
    other: float
    level: tuple[float, float, float]
    linear: float = 0.0

    def shape(self, hyper: Hyper, a: Points, b: Points) -> FloatArray:
        """Covariance of r_e g between two sets of points, [len(a), len(b)]."""
        k = matern(distance(a.x, b.x) / hyper.length)
        if self.linear:
            k += self.linear * a.x @ b.x.T
        far = np.abs(self.z[:, None, :] - self.z[None]).sum(axis=2)
        between = np.exp(-far / self.octaves) * np.where(np.eye(len(far), dtype=bool), 1.0, self.other)
        between *= hyper.height**2 * np.outer(self.strength, self.strength)
        k *= between[a.experiment[:, None], b.experiment[None]]
        return k

    def whole(self, hyper: Hyper, a: Points, b: Points) -> FloatArray:
        """Covariance with the level, [len(a), len(b)]."""
        common, slope, offset = self.level
        level = common**2 + slope**2 * self.z @ self.z.T + offset**2 * np.eye(len(self.z))
        k = self.shape(hyper, a, b)
        k += level[a.experiment[:, None], b.experiment[None]]
        return k


def matern(distance: FloatArray) -> FloatArray:
    """Matern-5/2 correlation at a distance in length scales, any shape."""
    d = np.sqrt(5.0) * distance
    return np.asarray((1 + d + np.square(d) / 3) * np.exp(-d))


def distance(a: FloatArray, b: FloatArray) -> FloatArray:
    """Euclidean distances between rows, [len(a), len(b)]."""
    square = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None] - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(square, 0.0)))


def choose(
    kernel: Kernel,
    points: Points,
    y: FloatArray,
    jitter: FloatArray,
    lengths: Sequence[float],
    heights: Sequence[float],
    noises: Sequence[float],
    usual: Hyper,
    width: float = 0.3,
) -> Hyper:
    """The hyperparameters of the grid that are most probable given y [n]; `usual` is the mode of their prior.

    Args:
        jitter: [n] further noise variance of single runs (diverged ones).
        width: sd of the prior, in natural logarithms of each hyperparameter.
    """
    if len(y) < 3:
        return usual
    rows = np.unique(np.linspace(0, len(y) - 1, min(len(y), FIT_POINTS)).astype(np.int64))
    points, y, jitter = points.take(rows), y[rows], jitter[rows]
    best, answer = -np.inf, usual
    for length in lengths:
        unit = replace(usual, length=length, height=1.0)
        shape = kernel.shape(unit, points, points)
        level = kernel.whole(unit, points, points) - shape
        for height, noise in product(heights, noises):
            hyper = Hyper(length, height, noise)
            covariance = height**2 * shape + level + np.diag(noise**2 + jitter)
            value = _evidence(covariance, y)
            for a, b in ((length, usual.length), (height, usual.height), (noise, usual.noise)):
                value -= 0.5 * (np.log(a / b) / width) ** 2
            if value > best:
                best, answer = value, hyper
    return answer


def _evidence(covariance: FloatArray, y: FloatArray) -> float:
    """Log marginal likelihood up to a constant."""
    from scipy.linalg import solve_triangular

    factor = cholesky(covariance)
    half = solve_triangular(factor, y, lower=True, check_finite=False)
    return float(-0.5 * half @ half - np.log(np.diag(factor)).sum())


def cholesky(matrix: FloatArray) -> FloatArray:
    """A Cholesky factor, with as little added to the diagonal as makes it possible."""
    size = float(np.mean(np.diag(matrix))) if len(matrix) else 1.0
    for extra in (1e-10, 1e-8, 1e-6, 1e-4):
        try:
            return np.asarray(np.linalg.cholesky(matrix + extra * size * np.eye(len(matrix))))
        except np.linalg.LinAlgError:
            continue
    return np.asarray(np.linalg.cholesky(matrix + 1e-2 * size * np.eye(len(matrix))))


@dataclass(frozen=True, eq=False)
class Belief:
    """What a process says of the candidates.

    Attributes:
        mean: [candidates].
        draws: [samples, candidates] joint deviations from the mean.
    """

    mean: FloatArray
    draws: FloatArray


def condition(
    kernel: Kernel,
    hyper: Hyper,
    points: Points,
    y: FloatArray,
    jitter: FloatArray,
    candidates: Points,
    samples: int,
    seed: int = 0,
) -> Belief:
    """The process at the candidates given y [n]; with `samples` joint draws around its mean."""
    from scipy.linalg import solve_triangular

    factor = cholesky(kernel.whole(hyper, points, points) + np.diag(hyper.noise**2 + jitter))
    half = solve_triangular(factor, kernel.whole(hyper, points, candidates), lower=True, check_finite=False)
    mean = half.T @ solve_triangular(factor, y, lower=True, check_finite=False)
    if samples == 0:
        return Belief(mean, np.zeros((0, len(mean))))
    rows = landmarks(mean)
    marks = candidates.take(rows)
    root = cholesky(kernel.whole(hyper, marks, marks) - half[:, rows].T @ half[:, rows])
    normal = centred_normal(samples, len(rows), seed)
    if len(rows) == len(candidates):
        return Belief(mean, normal @ root.T)
    across = kernel.whole(hyper, candidates, marks) - half.T @ half[:, rows]
    weights = solve_triangular(root, normal.T, lower=True, trans="T", check_finite=False)
    return Belief(mean, (across @ weights).T)


def centred_normal(samples: int, size: int, seed: int) -> FloatArray:
    """Standard normal draws [samples, size] whose mean over the samples is zero: a mean needs no noise of its own."""
    draws = np.random.default_rng(seed).standard_normal((samples, size))
    return np.asarray(draws - draws.mean(axis=0) if samples > 1 else draws)


def landmarks(mean: FloatArray) -> NDArray[np.int64]:
    """The best half of the landmarks' number of candidates, and others spread evenly over the rest."""
    if len(mean) <= LANDMARKS:
        return np.arange(len(mean))
    order = np.argsort(mean, kind="stable")
    rest = np.linspace(LANDMARKS // 2, len(mean) - 1, LANDMARKS - LANDMARKS // 2).astype(np.int64)
    return np.sort(np.concatenate([order[: LANDMARKS // 2], order[rest]]))
