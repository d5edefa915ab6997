"""Cheap tables: what is known of each cheaper experiment, in the target's coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autollmresearch.baselines.copy import distance
from autollmresearch.baselines.per_problem import per_problem
from autollmresearch.baselines.pooling import clip_losses
from autollmresearch.evidence.records import CheapRuns, Problem
from llmconfig_gym.parameter import FloatArray

SAME = 1e-3
"""Distance in the encoding below which two configurations are one: settings are written with three digits."""


@dataclass(frozen=True, eq=False)
class CheapTable:
    """One cheaper experiment.

    Attributes:
        runs: what was measured.
        x: [rows, width] its configurations in the target's coordinates.
        losses: [rows] diverged runs clipped as on the regret scale.
    """

    runs: CheapRuns
    x: FloatArray
    losses: FloatArray

    @property
    def best(self) -> FloatArray:
        """[width] its best configuration; the first of equals."""
        return np.asarray(self.x[int(np.argmin(self.losses))])

    def at(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """For each of points [n, width] the loss of the nearest configuration [n], and how far that is [n]."""
        from scipy.spatial import cKDTree

        apart, rows = cKDTree(self.x).query(points)
        return self.losses[rows], np.asarray(apart)


@per_problem  # moving 15,000 configurations to another space takes a second
def cheap_tables(problem: Problem) -> tuple[CheapTable, ...]:
    """All cheaper experiments, the nearest in fidelity first (see `copy`)."""
    nearest = sorted(problem.cheaper, key=lambda runs: distance(runs.fidelity, problem.fidelity))
    return tuple(
        CheapTable(runs, runs.encoded_in(problem.space), clip_losses(runs.losses, problem.clip)) for runs in nearest
    )
