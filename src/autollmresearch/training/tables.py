"""Tables: what every kind of drawn experiment is made of, and the settings of the draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autollmresearch.training.knobs import Axis
from llmconfig_gym.description import require
from llmconfig_gym.experiment import Fidelity, Metric
from llmconfig_gym.parameter import FloatArray
from llmconfig_gym.pool import Pool


@dataclass(frozen=True)
class Settings:
    """Which families of experiments are drawn.

    Attributes:
        kinds: weights of `pretraining`, `grpo`, `architecture`, `mixture`; a kind not named is not drawn.
        parameters: fewest and most settings of a pretraining or grpo space.
        levels: fewest and most levels of one setting.
        round_numbers: share of logarithmic grids whose levels are powers of two, or 1, 3, 10, ...
        cells: a grid has about this many cells at most (spaces of more settings get fewer levels).
        rows: at most so many configurations of a grid were run.
        holes: share of a small grid that was not run, at most.
        sources: fewest and most sources of a mixture.
        cheaper: fewest and most cheaper experiments.
        octaves: fewest and most octaves between a fidelity number of two neighbouring experiments.
        metered: share of problems that show a few random cheap runs; the others show whole tables.
        outcomes: fewest and most runs that are shown then.
        budgets: trials, one of these.
        noise: least and most standard deviation of a run, in units of the valley's depth.
        wander: octaves by which an optimum is off its power law.
        roughness: most size of what is particular to one experiment, in units of the valley's depth.
        details: share of problems whose outcomes come with details.
        suites: whose low and medium experiments lend their words (not their outcomes): names, and what they mean.
    """

    kinds: Mapping[str, float] = field(
        default_factory=lambda: {"pretraining": 3.0, "grpo": 2.0, "architecture": 2.0, "mixture": 1.0}
    )
    parameters: tuple[int, int] = (1, 5)
    levels: tuple[int, int] = (3, 12)
    round_numbers: float = 0.2
    cells: int = 400
    rows: int = 150
    holes: float = 0.15
    sources: tuple[int, int] = (3, 8)
    cheaper: tuple[int, int] = (1, 4)
    octaves: tuple[float, float] = (0.5, 4.0)
    metered: float = 0.6
    outcomes: tuple[int, int] = (5, 50)
    budgets: tuple[int, ...] = (1, 2, 3, 5, 5, 5, 8, 10)
    noise: tuple[float, float] = (0.005, 0.15)
    wander: float = 0.15
    roughness: float = 0.15
    details: float = 0.3
    suites: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = ("pretraining", "grpo", "architecture", "mixture")
        fits = self.kinds and set(self.kinds) <= set(known) and all(w > 0 for w in self.kinds.values())
        require(fits, f"kinds maps some of {', '.join(known)} to positive weights", self.kinds)
        for name in ("parameters", "levels", "sources", "cheaper", "outcomes", "octaves", "noise"):
            pair = getattr(self, name)
            fits = len(pair) == 2 and 0 < pair[0] <= pair[1]
            require(fits, f"{name} is a least and a most, both more than 0", pair)
        require(self.levels[0] >= 2, "a setting has at least 2 levels", self.levels)
        require(self.sources[0] >= 2, "a mixture has at least 2 sources", self.sources)
        require(self.budgets and min(self.budgets) >= 1, "budgets are numbers of trials, at least 1", self.budgets)
        require(self.rows >= 2, "rows is at least 2", self.rows)


@dataclass(frozen=True)
class Table:
    """One drawn experiment. Losses [rows] are oriented so that smaller is better.

    Attributes:
        losses: as measured, noise included; NaN for a run that diverged.
        true: their expectations.
        noise: standard deviation of one run.
        clip: as `Experiment.clip`.
        details: what else is measured, [rows] each.
    """

    task: str
    fidelity: Fidelity
    metric: Metric
    pool: Pool
    losses: FloatArray
    true: FloatArray
    noise: float
    clip: float | None = None
    details: Mapping[str, FloatArray] = field(default_factory=dict)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Between two positive numbers, uniform in the logarithm."""
    return float(low * (high / low) ** rng.random())


def sizes(
    rng: np.random.Generator, settings: Settings, names: Sequence[str], smallest: float, ratio: float
) -> list[Fidelity]:
    """Fidelities from the cheapest to the target's, each number three digits long.

    Args:
        names: of the numbers: a model's size, and perhaps how much it is trained.
        smallest: size of the cheapest.
        ratio: of the second number to the first, at the cheapest.
    """
    count = 1 + int(rng.integers(settings.cheaper[0], settings.cheaper[1] + 1))
    jumps = rng.uniform(*settings.octaves, (count - 1, len(names)))
    if len(names) == 2:
        habit = rng.random()  # some hold the model fixed, some the data, most scale both
        still = rng.random(count - 1) < (0.6 if habit < 0.4 else 0.0)
        jumps[np.arange(count - 1), (rng.random(count - 1) < 0.5).astype(int)] *= np.where(still, 0.0, 1.0)
    octaves = np.concatenate([np.zeros((1, len(names))), np.cumsum(jumps, axis=0)])
    first = np.array([smallest, max(8.0, smallest * ratio)])[: len(names)]
    result = []
    for numbers in first * 2**octaves:
        told = {name: _three(v) for name, v in zip(names, numbers, strict=True)}
        product = float(np.prod(list(told.values())))
        result.append(Fidelity(told, 6.0 * product * (product if len(names) == 1 else 1.0)))
    return result


def subset(
    rng: np.random.Generator, axes: Sequence[Axis], rows: int, holes: float
) -> tuple[dict[str, Any], FloatArray]:
    """Cells of a grid that were run: columns by name, and coordinates [rows, axes]."""
    shape = [len(a.at) for a in axes]
    cells = int(np.prod(shape))
    kept = min(rows, max(2, round(cells * (1 - holes * rng.random()))))
    chosen = np.arange(cells) if kept == cells else np.sort(rng.choice(cells, size=kept, replace=False))
    indices = np.unravel_index(chosen, shape)
    columns = {a.grid.name: np.array(a.grid.levels)[i] for a, i in zip(axes, indices, strict=True)}
    at = np.stack([a.at[i] for a, i in zip(axes, indices, strict=True)], axis=1)
    return columns, at


def _three(value: float) -> float:
    """Three digits; whole numbers, as sizes are."""
    return float(f"{value:.2e}") if value >= 1000 else float(max(1, round(value)))
