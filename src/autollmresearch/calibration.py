"""Calibration: whether what is called probable comes true as often as it was called.

A policy that weighs all configurations names the likeliest to be best, with probabilities (`Proposal.candidates`). Each
is a forecast: that of all configurations that were not tried before, the table holds the best outcome at this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from autollmresearch.episode import Trajectory
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.parameter import FloatArray

EDGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 1.0)
"""Bounds of the bins; finer below, where most forecasts are."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Forecasts p [n] in [0, 1], and whether each came true [n]; they add up."""

    forecast: FloatArray = field(default_factory=lambda: np.zeros(0))
    came: FloatArray = field(default_factory=lambda: np.zeros(0))

    def __add__(self, other: Calibration) -> Calibration:
        return Calibration(np.concatenate([self.forecast, other.forecast]), np.concatenate([self.came, other.came]))

    @property
    def bins(self) -> list[tuple[int, float, float]]:
        """For each bin that holds forecasts: how many, their mean, and the share of them that came true."""
        which = np.digitize(self.forecast, EDGES[1:-1])
        parts = [which == i for i in range(len(EDGES) - 1) if (which == i).any()]
        return [(int(p.sum()), float(self.forecast[p].mean()), float(self.came[p].mean())) for p in parts]

    @property
    def error(self) -> float:
        """Expected calibration error (Naeini et al. 2015): mean distance of forecast and share, over forecasts."""
        return sum(n * abs(p - share) for n, p, share in self.bins) / max(1, len(self.forecast))

    @property
    def brier(self) -> float:
        """Mean squared distance of forecast and outcome (Brier 1950)."""
        return float(np.square(self.forecast - self.came).mean()) if len(self.forecast) else 0.0

    @property
    def brier_of_base_rate(self) -> float:
        """The Brier score of whoever always says how often forecasts come true."""
        return float(self.came.var()) if len(self.came) else 0.0

    def __str__(self) -> str:
        return (
            f"{len(self.forecast)} forecasts, calibration error {self.error:.3f}, Brier {self.brier:.3f} "
            f"(base rate {self.brier_of_base_rate:.3f})"
        )


def calibration(experiments: Sequence[Experiment], trajectories: Sequence[Trajectory]) -> Calibration:
    """All candidates of all turns of these episodes, each on its experiment; empty for policies that name none."""
    forecast: list[float] = []
    came: list[bool] = []
    for experiment, trajectory in zip(experiments, trajectories, strict=True):
        losses = np.where(np.isfinite(experiment.losses), experiment.losses, np.inf)
        for turn in trajectory.turns:
            best = int(np.argmin(losses))
            for candidate in turn.proposal.candidates:
                forecast.append(candidate.probability)
                came.append(experiment.pool.find(candidate.config)[0] == best)
            if turn.outcome.config is not None:
                losses[experiment.pool.find(turn.outcome.config)[0]] = np.inf
    return Calibration(np.array(forecast), np.array(came, dtype=np.float64))
