"""Rows: a problem and what was told of it as arrays, the form in which every surrogate reads evidence.

Coordinates are those of the target's space. Of long tables a deterministic subset is kept before anything costly is
done to it: more of the experiments nearest to the target, and within each more of the good runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autollmresearch.evidence.records import CheapRuns, Problem
from llmconfig_gym.experiment import Fidelity, Outcome
from llmconfig_gym.parameter import FloatArray
from llmconfig_gym.pool import Pool


@dataclass(frozen=True, eq=False)
class Rows:
    """Evidence as arrays; the target's own outcomes come last.

    Attributes:
        encoded: [n, width] configurations in the target's encoding.
        losses: [n] oriented so that smaller is better, diverged runs clipped.
        diverged: [n] whether a run gave no value, or one that was clipped.
        experiment: [n] index of the run's fidelity; `len(fidelities) - 1` is the target's.
        fidelities: all fidelities, the target's last.
        names: the fidelity's numbers that differ, e.g. `("parameters", "tokens")`; `("cost",)` if only cost does.
        z: [fidelities, names] octaves from the target (0 at the target, negative below).
        details: [n] columns of details known for every kept run; NaN where a told run lacks one.
        told: [m] pool rows of the target's outcomes, in the order of the last m rows.
        tried: the same of all of its outcomes, also those that are not kept.
        known: how many runs there were before a subset was taken, cheap and told together.
    """

    encoded: FloatArray
    losses: FloatArray
    diverged: NDArray[np.bool_]
    experiment: NDArray[np.int64]
    fidelities: tuple[Fidelity, ...]
    names: tuple[str, ...]
    z: FloatArray
    details: Mapping[str, FloatArray]
    told: NDArray[np.int64]
    tried: NDArray[np.int64]
    known: int

    @property
    def target(self) -> int:
        """The index of the target's fidelity."""
        return len(self.fidelities) - 1

    def __len__(self) -> int:
        return len(self.losses)


def gather(problem: Problem, trials: Sequence[Outcome], limit: int) -> Rows:
    """The evidence of a problem and its trials, at most about `limit` cheap runs and as many trials.

    Works with nothing known at all: then every array is empty.
    """
    kept = _thin(problem, limit)
    encoded, losses, diverged, experiment = [], [], [], []
    for i, runs in enumerate(kept):
        clipped, bad = _clip(runs.losses, problem.clip)
        encoded.append(runs.encoded_in(problem.space))
        losses.append(clipped)
        diverged.append(bad)
        experiment.append(np.full(len(clipped), i))
    outcomes = [t for t in trials if t.kind in ("measured", "snapped") and t.config is not None]
    tried = np.array([problem.pool.find(t.config)[0] for t in outcomes if t.config is not None], dtype=np.int64)
    values = np.array([np.nan if t.value is None else problem.metric.sign * t.value for t in outcomes])
    missing = ~np.isfinite(values)
    if missing.any():  # a run without a value is as bad as the worst that is known, here if anything is known here
        pools = [values[~missing], *losses]
        values[missing] = max((float(v.max()) for v in pools if len(v)), default=0.0)
    some = spread_of(values, limit)
    outcomes, told, values, missing = [outcomes[i] for i in some], tried[some], values[some], missing[some]
    clipped, bad = _clip(values, problem.clip)
    encoded.append(problem.pool.encoded[told])
    losses.append(clipped)
    diverged.append(bad | missing)
    experiment.append(np.full(len(told), len(kept)))
    fidelities = (*(runs.fidelity for runs in kept), problem.fidelity)
    names, z = scale(fidelities)
    shared = [k for k in problem.metric.details if all(k in runs.details for runs in kept)] if kept else []
    details = {
        k: np.concatenate(
            [*(np.asarray(r.details[k], dtype=np.float64) for r in kept), [t.details.get(k, np.nan) for t in outcomes]]
        )
        for k in shared
    }
    return Rows(
        np.concatenate(encoded),
        np.concatenate(losses),
        np.concatenate(diverged),
        np.concatenate(experiment).astype(np.int64),
        fidelities,
        names,
        z,
        details,
        told,
        tried,
        sum(len(r.losses) for r in problem.cheaper) + len(tried),
    )


def scale(fidelities: Sequence[Fidelity]) -> tuple[tuple[str, ...], FloatArray]:
    """Names of the numbers that differ, and octaves from the last fidelity: [fidelities, names].

    Numbers that are not positive, words, and what not all share say nothing about a trend. Where nothing is left the
    cost is taken, if it differs.
    """
    values = [f.values for f in fidelities]
    shared = [k for k in values[-1] if all(_positive(v.get(k)) for v in values)]
    names = tuple(k for k in shared if len({float(v[k]) for v in values}) > 1)
    if names:
        table = np.array([[float(v[k]) for k in names] for v in values])
    elif all(_positive(f.cost) for f in fidelities) and len({f.cost for f in fidelities}) > 1:
        names, table = ("cost",), np.array([[float(f.cost)] for f in fidelities])
    else:
        return (), np.zeros((len(fidelities), 0))
    return names, np.log2(table / table[-1])


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _clip(losses: FloatArray, clip: float | None) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Losses with blow-ups pulled in, and which those are.

    The bound is the regret scale's where there is one, else far outside of three quarters of the runs: ten times their
    range beyond them.
    """
    if len(losses) == 0:
        return losses, np.zeros(0, dtype=bool)
    best, most = float(losses.min()), float(np.quantile(losses, 0.75))
    bound = math.inf
    if clip is not None:
        bound = best + (clip - 1) * abs(best)
    elif len(losses) >= 5 and most > best:
        bound = most + 10 * (most - best)
    return np.minimum(losses, bound), losses > bound


def _thin(problem: Problem, limit: int) -> list[CheapRuns]:
    """The cheaper runs, at most about `limit` of them."""
    sizes = np.array([len(runs.losses) for runs in problem.cheaper])
    if sizes.sum() <= limit:
        return list(problem.cheaper)
    near = 1.0 / (1.0 + np.abs(scale([*(r.fidelity for r in problem.cheaper), problem.fidelity])[1][:-1]).sum(axis=1))
    quota = _share(sizes, near, limit)
    return [_best_spread(runs, int(q)) for runs, q in zip(problem.cheaper, quota, strict=True) if q > 0]


def _share(sizes: NDArray[np.int64], weights: FloatArray, limit: int) -> NDArray[np.int64]:
    """`limit` places shared out by weight; none gets more than it has, and what is left over goes to the others."""
    quota = np.zeros(len(sizes))
    while (open_ := quota < sizes).any() and (left := limit - quota.sum()) >= 1:
        part = np.where(open_, weights, 0.0)
        quota = np.minimum(sizes, quota + left * part / part.sum())
    whole = np.floor(quota + 1e-9).astype(np.int64)
    if len(sizes) > limit // 2:  # nearly as many experiments as places, where rounding down would leave most unused
        left = limit - int(whole.sum())
        whole[np.argsort(whole - quota, kind="stable")[:left]] += 1
    return np.minimum(whole, sizes)


def spread_of(losses: FloatArray, count: int) -> NDArray[np.int64]:
    """`count` of the runs [n], by index: from the best to the worst, closer together among the good ones."""
    size = len(losses)
    if count >= size:
        return np.arange(size)
    order = np.argsort(losses, kind="stable")
    ranks = np.unique(np.floor(size * np.linspace(0, 1, count, endpoint=False) ** 1.5).astype(np.int64))
    return np.sort(order[ranks])


def _best_spread(runs: CheapRuns, count: int) -> CheapRuns:
    """`count` of the runs (see `spread_of`)."""
    if count >= len(runs.losses):
        return runs
    rows = spread_of(runs.losses, count)
    columns = {name: column[rows] for name, column in runs.pool.columns.items()}
    details = {name: column[rows] for name, column in runs.details.items()}
    return CheapRuns(runs.fidelity, Pool(runs.space, columns), runs.losses[rows], details)
