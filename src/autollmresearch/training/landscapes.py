"""Landscapes: experiments without end, drawn at random, to practise learning from cheap runs.

`draw(seed, settings)` gives a target with its table and what may be known of cheaper runs, made of the gym's own
parts, so that everything that works on measured experiments works here. The same seed and settings give the same
landscape, bit for bit. No measured outcome is in it, and no experiment of a high level had a say in how it is drawn.
Seeds below `HELD_OUT` are for evaluation; training draws from those above.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from autollmresearch.evidence.records import CheapRuns, Problem
from autollmresearch.training.blends import draw_mixture
from autollmresearch.training.shapes import draw_architecture
from autollmresearch.training.tables import Settings as LandscapeSettings
from autollmresearch.training.tables import Table
from autollmresearch.training.valleys import draw_grpo, draw_pretraining
from autollmresearch.training.words import worded
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.parameter import FloatArray
from llmconfig_gym.pool import Pool

__all__ = ["HELD_OUT", "Landscape", "LandscapeSettings", "draw", "landscape", "training_seed"]

HELD_OUT = 1 << 32
"""Landscapes of seeds below this are never trained on."""

KINDS: Mapping[str, Callable[[np.random.Generator, LandscapeSettings], list[Table]]] = {
    "pretraining": draw_pretraining,
    "grpo": draw_grpo,
    "architecture": draw_architecture,
    "mixture": draw_mixture,
}


@dataclass(frozen=True, eq=False)
class Landscape:
    """A drawn target, what is known of cheaper runs, and the truth.

    Attributes:
        true: [rows] expected losses of the target's pool, smaller is better. For the expert alone.
    """

    experiment: Experiment
    problem: Problem
    true: FloatArray


def training_seed(seed: int, index: int) -> int:
    """The seed of the `index`-th landscape of a training run with this seed; never a held-out one."""
    return (1 + seed) * HELD_OUT + index


def draw(seed: int, settings: LandscapeSettings) -> tuple[Experiment, Problem]:
    """A target and what may be known before its first trial."""
    drawn = landscape(seed, settings)
    return drawn.experiment, drawn.problem


def landscape(seed: int, settings: LandscapeSettings) -> Landscape:
    """`draw`, and the truth behind it."""
    rng = np.random.default_rng([1729, seed])
    names = [k for k in KINDS if k in settings.kinds]
    chance = np.array([settings.kinds[k] for k in names])
    kind = names[int(rng.choice(len(names), p=chance / chance.sum()))]
    *cheap, target = KINDS[kind](rng, settings)
    target = worded(rng, target, settings.suites, settings.details)
    experiment = Experiment(
        f"drawn/{seed}",
        "drawn",
        target.task,
        kind,
        "medium",
        target.fidelity,
        target.metric,
        target.pool,
        target.metric.sign * target.losses,
        target.details,
        noise=target.noise,
        clip=target.clip,
    )
    if rng.random() < settings.metered:
        known = _metered(rng, cheap, settings)
    else:
        known = tuple(CheapRuns(t.fidelity, t.pool, _filled(t.losses), {}) for t in cheap)
    budget = min(int(rng.choice(settings.budgets)), len(target.pool))
    problem = Problem(target.task, target.fidelity, target.metric, target.pool, known, budget, target.clip)
    return Landscape(experiment, problem, target.true)


def _metered(rng: np.random.Generator, cheap: list[Table], settings: LandscapeSettings) -> tuple[CheapRuns, ...]:
    """A few outcomes of all cheaper tables together, drawn uniformly."""
    bounds = np.concatenate([[0], np.cumsum([len(t.losses) for t in cheap])])
    low, high = settings.outcomes
    count = min(int(bounds[-1]), round(low * (high / low) ** rng.random()))
    drawn = np.sort(rng.choice(bounds[-1], size=count, replace=False))
    parts = [drawn[(drawn >= a) & (drawn < b)] - a for a, b in pairwise(bounds)]
    finite = np.concatenate([t.losses[rows] for t, rows in zip(cheap, parts, strict=True)])
    worst = float(finite[np.isfinite(finite)].max(initial=0.0))
    result = []
    for t, rows in zip(cheap, parts, strict=True):
        if len(rows):
            pool = Pool(t.pool.space, {name: column[rows] for name, column in t.pool.columns.items()})
            result.append(CheapRuns(t.fidelity, pool, _filled(t.losses[rows], worst), {}))
    return tuple(result)


def _filled(losses: FloatArray, worst: float = 0.0) -> FloatArray:
    """Diverged runs carry the worst known loss, as `CheapRuns` wants it."""
    finite = np.isfinite(losses)
    return np.where(finite, losses, losses[finite].max() if finite.any() else worst)
