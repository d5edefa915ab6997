"""Explain: a fitted surrogate in words and numbers that a researcher can check.

Every sentence is made from a number of the posterior, with its 95 % interval, and says whether the runs or the priors
speak. Warnings say what weakens the conclusion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autollmresearch.evidence.bowl import BowlFit
from autollmresearch.evidence.ordered import Axis, OrderedModel, fidelity_role
from autollmresearch.evidence.posterior import Explanation, Trend
from autollmresearch.evidence.records import Problem
from autollmresearch.evidence.rows import Rows
from llmconfig_gym.parameter import FloatArray, Simplex
from llmconfig_gym.text import number

FEW_RUNS = 5
"""With fewer usable runs a fit is little more than its priors."""

FAR = 2.0
"""Octaves beyond the dearest known run from which a target is said to be extrapolated to."""

TOGETHER = 1e-6
"""Octaves within which two numbers of the fidelity count as one."""

LEARNED = 0.3
"""Share of a prior's variance that runs must take away before a trend is said to be theirs."""


def explain_ordered(
    problem: Problem, rows: Rows, model: OrderedModel, fit: BowlFit, best: tuple[float, float]
) -> Explanation:
    """The bowl's trends, where it expects the optimum, and what level there.

    Args:
        best: mean and sd of the loss of the best candidate.
    """
    ways = _ways(rows)
    trends = [*_location_trends(model, fit, ways), *_level_trends(problem, model, fit, ways)]
    sentences = [_trend_sentence(t, problem.metric.name) for t in trends]
    sentences += [_where(a, fit.samples[:, i] + fit.samples[:, _here(model)][:, i]) for i, a in enumerate(model.axes)]
    sentences += _couplings(model, fit)
    sentences.append(expected(problem, *best))
    sentences.append(rests_on(problem, rows))
    return Explanation(
        "valley that moves as a power law", tuple(trends), tuple(sentences), warnings(problem, rows, trends)
    )


def explain_mixture(problem: Problem, rows: Rows, mean: FloatArray, best: tuple[float, float]) -> Explanation:
    """Which components the best mixtures hold more of, and less."""
    sentences, start = [], 0
    for p in problem.space.parameters:
        if isinstance(p, Simplex) and len(mean) >= FEW_RUNS:
            weights = problem.pool.encoded[:, start : start + p.width]
            share = max(len(mean) // 10, 1)
            good = weights[np.argsort(mean, kind="stable")[:share]].mean(axis=0) - weights.mean(axis=0)
            order = np.argsort(good)
            more = [f"{p.components[i]} ({good[i]:+.2f})" for i in order[::-1][:3] if good[i] > 0]
            less = [f"{p.components[i]} ({good[i]:+.2f})" for i in order[:3] if good[i] < 0]
            if more and less:
                contrast = f"more {', '.join(more)} and less {', '.join(less)}"
                sentences.append(f"The mixtures expected best hold {contrast} than the average one.")
        start += p.width
    sentences += [expected(problem, *best), rests_on(problem, rows)]
    model = "Gaussian process on the square roots of the weights"
    return Explanation(model, (), tuple(sentences), warnings(problem, rows, []))


def explain_architecture(
    problem: Problem,
    rows: Rows,
    parts: tuple[str, str],
    weights: tuple[float, float],
    known: tuple[bool, bool],
    best: tuple[float, float],
) -> Explanation:
    """Of what the metric is made, and which part is computed."""
    made = " plus ".join(f"{number(abs(w))} times rescaled {n}" for n, w in zip(parts, weights, strict=True))
    sentences = [f"In the cheaper runs the {problem.metric.name} is {made}; the two are modelled one by one."]
    sentences += [
        f"{n} follows from the configuration and is computed, not learned."
        for n, k in zip(parts, known, strict=True)
        if k
    ]
    sentences += [expected(problem, *best), rests_on(problem, rows)]
    return Explanation("trade-off of two modelled quantities", (), tuple(sentences), warnings(problem, rows, []))


def _here(model: OrderedModel) -> slice:
    return model.layout.slices()["here"]


@dataclass(frozen=True, eq=False)
class _Way:
    """A direction in which fidelity grew: its name, how far each number moves [names], whether any run varied it."""

    name: str
    steps: FloatArray
    varied: bool


def _ways(rows: Rows) -> list[_Way]:
    """The fidelity's numbers one by one; those that only grew together, in the usable runs, as one."""
    z = rows.z[np.unique(rows.experiment[~rows.diverged])]
    units = np.eye(len(rows.names))
    varied = [m for m in range(len(rows.names)) if len(z) and np.ptp(z[:, m]) > TOGETHER]
    ways = [_Way(rows.names[m], units[m], False) for m in range(len(rows.names)) if m not in varied]
    if len(varied) > 1:
        centred = z[:, varied] - z[:, varied].mean(axis=0)
        steps = centred.T @ centred[:, 0] / float(centred[:, 0] @ centred[:, 0])
        if np.abs(centred - np.outer(centred[:, 0], steps)).max() <= TOGETHER:
            first, *others = (rows.names[m] for m in varied)
            return [_Way(f"{first} (with {', '.join(others)} in step)", steps @ units[varied], True), *ways]
    return sorted([_Way(rows.names[m], units[m], True) for m in varied] + ways, key=lambda w: int(w.steps.argmax()))


def _location_trends(model: OrderedModel, fit: BowlFit, ways: list[_Way]) -> list[Trend]:
    start, count = model.layout.slices()["B"].start, model.layout.names
    trends = []
    for k, axis in enumerate(model.axes):
        columns = slice(start + k * count, start + (k + 1) * count)
        unit = 1.0 if axis.logarithmic else 1 / axis.span
        for way in ways:
            trends.append(_trend(axis.parameter.name, way, fit.samples, model.sd, columns, unit, axis.logarithmic))
    return trends


def _level_trends(problem: Problem, model: OrderedModel, fit: BowlFit, ways: list[_Way]) -> list[Trend]:
    """In octaves of the metric per octave where it is fitted as a logarithm, else in its own units and direction."""
    columns, unit = model.layout.slices()["s"], model.units
    scale = unit.spread / np.log(2) if unit.log else unit.spread * problem.metric.sign
    return [_trend(problem.metric.name, way, fit.samples, model.sd, columns, scale, unit.log) for way in ways]


def _trend(
    what: str, way: _Way, samples: FloatArray, sd: FloatArray, columns: slice, unit: float, logarithmic: bool
) -> Trend:
    along = samples[:, columns] @ way.steps
    prior = float(np.sqrt(np.square(sd[columns] * way.steps).sum()))
    low, middle, high = (float(q) for q in np.quantile(along * unit, [0.025, 0.5, 0.975]))
    learned = float(np.clip(1 - (along.std() / prior) ** 2, 0.0, 1.0)) if way.varied else 0.0
    return Trend(what, way.name, middle, low, high, logarithmic, learned)


def _trend_sentence(t: Trend, metric: str) -> str:
    best = f"The level of {t.what}" if t.what == metric else f"The best {t.what}"
    tail = "" if t.learned >= LEARNED else " (mostly the prior: the runs say little about it)"
    if not t.logarithmic:
        span = f"{t.low:+.2g} to {t.high:+.2g}"
        if t.low <= 0 <= t.high:
            return f"{best} did not clearly move with {t.fidelity}: {t.exponent:+.2g} per doubling ({span}){tail}."
        verb = "rose" if t.exponent > 0 else "fell"
        return f"{best} {verb} by about {abs(t.exponent):.2g} per doubling of {t.fidelity} ({span}){tail}."
    if t.low <= 0 <= t.high:
        low, high = factor(t.low), factor(t.high)
        return f"{best} did not clearly move with {t.fidelity}: {low} to {high} per doubling{tail}."
    verb = "rose" if t.exponent > 0 else "fell"
    ends = sorted((abs(t.low), abs(t.high)))
    span = " to ".join(factor(e) for e in ends)
    return f"{best} {verb} about {factor(abs(t.exponent))} per doubling of {t.fidelity} ({span}){tail}."


def factor(exponent: float) -> str:
    """What a doubling multiplies by, e.g. `1.4x`."""
    value = 2.0**exponent
    return f"{value:.1f}x" if abs(value - 1) >= 0.15 else f"{value:.2f}x"


def _where(axis: Axis, samples: FloatArray) -> str:
    low, middle, high = (number(_value(axis, q)) for q in np.quantile(samples, [0.025, 0.5, 0.975]))
    return f"At the target the best {axis.parameter.name} is expected at {middle} ({low} to {high})."


def _value(axis: Axis, coordinate: float) -> float:
    return axis.parameter.at((float(coordinate) - axis.low) / axis.span)


def _couplings(model: OrderedModel, fit: BowlFit) -> list[str]:
    start = model.layout.slices()["kappa"].start
    sentences = []
    for i, (k, j) in enumerate(model.layout.pairs):
        low, middle, high = np.quantile(fit.samples[:, start + i], [0.025, 0.5, 0.975])
        a, b = model.axes[k], model.axes[j]
        if low * high > 0 and a.logarithmic and b.logarithmic:
            word = "larger" if middle > 0 else "smaller"
            sentences.append(
                f"Twice the {b.parameter.name} wants a {a.parameter.name} about {factor(abs(middle))} {word}."
            )
    return sentences


def expected(problem: Problem, mean: float, sd: float) -> str:
    """What the best candidate is expected to give, in the metric's own direction."""
    value = problem.metric.sign * mean
    return f"The best candidate is expected to give {problem.metric.name} {number(value, 4)} +- {number(sd, 2)}."


def rests_on(problem: Problem, rows: Rows) -> str:
    """Which runs the conclusion rests on."""
    tried, told, bad = len(rows.tried), len(rows.told), int(rows.diverged.sum())
    cheap, kept = rows.known - tried, len(rows) - told
    scales = len({e for e in rows.experiment.tolist() if e != rows.target})
    runs, fidelities = ("run" if cheap == 1 else "runs"), ("fidelity" if scales == 1 else "fidelities")
    text = f"It rests on {cheap} cheaper {runs} at {scales} {fidelities} and {tried} on the target"
    if kept < cheap:
        text += f" (fitted to {kept} of the cheaper ones)"
    if told < tried:
        text += f" (fitted to {told} of the target's)"
    if bad:
        text += f"; {bad} of them failed, diverged or are far off the scale"
    return text + "."


def warnings(problem: Problem, rows: Rows, trends: list[Trend]) -> tuple[str, ...]:
    """What weakens the conclusion, one line each."""
    found = []
    usable = int((~rows.diverged).sum())
    if len(rows) and usable == 0:
        found.append("every known run diverged: what follows is the priors alone")
    elif usable < FEW_RUNS:
        found.append(f"{usable} usable runs are known, fewer than {FEW_RUNS}: what follows is mostly the priors")
    found += [
        f"the target lies {number(2.0**-gap)}x beyond the dearest known run in {name}: this is extrapolation"
        for name, gap in zip(rows.names, _gaps(rows), strict=True)
        if gap <= -FAR
    ]
    for t in trends:
        worse = (t.low > 0) if problem.metric.sign > 0 else (t.high < 0)
        scale = fidelity_role(t.fidelity) in ("parameters", "tokens", "compute")
        if t.what == problem.metric.name and scale and worse and t.learned >= LEARNED:
            found.append(
                f"{t.what} gets worse with more {t.fidelity}: is its direction really to {problem.metric.direction} it?"
            )
    return tuple(found)


def _gaps(rows: Rows) -> FloatArray:
    """[names] octaves from the target to the nearest below it among the known runs, 0 if one is at or above it."""
    seen: NDArray[np.int64] = np.unique(rows.experiment)
    if len(seen) == 0:
        return np.zeros(len(rows.names))
    return np.asarray(np.minimum(rows.z[seen].max(axis=0), 0.0))
