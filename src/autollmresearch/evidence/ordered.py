"""Ordered parameters: the bowl of bowl.py in a problem's own coordinates, under the priors of priors.py."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autollmresearch.evidence.bowl import BowlFit, Inputs, Layout, evaluate, fit_bowl
from autollmresearch.evidence.priors import (
    BATCH_CONSTANT,
    BATCH_EXPONENT,
    LR_CONSTANT,
    LR_EXPONENT,
    PRIORS,
    Prior,
)
from autollmresearch.evidence.records import Problem
from autollmresearch.evidence.rows import Rows
from llmconfig_gym.experiment import Fidelity
from llmconfig_gym.parameter import Categorical, FloatArray, Ordered, Parameter
from llmconfig_gym.space import Space

QUARTERS = 4.0
"""Units of the range of a parameter that has no logarithmic scale: a quarter plays the part of an octave."""

MOST_OFFSETS = 30
"""Most experiments that get a level of their own; with more, every run is nearly an experiment."""


@dataclass(frozen=True)
class Axis:
    """One ordered parameter as the bowl sees it: octaves of its value, or quarters of its range."""

    parameter: Ordered
    column: int
    low: float
    span: float
    role: str

    @property
    def logarithmic(self) -> bool:
        """Whether the coordinate is log2 of the value."""
        return self.parameter.limits()[2] and not self.parameter.relative

    def coordinate(self, encoded: FloatArray) -> FloatArray:
        """[n] from the encoding [n, width]."""
        return np.asarray(self.low + self.span * encoded[:, self.column])


def axes(space: Space) -> list[Axis]:
    """The ordered parameters of a space that have more than one value; the learning rate first, then the batch size."""
    found, start = [], 0
    for p in space.parameters:
        if isinstance(p, Ordered):
            low, high, log = p.limits()
            if high > low:
                octaves = log and not p.relative
                span = math.log2(high / low) if octaves else QUARTERS
                found.append(Axis(p, start, math.log2(low) if octaves else 0.0, span, role(p)))
        start += p.width
    order = {"lr": 0, "batch": 1, "other": 2}
    return sorted(found, key=lambda a: order[a.role])


def role(p: Parameter) -> str:
    """`lr`, `batch` or `other`, from a parameter's name; only logarithmic scales can follow a power law."""
    words = set(re.split(r"[^a-z0-9]+", p.name.lower()))
    if not (isinstance(p, Ordered) and p.limits()[2]) or p.relative:
        return "other"
    if words & {"lr", "eta"} or {"learning", "rate"} <= words or "learningrate" in words:
        return "lr"
    if words & {"batch", "bs", "batchsize"} or ("per" in words and "step" in words):
        return "batch"
    return "other"


def fidelity_role(name: str) -> str:
    """`parameters`, `tokens`, `compute` or `other`, from the name of a fidelity's number."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    if words & {"parameters", "params", "parameter", "n", "size", "model"}:
        return "parameters"
    if words & {"tokens", "token", "d", "samples", "answers", "examples", "steps", "data"}:
        return "tokens"
    if words & {"flops", "flop", "compute", "c", "cost"}:
        return "compute"
    return "other"


def training_flops(fidelity: Fidelity) -> float | None:
    """6ND where the fidelity names parameters and tokens, else its FLOPs, else None (Kaplan et al. 2020, 2.1)."""
    numbers = {fidelity_role(k): float(v) for k, v in fidelity.values.items() if isinstance(v, int | float) and v > 0}
    named = {word for k in fidelity.values for word in re.split(r"[^a-z0-9]+", k.lower())}
    if "parameters" in numbers and "tokens" in numbers and named & {"tokens", "d"}:
        return 6.0 * numbers["parameters"] * numbers["tokens"]
    if "compute" in numbers:
        return numbers["compute"]
    return None


def tokens_per_unit(p: Parameter) -> float | None:
    """How many tokens one unit of a batch size is: 1 for tokens, K for "sequences of K tokens", else None."""
    text = f"{p.unit} {p.about}".lower()
    if found := re.search(r"sequences? of ([\d,]+) tokens", text):
        return float(found.group(1).replace(",", ""))
    return 1.0 if p.unit.lower().strip() in ("tokens", "token") or "tokens" in p.name.lower() else None


def location_prior(axis: Axis, problem: Problem) -> Prior:
    """Where the optimum lies at the target, in the axis's coordinate.

    People search around what they expect, so the middle of the range says something of every parameter; of the
    learning rate and the batch size in pretraining the published laws say more. Both are combined by their precision.
    """
    generic = PRIORS["location.range"]
    mean = axis.low + generic.mean * axis.span
    sd = generic.sd * axis.span
    law = None
    flops = training_flops(problem.fidelity) if axis.logarithmic else None
    if flops is not None and axis.role == "lr":
        law = math.log2(LR_CONSTANT * flops**LR_EXPONENT), PRIORS["location.lr"]
    elif flops is not None and axis.role == "batch" and (unit := tokens_per_unit(axis.parameter)) is not None:
        law = math.log2(BATCH_CONSTANT * flops**BATCH_EXPONENT / unit), PRIORS["location.batch"]
    if law is None:
        return Prior(mean, sd, "octaves", generic.source)
    centre, prior = law[0] + law[1].mean, law[1]
    precision = sd**-2 + prior.sd**-2
    both = (mean * sd**-2 + centre * prior.sd**-2) / precision
    return Prior(both, precision**-0.5, "octaves", f"{prior.source}; {generic.source}")


def exponent_prior(axis: Axis, name: str, problem: Problem) -> Prior:
    """How the optimum moves with one of the fidelity's numbers; the published laws are of pretraining."""
    if training_flops(problem.fidelity) is None:
        return PRIORS["exponent.other"]
    return PRIORS.get(f"exponent.{axis.role}.{fidelity_role(name)}", PRIORS["exponent.other"])


@dataclass(frozen=True, eq=False)
class Units:
    """How losses become what the bowl is fitted to: their logarithm where they are losses, in units of their spread."""

    log: bool
    centre: float
    spread: float

    def to(self, losses: FloatArray) -> FloatArray:
        values = np.log(losses) if self.log else losses
        return np.asarray((values - self.centre) / self.spread)

    def back(self, y: FloatArray) -> FloatArray:
        values = self.centre + self.spread * y
        return np.asarray(np.exp(np.minimum(values, 700.0)) if self.log else values)

    def sd(self, y: float, level: float) -> float:
        """A standard deviation in units of y as one of losses at a level."""
        return y * self.spread * (abs(level) if self.log else 1.0)


def units(problem: Problem, rows: Rows) -> Units:
    """Logarithms for positive losses within a factor of 30; spread from deviations about the prior's trend."""
    y = rows.losses
    positive = bool(y.min() > 0 and y.max() <= 30 * y.min()) if len(y) else problem.metric.sign > 0
    values = np.log(y) if positive else y
    slope = PRIORS["level.exponent.loss"].mean if positive else 0.0
    flat = values - slope * rows.z[rows.experiment].sum(axis=1)
    if len(y) == 0:
        return Units(positive, 0.0, 0.1 if positive else 1.0)
    centre = float(np.median(flat))
    spread = 1.4826 * float(np.median(np.abs(flat - centre)))
    if len(y) < 5 or spread <= 0:
        spread = max(spread, 0.05 if positive else 0.05 * abs(centre), float(np.ptp(flat)) / 4)
    return Units(positive, centre, spread if spread > 0 else 1.0)


@dataclass(frozen=True, eq=False)
class OrderedModel:
    """A problem in the bowl's coordinates, with its priors: what fitting needs and explaining reads."""

    axes: list[Axis]
    layout: Layout
    mean: FloatArray
    sd: FloatArray
    units: Units
    names: tuple[str, ...]

    def inputs(self, encoded: FloatArray, z: FloatArray, experiment: FloatArray, space: Space) -> Inputs:
        """Points given in the target's encoding."""
        x = [a.coordinate(encoded) for a in self.axes]
        columns = np.stack(x, axis=1) if x else np.zeros((len(encoded), 0))
        return Inputs(columns, encoded[:, _categorical(space)], z, experiment)


def _categorical(space: Space) -> list[int]:
    columns, start = [], 0
    for p in space.parameters:
        if isinstance(p, Categorical):
            columns += list(range(start, start + p.width))
        start += p.width
    return columns


def build(problem: Problem, rows: Rows) -> OrderedModel:
    """Coordinates and priors for a problem."""
    dims = axes(problem.space)
    named = [(i, j) for i, a in enumerate(dims) for j, b in enumerate(dims) if (a.role, b.role) == ("lr", "batch")]
    every = [(i, j) for i in range(len(dims)) for j in range(i + 1, len(dims))] if len(dims) <= 4 else named
    offsets = len(rows.fidelities) if len(rows.fidelities) <= MOST_OFFSETS else 0
    categories = len(_categorical(problem.space))
    layout = Layout(len(dims), len(rows.names), categories, offsets, tuple(every))
    unit = units(problem, rows)
    mean, sd = np.zeros(layout.size), np.zeros(layout.size)
    parts = layout.slices()

    def put(block: str, priors: list[Prior], scale: float = 1.0) -> None:
        mean[parts[block]] = [scale * p.mean for p in priors]
        sd[parts[block]] = [scale * p.sd for p in priors]

    put("a", [location_prior(a, problem) for a in dims])
    put("B", [exponent_prior(a, n, problem) for a in dims for n in rows.names])
    put("here", [PRIORS["location.target"]] * len(dims))
    coupling = {True: PRIORS["coupling.lr.batch"], False: PRIORS["coupling.other"]}
    put("kappa", [coupling[pair in named] for pair in layout.pairs])
    put("w", [PRIORS["log_sharpness"]] * len(dims))
    put("alpha", [PRIORS["asymmetry"]] * len(dims))
    put("A", [PRIORS["log_height"]])
    put("gamma", [PRIORS["log_height.exponent"]] * len(rows.names))
    put("c", [PRIORS["category"]] * categories)
    put("level", [PRIORS["level"]])
    if unit.log:
        put("s", [PRIORS["level.exponent.loss"]] * len(rows.names), 1 / unit.spread)
    else:
        put("s", [PRIORS["level.exponent.other"]] * len(rows.names))
    put("offset", [offset_prior(rows)] * offsets)
    return OrderedModel(dims, layout, mean, sd, unit, rows.names)


def offset_prior(rows: Rows) -> Prior:
    """How far an experiment's level may lie off the trend: far, where words or nothing at all tell fidelities apart."""
    keys = {k for f in rows.fidelities for k, v in f.values.items() if isinstance(v, str)}
    differ = any(len({f.values.get(k) for f in rows.fidelities}) > 1 for k in keys)
    return PRIORS["level.offset.words" if differ or not rows.names else "level.offset"]


def one_hot(rows: Rows, layout: Layout, experiment: NDArray[np.int64]) -> FloatArray:
    """[n, experiments] which experiment each run belongs to; with too many of them only the target's column."""
    count = len(rows.fidelities)
    if layout.experiments:
        return np.eye(count)[experiment]
    return np.asarray(np.equal(experiment, rows.target).astype(np.float64)[:, None])


def fit_ordered(problem: Problem, rows: Rows, samples: int) -> tuple[OrderedModel, BowlFit, Inputs, Inputs]:
    """The fitted bowl, the inputs of the runs and those of the pool."""
    model = build(problem, rows)
    z = rows.z[rows.experiment]
    inputs = model.inputs(rows.encoded, z, one_hot(rows, model.layout, rows.experiment), problem.space)
    noise = PRIORS["noise"]
    fit = fit_bowl(
        model.layout,
        inputs,
        model.units.to(rows.losses),
        rows.diverged,
        model.mean,
        model.sd,
        (noise.mean, noise.sd),
        samples=samples,
    )
    count = len(problem.pool)
    here = np.full(count, rows.target)
    pool = model.inputs(
        problem.pool.encoded, np.zeros((count, len(rows.names))), one_hot(rows, model.layout, here), problem.space
    )
    return model, fit, inputs, pool


def worlds(model: OrderedModel, fit: BowlFit, pool: Inputs) -> FloatArray:
    """Samples of the fitted units at the pool: [samples, n]."""
    return evaluate(model.layout, fit.samples, pool)
