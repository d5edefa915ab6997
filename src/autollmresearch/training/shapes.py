"""Shapes: random landscapes of architectures, where quality is traded against cost.

Larger is better and dearer, with diminishing returns; dimensions differ in what they give and in what they take; some
matter by their balance only. The metric is the sum of both, each rescaled to the architectures of its scale, so the
best is neither the largest nor the smallest. With scale the ranges grow, and what a dimension is worth moves a little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autollmresearch.training.tables import Settings, Table, log_uniform
from llmconfig_gym.experiment import Fidelity, Metric
from llmconfig_gym.parameter import Categorical, FloatArray, Grid, Integer, Parameter, Real
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

METRICS = ("quality_cost", "loss_flops_cost", "loss_latency_cost", "quality_latency_cost", "trade_off")
PARTS = ("validation_loss", "latency_ms")


@dataclass(frozen=True)
class Dimension:
    """One parameter of a family: how it is drawn at a scale, and what it gives and takes.

    Attributes:
        kind: of its parameter: `grid`, `integer`, `real` or `categorical`.
        low, high: range at the cheapest scale (a grid: its first value and its number of levels).
        growth: octaves of the range per octave of the scale.
        gain, price: weights of its position in quality and in cost.
        ideal: where the position should be beside being large, and how much that counts.
    """

    name: str
    kind: str
    low: float
    high: float
    growth: float
    gain: float
    price: float
    ideal: float
    balance: float

    def parameter(self, octaves: float) -> Parameter:
        """The parameter at a scale `octaves` above the cheapest."""
        grown = 2 ** (self.growth * octaves)
        if self.kind == "categorical":
            return Categorical(self.name, (False, True))
        if self.kind == "grid":
            first = max(1, round(self.low * grown))
            return Grid(self.name, tuple(first * 2**i for i in range(int(self.high))), log=True, relative=True)
        if self.kind == "integer":
            low = max(1, round(self.low * grown))
            return Integer(self.name, low, max(low + 1, round(self.high * grown)), relative=True)
        return Real(self.name, self.low, self.high)


def draw_architecture(rng: np.random.Generator, settings: Settings) -> list[Table]:
    """Trade-offs of architectures, cheapest first, the target last."""
    dimensions = _dimensions(rng)
    count = 1 + int(rng.integers(settings.cheaper[0], min(settings.cheaper[1], 3) + 1))
    scales = np.concatenate([[0.0], np.cumsum(rng.uniform(*settings.octaves, count - 1))])
    smallest = log_uniform(rng, 3e3, 1e8)
    weight, law = log_uniform(rng, 0.2, 2.0), rng.uniform(0.5, 3.0)
    convex = rng.uniform(0.5, 2.5)
    rows = int(log_uniform(rng, 24, max(25, settings.rows)))
    name = str(rng.choice(METRICS))
    metric = Metric(name, "minimize", f"Relative loss plus {weight:.2g} times relative cost.")
    noise = log_uniform(rng, *settings.noise) / 4
    level = rng.uniform(2.0, 5.0)
    drift = rng.normal(0.0, 0.03, len(dimensions))
    tables = []
    for octaves in scales:
        columns, position = _draw(rng, dimensions, float(octaves), rows)
        own = rng.normal(0.0, settings.roughness / 2, len(dimensions))
        gain = np.array([d.gain for d in dimensions]) * np.exp(own) + drift * octaves / 4
        price = np.array([d.price for d in dimensions])
        ideal, balance = (np.array([getattr(d, a) for d in dimensions]) for a in ("ideal", "balance"))
        quality = np.exp(-law * (position @ gain) / gain.sum()) + np.square(position - ideal) @ balance
        cost = np.exp(convex * (position @ price) / price.sum())
        true = _rescaled(quality) + weight * _rescaled(cost)
        losses = true + noise * rng.standard_normal(len(true))
        pool = Pool(Space(tuple(d.parameter(float(octaves)) for d in dimensions)), columns)
        fidelity = Fidelity({"mean_parameters": float(f"{smallest * 2**octaves:.2e}")}, smallest * 2**octaves)
        details = dict(zip(PARTS, (level + quality, cost), strict=True))
        tables.append(Table("architecture", fidelity, metric, pool, losses, true, noise, details=details))
    return tables


def _dimensions(rng: np.random.Generator) -> list[Dimension]:
    """Width and depth, mostly, and some of the others; sometimes one per part of the depth."""
    width = "width" if rng.random() < 0.5 else "embed_dim"
    levels = int(rng.integers(3, 6))
    some = [
        _dimension(rng, width, "grid", int(rng.choice([8, 12, 16, 32, 48, 64, 128, 192, 256])), levels, 0.4, large=1.0),
        _dimension(rng, "layers", "integer", int(rng.integers(1, 7)), 0, 0.25, large=0.7),
        _dimension(rng, "heads", "grid", int(rng.choice([1, 2, 4])), int(rng.integers(3, 5)), 0.0, large=0.1),
        _dimension(rng, "mlp_ratio", "real", 1.0, 0, 0.0, large=0.4),
        _dimension(rng, "bias", "categorical", 0, 0, 0.0, large=0.05),
    ]
    chance = np.array([0.95, 0.9, 0.6, 0.7, 0.3])
    keep = rng.random(len(some)) < chance
    keep[int(rng.integers(2))] = True
    result = []
    for dimension, kept in zip(some, keep, strict=True):
        parts = dimension.name in ("heads", "mlp_ratio") and rng.random() < 0.15
        if kept and parts:
            ends = ("early", "middle", "late")
            result += [_dimension(rng, f"{dimension.name}_{e}", "real", 2.0, 0, 0.0, large=0.15) for e in ends]
        elif kept:
            result.append(dimension)
    return result


def _dimension(
    rng: np.random.Generator, name: str, kind: str, low: float, levels: int, growth: float, *, large: float
) -> Dimension:
    """Gain and price about `large`; little of it but a balance where `large` is small."""
    high = float(levels) if kind == "grid" else float(low + rng.integers(2, 9))
    if kind == "real" and rng.random() < 0.5:
        kind, low, high = "grid", float(rng.choice([0.5, 1.0, 2.0])), float(rng.integers(3, 5))
        low = max(1.0, low)
    gain, price = large * np.exp(rng.normal(0.0, 0.5, 2))
    balance = log_uniform(rng, 0.01, 0.6) * (1.2 - large)
    return Dimension(name, kind, low, high, growth, float(gain), float(price), float(rng.random()), float(balance))


def _draw(
    rng: np.random.Generator, dimensions: list[Dimension], octaves: float, rows: int
) -> tuple[dict[str, np.ndarray], FloatArray]:
    """Random distinct architectures: columns by name and positions [rows, dimensions] in their ranges."""
    columns, positions = [], []
    for d in dimensions:
        p = d.parameter(octaves)
        if isinstance(p, Grid):
            index = rng.integers(len(p.levels), size=rows)
            columns.append(np.array(p.levels)[index])
            positions.append(index / (len(p.levels) - 1))
        elif isinstance(p, Integer):
            columns.append(rng.integers(p.low, p.high + 1, size=rows))
            positions.append((columns[-1] - p.low) / (p.high - p.low))
        elif isinstance(p, Real):
            columns.append(np.round(rng.uniform(p.low, p.high, rows) * 4) / 4)
            positions.append((columns[-1] - p.low) / (p.high - p.low))
        else:
            columns.append(rng.random(rows) < 0.5)
            positions.append(columns[-1].astype(np.float64))
    position = np.stack(positions, axis=1)
    _, first = np.unique(position.round(6), axis=0, return_index=True)
    first = np.sort(first)
    return {d.name: c[first] for d, c in zip(dimensions, columns, strict=True)}, position[first]


def _rescaled(values: FloatArray) -> FloatArray:
    """0 for the least, 1 for the greatest."""
    span = float(values.max() - values.min())
    return (values - values.min()) / span if span > 0 else np.zeros_like(values)
