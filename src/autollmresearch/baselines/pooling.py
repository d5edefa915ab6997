"""Pooling: outcomes of several fidelities as one regression table, as the pooled baselines use them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autollmresearch.evidence.records import Problem
from llmconfig_gym.experiment import Fidelity
from llmconfig_gym.parameter import FloatArray


class FidelityScale:
    """Fidelity as features: the logarithm of every number that differs, 0 at the least and `top` at the greatest.

    Words, numbers that are not positive and numbers shared by all say nothing about a trend and are left out.
    """

    def __init__(self, problem: Problem, top: float = 1.0) -> None:
        self.top = top
        values = [f.values for f in (*(runs.fidelity for runs in problem.cheaper), problem.fidelity)]
        shared = [k for k in problem.fidelity.values if all(_positive(v.get(k)) for v in values)]
        self.names = [k for k in shared if len({v[k] for v in values}) > 1]
        logs = np.log(np.array([[float(v[k]) for k in self.names] for v in values], dtype=np.float64))
        self.low, self.high = logs.min(axis=0), logs.max(axis=0)

    def rows(self, fidelity: Fidelity, count: int) -> FloatArray:
        """The features of one fidelity, repeated: [count, names]."""
        logs = np.log(np.array([float(fidelity.values[k]) for k in self.names], dtype=np.float64))
        return np.tile(np.asarray(self.top * (logs - self.low) / (self.high - self.low), dtype=np.float64), (count, 1))


def clip_losses(losses: FloatArray, clip: float | None) -> FloatArray:
    """Losses of one experiment with diverged runs clipped as on the regret scale."""
    if clip is None or len(losses) == 0:
        return losses
    best = float(losses.min())
    return np.minimum(losses, best + (clip - 1) * abs(best))


def subset(count: int, size: int) -> NDArray[np.int64]:
    """At most `size` of `count` rows, drawn at random but always the same."""
    if count <= size:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, size=size, replace=False))


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and value > 0
