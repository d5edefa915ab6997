"""Mixtures: a Gaussian process on the square roots of the weights, whose ranking carries over between fidelities.

The distance between two mixtures is Hellinger's (between the square roots of the weights): from 0 to 0.04 of a
domain matters as much as from 0.36 to 0.64, as where a domain's loss falls as a power of its weight (Ge et al. 2024, Ye
et al. 2024). For the same reason the prior mean prefers mixtures that leave nothing out: it falls with the sum of the
square roots. Other parameters of the space enter by their position in the range.
"""

from __future__ import annotations

import numpy as np

from autollmresearch.evidence.gp import Hyper, Kernel, Points, choose, condition
from autollmresearch.evidence.ordered import offset_prior, units
from autollmresearch.evidence.priors import PRIORS
from autollmresearch.evidence.records import Problem
from autollmresearch.evidence.rows import Rows
from llmconfig_gym.parameter import Categorical, FloatArray, Simplex
from llmconfig_gym.space import Space


def features(space: Space, encoded: FloatArray) -> FloatArray:
    """[n, width]: square roots of weights; positions; one-hot categories so that two differ by 1."""
    columns, start = [], 0
    for p in space.parameters:
        block = encoded[:, start : start + p.width]
        if isinstance(p, Simplex):
            block = np.sqrt(np.clip(block, 0.0, None))
        elif isinstance(p, Categorical):
            block = block * np.sqrt(0.5)
        columns.append(block)
        start += p.width
    return np.concatenate(columns, axis=1)


def diversity(space: Space, encoded: FloatArray) -> FloatArray:
    """[n] sum of the square roots of the weights, over all mixtures of the space."""
    total, start = np.zeros(len(encoded)), 0
    for p in space.parameters:
        if isinstance(p, Simplex):
            total += np.sqrt(np.clip(encoded[:, start : start + p.width], 0.0, None)).sum(axis=1)
        start += p.width
    return total


def strengths(rows: Rows, y: FloatArray) -> FloatArray:
    """[experiments] how much configurations matter in each, relative to the whole: spreads shrunk to each other.

    An experiment of few runs takes over the spread of the others; one with none (the target) that of the nearest.
    """
    count, prior = len(rows.fidelities), PRIORS["strength"].sd
    groups = [y[(rows.experiment == e) & ~rows.diverged] for e in range(count)]
    freedom = np.array([max(len(g) - 1, 0) for g in groups], dtype=np.float64)
    variances = np.array([g.var(ddof=1) if len(g) > 1 else 0.0 for g in groups])
    if freedom.sum() == 0 or not (pooled := float(freedom @ variances / freedom.sum())) > 0:
        return np.ones(count)
    shrunk = (freedom * variances + prior * pooled) / (freedom + prior)
    near = np.abs(rows.z).sum(axis=1) + np.where(freedom > 0, 0.0, np.inf)
    target = float(shrunk[int(np.argmin(near[:-1]))]) if count > 1 and np.isfinite(near[:-1]).any() else pooled
    shrunk[-1] = (freedom[-1] * variances[-1] + prior * target) / (freedom[-1] + prior)
    return np.asarray(np.sqrt(shrunk))


def fit_mixture(problem: Problem, rows: Rows, samples: int) -> tuple[FloatArray, float]:
    """Worlds [samples, n] of losses at the pool, and the noise of a single run."""
    space, unit = problem.space, units(problem, rows)
    y = unit.to(rows.losses)
    strength = strengths(rows, y)
    slope = PRIORS["level.exponent.loss"] if unit.log else PRIORS["level.exponent.other"]
    per = 1 / unit.spread if unit.log else 1.0
    level = (PRIORS["level"].sd, per * slope.sd, offset_prior(rows).sd)
    kernel = Kernel(strength, rows.z, PRIORS["fidelity.octaves"].mean, PRIORS["fidelity.other"].mean, level)
    prefer = PRIORS["mixture.diversity"].mean

    def mean(encoded: FloatArray, z: FloatArray, strength: FloatArray) -> FloatArray:
        known: FloatArray = per * slope.mean * z.sum(axis=1) - prefer * strength * diversity(space, encoded)
        return known

    z = rows.z[rows.experiment]
    points = Points(features(space, rows.encoded), rows.experiment)
    here = np.full(len(problem.pool), rows.target)
    pool = Points(features(space, problem.pool.encoded), here)
    residual = y - mean(rows.encoded, z, strength[rows.experiment])
    jitter = np.where(rows.diverged, 9.0, 0.0)
    size = float(np.median(strength))
    usual = Hyper(PRIORS["mixture.length"].mean, 1.0, PRIORS["mixture.noise"].mean * size)
    noises = [size * v for v in (0.1, 0.2, 0.35, 0.6)]
    hyper = choose(kernel, points, residual, jitter, (0.5, 0.75, 1.0, 1.5), (0.7, 1.0, 1.5), noises, usual)
    belief = condition(kernel, hyper, points, residual, jitter, pool, samples)
    centre = belief.mean + mean(problem.pool.encoded, rows.z[here], strength[here])
    losses = unit.back(centre + belief.draws)
    return losses, unit.sd(hyper.noise, float(losses.mean()))
