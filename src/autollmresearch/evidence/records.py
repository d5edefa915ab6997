"""Records: outcomes of cheaper experiments that a policy may see before its first trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.experiment import Experiment, Fidelity, Metric
from llmconfig_gym.parameter import FloatArray
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space


@dataclass(frozen=True, eq=False)
class CheapRuns:
    """What is known of one cheaper experiment: some or all of its measured configurations.

    Attributes:
        fidelity: at which scale they were run.
        pool: their configurations, in that experiment's own space.
        losses: [rows] the metric oriented so that smaller is better; a diverged run carries the worst finite value
            known.
        details: for each detail an array [rows].
    """

    fidelity: Fidelity
    pool: Pool
    losses: FloatArray
    details: Mapping[str, FloatArray]

    @classmethod
    def of(cls, experiment: Experiment) -> CheapRuns:
        """All of an experiment's table."""
        return cls(experiment.fidelity, experiment.pool, experiment.losses, experiment.details)

    @classmethod
    def drawn(cls, draws: Sequence[tuple[Experiment, NDArray[np.int64]]]) -> tuple[CheapRuns, ...]:
        """The runs at these rows of these experiments' tables, and nothing of any other row.

        So a diverged run carries the worst finite value drawn from its experiment, else the worst drawn from any.
        """
        raw = [e.metric.sign * e.values[rows] for e, rows in draws]
        worst = max((float(v) for losses in raw for v in losses if np.isfinite(v)), default=0.0)
        result = []
        for (e, rows), losses in zip(draws, raw, strict=True):
            finite = np.isfinite(losses)
            filled = np.where(finite, losses, losses[finite].max() if finite.any() else worst)
            columns = {name: column[rows] for name, column in e.pool.columns.items()}
            details = {name: column[rows] for name, column in e.details.items()}
            result.append(cls(e.fidelity, Pool(e.space, columns), filled, details))
        return tuple(result)

    @property
    def space(self) -> Space:
        """The space of that experiment, which may have other ranges than the target's."""
        return self.pool.space

    def encoded_in(self, target: Space) -> FloatArray:
        """These configurations in the target's coordinates, [rows, target.width] (see `Space.translate`)."""
        if self.space == target:
            return self.pool.encoded
        configs = (self.pool.config(row) for row in range(len(self.pool)))
        return np.stack([target.encode(target.translate(c, self.space)) for c in configs])


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything a policy may know about a target before its first trial.

    Attributes:
        task, fidelity, metric: what is asked, at which scale, and which direction is better.
        pool: the configurations that can be told (not their outcomes).
        cheaper: what is known of cheaper experiments, cheapest first; empty if nothing is.
        budget: trials on the target.
        clip: the regret scale's bound on bad values, as a multiple of the best (see `Experiment.clip`).
    """

    task: str
    fidelity: Fidelity
    metric: Metric
    pool: Pool
    cheaper: tuple[CheapRuns, ...]
    budget: int
    clip: float | None = None

    @property
    def space(self) -> Space:
        """The target's configuration space."""
        return self.pool.space
