"""Whether experiments can teach anything.

One experiment: is its best inside the grid, and does it stand out of the noise? A family of them: does what is best
change from its cheapest to its dearest experiment, while the ranking still says something?
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from llmconfig_gym.experiment import Experiment, Level
from llmconfig_gym.parameter import Ordered, Value
from llmconfig_gym.space import Config, Space
from llmconfig_gym.suite import Suite

ENOUGH = 5.0
"""Least (median - best) / noise floor of an informative experiment."""

RANKED = (0.2, 0.95)
"""Rank correlation between which a family's cheapest experiment says something of its dearest, but not all."""


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


@dataclass(frozen=True)
class Transfer:
    """How a family's cheapest experiment speaks for its dearest.

    Attributes:
        task, family: whose.
        low, high: the two experiments' ids.
        shared: configurations that both measured; a setting with a relative range counts as the level nearest in
            position.
        spearman: rank correlation of their losses over these; NaN with fewer than three.
        moved: whether their best configurations differ, each over its own table.
        regret: what the cheapest one's best costs at the dearest, as simple regret; NaN if it was not measured there.
    """

    task: str
    family: str
    low: str
    high: str
    shared: int
    spearman: float
    moved: bool
    regret: float

    @property
    def ranked(self) -> bool:
        """Whether the rank correlation is within `RANKED`."""
        return RANKED[0] <= self.spearman <= RANKED[1]


def transfers(suite: Suite) -> list[Transfer]:
    """One entry per family with a low and a high experiment, in the suite's order."""
    found = []
    for family in dict.fromkeys(s.family for s in suite.summaries):
        mine = [s for s in suite.summaries if s.family == family]
        low = min((s for s in mine if s.level == "low"), key=lambda s: s.fidelity.cost, default=None)
        high = max((s for s in mine if s.level == "high"), key=lambda s: s.fidelity.cost, default=None)
        if low is not None and high is not None:
            found.append(_transfer(suite.experiment(low.id), suite.experiment(high.id)))
    return found


def _transfer(low: Experiment, high: Experiment) -> Transfer:
    from scipy.stats import spearmanr

    places = [high.pool.find(_moved(low.pool.config(row), low.space, high.space)) for row in range(len(low.pool))]
    pairs = [(row, there) for row, (there, exact) in enumerate(places) if exact]
    here, there = (np.array([p[i] for p in pairs], dtype=np.int64) for i in (0, 1))
    rho = float(spearmanr(low.losses[here], high.losses[there]).statistic) if len(pairs) > 2 else float("nan")
    place, exact = places[int(low.losses.argmin())]
    regret = (float(high.losses[place]) - high.best) / (high.worst - high.best) if exact else float("nan")
    moved = not exact or place != int(high.losses.argmin())
    return Transfer(high.task, high.family, low.id, high.id, len(pairs), rho, moved, regret)


def _moved(config: Config, source: Space, target: Space) -> Config:
    """A configuration as the target has it, with every setting at the target's nearest level."""
    return target.decode(target.encode(target.translate(config, source)))


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
        edges=tuple(p.name for p in e.space.parameters if isinstance(p, Ordered) and best[p.name] in p.limits()[:2]),
        gap=float(np.median(e.losses)) - e.best,
        noise=e.noise,
    )
