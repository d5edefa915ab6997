"""Architectures: a trade-off of two measured quantities is modelled as what it is made of.

Where the metric of the cheaper runs is, exactly, a weighted sum of two of their details (a loss and a cost, each
rescaled within its experiment), each is modelled by itself: both are smooth in the configuration, their sum has its
optimum where two large slopes cancel. A cost that follows from the configuration alone (parameters, FLOPs) is computed
at the target: its terms (layers x width^2, layers x width^2 x MLP ratio, ...) are read off the cheaper runs by least
squares. In each possible world the two are rescaled over the target's pool and added.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from autollmresearch.evidence.discrepancy import correct
from autollmresearch.evidence.gp import Hyper, Kernel, Points, choose, condition
from autollmresearch.evidence.mixture import features, strengths
from autollmresearch.evidence.priors import PRIORS
from autollmresearch.evidence.records import Problem
from autollmresearch.evidence.rows import Rows
from llmconfig_gym.parameter import FloatArray, Ordered
from llmconfig_gym.pool import Pool

EXACT = 1e-4
"""Largest error of a weighted sum, relative to the spread of the metric, that counts as exact."""


@dataclass(frozen=True)
class Tradeoff:
    """A metric that is `slope * detail` of two details plus a constant, within each experiment.

    Attributes:
        parts: the two details.
        slopes: experiment -> the two slopes and the constant, for experiments with enough runs to tell.
    """

    parts: tuple[str, str]
    slopes: dict[int, tuple[float, float, float]]

    @property
    def fixed(self) -> tuple[float, float, float] | None:
        """Slopes and constant where two experiments or more agree on them: a sum that is not rescaled anywhere."""
        table = np.array(list(self.slopes.values()))
        first = table[0]
        if len(table) < 2 or np.abs(table[:, :2] / first[:2] - 1).max() > 1e-3:
            return None
        return float(first[0]), float(first[1]), float(first[2])


def find_tradeoff(rows: Rows) -> Tradeoff | None:
    """The pair of details of which the metric is a weighted sum in every experiment with five runs or more, if any."""
    sizes = np.bincount(rows.experiment, minlength=len(rows.fidelities))
    telling = [e for e in range(rows.target) if sizes[e] >= 5]
    names = [n for n, c in rows.details.items() if np.isfinite(c[rows.experiment != rows.target]).all()]
    best: tuple[float, Tradeoff] | None = None
    for pair in combinations(names, 2) if telling else ():
        error, slopes = 0.0, {}
        for e in telling:
            here = (rows.experiment == e) & ~rows.diverged
            table = np.stack([rows.details[n][here] for n in pair], axis=1)
            scale = table.std(axis=0)
            spread = float(rows.losses[here].std())
            if here.sum() < 5 or not spread > 0 or not (scale > 0).all():
                error = np.inf
                break
            columns = np.column_stack([(table - table.mean(axis=0)) / scale, np.ones(int(here.sum()))])
            answer, *_ = np.linalg.lstsq(columns, rows.losses[here], rcond=None)
            error = max(error, float(np.abs(columns @ answer - rows.losses[here]).max()) / spread)
            a, b = (float(v) for v in answer[:2] / scale)
            slopes[e] = (a, b, float(answer[2] - np.array([a, b]) @ table.mean(axis=0)))
            if min(abs(answer[0]), abs(answer[1])) < 1e-3 * spread:
                error = np.inf  # one of the two does not count
        if error < EXACT and (best is None or error < best[0]):
            best = error, Tradeoff(pair, slopes)
    return best[1] if best else None


def terms(pool: Pool) -> FloatArray | None:
    """[rows, terms] what parameters and FLOPs of a transformer are sums of (Kaplan et al. 2020, table 1).

    None where the space names neither layers nor a width.
    """
    found: dict[str, list[FloatArray]] = {"layers": [], "width": [], "mlp": []}
    for p in pool.space.parameters:
        if isinstance(p, Ordered) and (kind := _shape_role(p.name)):
            found[kind].append(pool.columns[p.name].astype(np.float64))
    if not found["layers"] or not found["width"]:
        return None
    layers, width = found["layers"][0], found["width"][0]
    ratio = np.mean(found["mlp"], axis=0) if found["mlp"] else np.ones_like(layers)
    square = layers * np.square(width)
    return np.stack([square, square * ratio, layers * width, width, np.ones_like(width)], axis=1)


def _shape_role(name: str) -> str | None:
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    if words & {"layers", "layer", "depth"} and not words & {"width"}:
        return "layers"
    if words & {"mlp", "ffn"}:
        return "mlp"
    if words & {"width", "embed", "embedding", "hidden", "dmodel", "model"}:
        return "width"
    return None


def computed(problem: Problem, name: str) -> FloatArray | None:
    """[n] a detail at the target's pool, where it follows from the configuration in every cheaper run to 0.1 %."""
    here = terms(problem.pool)
    if here is None:
        return None
    there = [terms(runs.pool) for runs in problem.cheaper]
    values = [runs.details.get(name) for runs in problem.cheaper]
    x = [t for t, v in zip(there, values, strict=True) if t is not None and v is not None]
    y = [v for t, v in zip(there, values, strict=True) if t is not None and v is not None]
    if not y or len(x) < len(problem.cheaper):
        return None
    table, known = np.concatenate(x), np.concatenate(y)
    if len(known) <= table.shape[1] or not (known > 0).all():
        return None
    answer, *_ = np.linalg.lstsq(table / known[:, None], np.ones(len(known)), rcond=None)
    if np.abs(table @ answer / known - 1).max() > 1e-3:
        return None
    result = here @ answer
    return result if (result > 0).all() else None


@dataclass(frozen=True, eq=False)
class Part:
    """One component at the target's pool and at the same configurations of each cheaper experiment.

    Attributes:
        worlds: [samples, n] at the target.
        mean: [n] at the target.
        ranges: experiment -> from the least to the greatest of its configurations.
        computed: whether it follows from the configuration, so that nothing of it is uncertain.
    """

    worlds: FloatArray
    mean: FloatArray
    ranges: dict[int, float]
    computed: bool


def fit_architecture(
    problem: Problem, rows: Rows, trade: Tradeoff, samples: int
) -> tuple[FloatArray, float, tuple[float, float], tuple[bool, bool]]:
    """Worlds [samples, n] of losses at the pool, the noise of a run, the parts' weights; which of them is computed."""
    first, second = (_part(problem, rows, n, trade, samples, seed) for seed, n in enumerate(trade.parts))
    # Rescaled anew in every experiment, the metric of a cheaper one is w_1 minmax(d_1) + w_2 minmax(d_2), of slopes
    # w_i / range_i: slopes times ranges are the weights.
    if (fixed := trade.fixed) is not None:
        w1, w2, constant = fixed
        worlds, mean = w1 * first.worlds + w2 * second.worlds, w1 * first.mean + w2 * second.mean
    else:
        counts = np.array([(rows.experiment == e).sum() for e in trade.slopes], dtype=np.float64)
        pairs = np.array([(a * first.ranges[e], b * second.ranges[e]) for e, (a, b, _) in trade.slopes.items()])
        w1, w2 = (float(w) for w in counts @ pairs / counts.sum())
        worlds = w1 * _minmax(first.worlds) + w2 * _minmax(second.worlds)
        mean = w1 * _minmax(first.mean[None])[0] + w2 * _minmax(second.mean[None])[0]
        constant = sum(max(-w, 0.0) for w in (w1, w2))  # of a part that is better when larger, the best counts 0 too
    spread = float(mean.std()) or 1.0
    noise = PRIORS["architecture.discrepancy.noise"].mean * spread
    told = rows.experiment == rows.target
    each = np.where(rows.diverged[told], 3 * spread, noise)
    x = features(problem.space, problem.pool.encoded)
    sd, length = PRIORS["architecture.discrepancy"].mean * spread, PRIORS["architecture.discrepancy.length"].mean
    own = PRIORS["architecture.discrepancy.own"].mean
    smooth, alone = sd * np.sqrt(1 - own), sd * np.sqrt(own)
    worlds = correct(worlds + constant, x, rows.told, rows.losses[told], each, smooth, length, joint=True, own=alone)
    return worlds, noise, (w1, w2), (first.computed, second.computed)


def _minmax(values: FloatArray) -> FloatArray:
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    return np.asarray((values - low) / np.where(high > low, high - low, 1.0))


def _part(problem: Problem, rows: Rows, name: str, trade: Tradeoff, samples: int, seed: int) -> Part:
    column = rows.details[name]
    known = np.isfinite(column)
    log = bool((column[known] > 0).all())
    values = np.log(column[known]) if log else column[known]
    back = np.exp if log else np.asarray
    spread = float(values.std()) or 1.0
    centre = float(values.mean())
    y = (values - centre) / spread
    sound = np.zeros(len(y), dtype=bool)  # a run that diverged by its metric may have an honest latency
    part = replace(rows, encoded=rows.encoded[known], losses=y, diverged=sound, experiment=rows.experiment[known])
    strength = strengths(part, y)
    level = (PRIORS["level"].sd, PRIORS["architecture.level.exponent"].sd, PRIORS["architecture.level.offset"].sd)
    octaves, other = PRIORS["fidelity.octaves"].mean, PRIORS["fidelity.other"].mean
    kernel = Kernel(strength, rows.z, octaves, other, level, PRIORS["architecture.linear"].mean)
    points = Points(features(problem.space, part.encoded), part.experiment)
    trend = _trend(name) * PRIORS["architecture.trend"].mean
    size_of = _size(problem)
    y = y - trend * strength[part.experiment] * size_of(part.encoded)
    encoded = problem.pool.encoded
    sizes, x = size_of(encoded), features(problem.space, encoded)
    size = float(np.median(strength))
    usual = Hyper(PRIORS["architecture.length"].mean, 1.0, PRIORS["architecture.noise"].mean * size)
    jitter = np.zeros(len(y))
    grid = ((1.0, 1.5, 2.0, 3.0), (0.25, 0.5, 1.0), [size * v for v in (0.01, 0.03, 0.1, 0.2)])
    hyper = choose(kernel, points, y, jitter, *grid, usual, width=1.0)

    def at(e: int) -> Points:
        return Points(x, np.full(len(encoded), e))

    ranges = {}
    for e in trade.slopes:
        # The ends of a range are single runs, which a subset of a long table may lack: all that is known counts.
        seen = next(runs.details[name] for runs in problem.cheaper if runs.fidelity == rows.fidelities[e])
        seen = seen[np.isfinite(seen)]
        known_part = trend * strength[e] * sizes
        expected = back(centre + spread * (known_part + condition(kernel, hyper, points, y, jitter, at(e), 0).mean))
        ranges[e] = float(max(np.ptp(seen), np.ptp(expected)))
    exact = computed(problem, name)
    if exact is not None:
        return Part(np.broadcast_to(exact, (samples, len(exact))), exact, ranges, True)
    belief = condition(kernel, hyper, points, y, jitter, at(rows.target), samples, seed)
    middle = belief.mean + trend * strength[rows.target] * sizes
    return Part(back(centre + spread * (middle + belief.draws)), back(centre + spread * middle), ranges, False)


LOSSES = {"loss", "perplexity", "error"}
COSTS = {"latency", "flops", "parameters", "params", "memory", "energy", "time"}


def _trend(name: str) -> float:
    """Which way a detail goes as the model grows: -1 for losses, 1 for costs, 0 for what is neither by its name."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    return -1.0 if words & LOSSES else 1.0 if words & COSTS else 0.0


def _size(problem: Problem) -> Callable[[FloatArray], FloatArray]:
    """A function from encoded configurations [n, width] to the logarithm of their size, standardised over the pool."""
    table = terms(problem.pool)
    if table is None:
        return lambda encoded: np.zeros(len(encoded))
    # Four projections of attention, two or three of the feed-forward layer (Kaplan et al. 2020, table 1).
    size = np.log(4 * table[:, 0] + 2 * table[:, 1])
    centre, spread = float(size.mean()), float(size.std()) or 1.0
    columns = np.column_stack([problem.pool.encoded, np.ones(len(size))])
    answer, *_ = np.linalg.lstsq(columns, (size - centre) / spread, rcond=None)
    return lambda encoded: np.asarray(np.column_stack([encoded, np.ones(len(encoded))]) @ answer)
