"""Valleys: random landscapes of optimiser and reinforcement-learning settings, at several fidelities.

A run's loss is a valley around an optimum. The optimum moves as a power law of the fidelity's numbers; the valley is
round at its bottom and straight further up, steeper on one side, and its axes are coupled; beyond a cliff runs blow up
or diverge. The level falls as a power law. Each experiment has a smooth deviation of its own, so that ranks differ
between fidelities, and every run has noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autollmresearch.training import knobs
from autollmresearch.training.knobs import Axis
from autollmresearch.training.tables import Settings, Table, log_uniform, sizes, subset
from llmconfig_gym.experiment import Fidelity, Metric
from llmconfig_gym.parameter import FloatArray
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

LOSSES = ("validation_loss", "loss", "smoothed_loss", "val_loss", "train_loss", "perplexity_bits")
SCORES = ("accuracy", "reward", "pass_rate", "success_rate", "held_out_accuracy")


@dataclass(frozen=True)
class Valley:
    """What all experiments of one family share. Coordinates are octaves (a linear grid: levels); d axes.

    Attributes:
        optimum: [d] at the target.
        exponents: [d, k] octaves per octave of each of the k numbers of the fidelity.
        widths: [d, 2] octaves below and above the optimum until a deviation counts.
        weights: [d] how much each axis counts.
        coupling: [d, d] by how much the best value of an axis moves with another's deviation; 0 on the diagonal.
        cliff: octaves above the optimum of the bold axes where runs break; inf if nowhere.
    """

    optimum: FloatArray
    exponents: FloatArray
    widths: FloatArray
    weights: FloatArray
    coupling: FloatArray
    cliff: float

    def height(self, at: FloatArray, optimum: FloatArray) -> FloatArray:
        """[n] heights of points [n, d]: square near the optimum, straight far from it."""
        away = at - optimum
        away = away - away @ self.coupling.T
        u = away / np.where(away < 0, self.widths[:, 0], self.widths[:, 1])
        return np.asarray((np.sqrt(1 + u * u) - 1) @ self.weights)

    def beyond(self, at: FloatArray, optimum: FloatArray, bold: NDArray[np.bool_]) -> FloatArray:
        """[n] octaves beyond the cliff; negative before it."""
        if not bold.any() or not np.isfinite(self.cliff):
            return np.full(len(at), -np.inf)
        away = at - optimum
        away = away - away @ self.coupling.T
        return np.asarray(away[:, bold].max(axis=1) - self.cliff)


def draw_pretraining(rng: np.random.Generator, settings: Settings) -> list[Table]:
    """Losses of optimiser settings, cheapest first, the target last."""
    data = rng.random()
    names = ("parameters",) if data < 0.2 else ("parameters", "tokens")
    fidelity = sizes(rng, settings, names, log_uniform(rng, 3e3, 3e9), log_uniform(rng, 5.0, 300.0))
    metric = Metric(_name(rng, LOSSES), "minimize")
    floor, scale, exponent = log_uniform(rng, 0.3, 2.0), log_uniform(rng, 0.4, 3.0), rng.uniform(0.03, 0.15)
    octaves = _octaves(fidelity)
    levels = floor + scale * 2 ** (-exponent * octaves.sum(axis=1))
    depth = levels[-1] * log_uniform(rng, 0.01, 0.25)
    return _tables(rng, settings, knobs.PRETRAINING, "pretraining", metric, fidelity, levels, depth)


def draw_grpo(rng: np.random.Generator, settings: Settings) -> list[Table]:
    """Accuracies of reinforcement-learning settings, cheapest first, the target last."""
    names = [("parameters",), ("parameters", "sampled_answers"), ("parameters", "steps")][int(rng.integers(3))]
    fidelity = sizes(rng, settings, names, log_uniform(rng, 5e3, 1e10), log_uniform(rng, 1e-3, 1.0))
    metric = Metric(_name(rng, SCORES), "maximize")
    octaves = _octaves(fidelity)
    levels = rng.uniform(-1.0, 1.5) + rng.uniform(0.0, 0.25) * octaves.sum(axis=1)  # log-odds of the best
    return _tables(rng, settings, knobs.GRPO, "grpo", metric, fidelity, levels, rng.uniform(0.5, 2.0))


def _tables(
    rng: np.random.Generator,
    settings: Settings,
    known: Sequence[knobs.Knob],
    task: str,
    metric: Metric,
    fidelity: list[Fidelity],
    levels: FloatArray,
    depth: float,
) -> list[Table]:
    """One table per fidelity. `levels` [experiments] are the best losses; for a score, the log-odds of the best."""
    score = metric.direction == "maximize"
    axes = _axes(rng, settings, known)
    valley = _valley(rng, axes, len(fidelity[0].values))
    octaves = _octaves(fidelity)
    optima = valley.optimum + (octaves - octaves[-1]) @ valley.exponents.T
    optima[:-1] += rng.normal(0.0, settings.wander, (len(fidelity) - 1, len(axes)))
    bold = np.array([a.knob.bold for a in axes])
    noise, rough = log_uniform(rng, *settings.noise), rng.uniform(0.0, settings.roughness)
    follow, broken = rng.random() < 0.25, rng.random() < 0.5
    steep = rng.uniform(0.5, 3.0)
    spread = 0.0
    tables = []
    for i in reversed(range(len(fidelity))):
        here = [knobs.moved(a, optima[i, j] - optima[-1, j]) if follow else a for j, a in enumerate(axes)]
        columns, at = subset(rng, here, settings.rows, settings.holes)
        height = valley.height(at, optima[i])
        if spread == 0.0:  # the target comes first
            spread = float(np.median(height)) or 1.0
        height = height / spread + rough * _smooth(rng, at)
        over = valley.beyond(at, optima[i], bold)
        height = height + steep * np.maximum(over, 0.0) ** 2
        odds = np.minimum(depth * height - levels[i], 50.0)  # log-odds of failing; beyond that all is lost
        true = -1 / (1 + np.exp(odds)) if score else levels[i] + depth * height
        size = noise * (depth / 4 if score else depth)
        losses = true + size * rng.standard_normal(len(true))
        if score:
            losses = np.clip(losses, -1.0, 0.0)
        elif broken and (lost := over > 1.0).any():
            losses = np.where(lost, np.nan if rng.random() < 0.5 else 1.5 * levels[i] + over, losses)
            if not np.isfinite(losses).any():
                losses = true
        pool = Pool(Space(tuple(a.grid for a in here)), columns)
        clip = None if score else 1.25
        tables.append(Table(task, fidelity[i], metric, pool, losses, true, size, clip))
    return tables[::-1]


def _axes(rng: np.random.Generator, settings: Settings, known: Sequence[knobs.Knob]) -> list[Axis]:
    """Distinct knobs; the first (the learning rate) is nearly always among them, and the second often."""
    if settings.usual:
        known = [replace(knob, names=knob.names[:1]) for knob in known[: settings.usual]]
    count = int(rng.integers(settings.parameters[0], settings.parameters[1] + 1))
    chance = np.array([12.0, 5.0, *[1.0] * len(known)])[: len(known)]
    chosen = np.sort(rng.choice(len(known), size=min(count, len(known)), replace=False, p=chance / chance.sum()))
    low, high = settings.levels
    if len(chosen) == 1:
        low = min(high, max(low, 5))  # a line of three is no question
    top = max(low, int(min(high, round(settings.cells ** (1 / len(chosen))))))
    return [knobs.draw_axis(rng, known[k], int(rng.integers(low, top + 1)), settings.round_numbers) for k in chosen]


def _valley(rng: np.random.Generator, axes: Sequence[Axis], numbers: int) -> Valley:
    d = len(axes)
    span = np.array([a.at[-1] - a.at[0] for a in axes])
    middle = np.array([a.at[0] for a in axes]) + span / 2
    place = np.clip(rng.normal(0.0, 0.22, d), -0.55, 0.55)
    exponents = np.array([[rng.normal(*a.knob.size), rng.normal(*a.knob.data)][:numbers] for a in axes]) * rng.choice(
        [0.5, 1.0, 1.5]
    )
    widths = np.array([a.knob.width for a in axes]) * np.exp(rng.normal(0.0, 0.4, d))
    ratio = np.exp(rng.normal(0.0, 0.3, d))
    weights = np.exp(rng.normal(0.0, 0.6, d)) * np.where(np.arange(d) == 0, 1.5, 1.0)
    coupling = np.where(rng.random((d, d)) < 0.3, rng.normal(0.0, 0.2, (d, d)), 0.0)
    if d > 1:
        coupling[0, 1] = rng.normal(0.35, 0.25)
    np.fill_diagonal(coupling, 0.0)
    cliff = rng.uniform(1.0, 5.0) if rng.random() < 0.7 else np.inf
    return Valley(
        middle + place * span,
        exponents,
        np.stack([widths / ratio, widths * ratio], axis=1),
        weights,
        coupling,
        float(cliff),
    )


def _smooth(rng: np.random.Generator, at: FloatArray) -> FloatArray:
    """[n] a smooth random deviation of unit size over points [n, d]."""
    waves = rng.normal(0.0, 0.35, (at.shape[1], 4))
    return np.asarray(np.cos(at @ waves + rng.uniform(0, 2 * np.pi, 4)).sum(axis=1) / np.sqrt(2))


def _octaves(fidelity: Sequence[Fidelity]) -> FloatArray:
    """[experiments, k] the logarithms of the fidelities' numbers, 0 at the cheapest."""
    logs = np.log2(np.array([[float(v) for v in f.values.values()] for f in fidelity]))
    return np.asarray(logs - logs[0])


def _name(rng: np.random.Generator, names: Sequence[str]) -> str:
    return names[0] if rng.random() < 0.4 else str(rng.choice(names))
