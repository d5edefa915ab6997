"""Whether an experiment can teach anything: is its best inside the grid, and does it stand out of the noise?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from llmconfig_gym.experiment import Experiment, Level
from llmconfig_gym.parameter import Grid, Integer, Ordered, Real, Value

ENOUGH = 5.0
"""Least (median - best) / noise floor of an informative experiment."""


@dataclass(frozen=True)
class Quality:
    """What the card of a suite says about one experiment.

    Attributes:
        experiment: its id.
        configurations, replicated: how many were measured, and how many of them more than once.
        best: the configuration of the best value.
        value: the metric there.
        edges: the ordered parameters whose best setting is the first or the last on offer.
        gap: distance between the median and the best value of the table.
        noise: standard deviation of one run; NaN if unknown.
    """

    experiment: str
    level: Level
    configurations: int
    replicated: int
    best: Mapping[str, Value]
    value: float
    edges: tuple[str, ...]
    gap: float
    noise: float

    @property
    def ratio(self) -> float:
        """`gap` in units of `noise`; NaN if the noise is unknown."""
        return self.gap / self.noise if self.noise else float("nan")

    @property
    def shortcomings(self) -> list[str]:
        """Why the experiment is uninformative; empty if it is informative."""
        found = [f"the best {name} is at the edge of its range" for name in self.edges]
        if not self.ratio >= ENOUGH:
            found.append(f"(median - best) is less than {ENOUGH:g} times the noise floor, or that is unknown")
        return found


def quality(e: Experiment) -> Quality:
    """The quality of one experiment. Runs without a value count as the worst finite one."""
    row = int(e.losses.argmin())
    best = e.pool.config(row)
    replicates = np.ones(len(e.pool), dtype=np.int64) if e.replicates is None else e.replicates
    return Quality(
        experiment=e.id,
        level=e.level,
        configurations=len(e.pool),
        replicated=int((replicates > 1).sum()),
        best=best,
        value=float(e.values[row]),
        edges=tuple(p.name for p in e.space.parameters if isinstance(p, Ordered) and best[p.name] in _ends(p)),
        gap=float(np.median(e.losses)) - e.best,
        noise=e.noise,
    )


def _ends(p: Ordered) -> tuple[float, float]:
    if isinstance(p, Grid):
        return p.levels[0], p.levels[-1]
    assert isinstance(p, Integer | Real)
    return p.low, p.high
