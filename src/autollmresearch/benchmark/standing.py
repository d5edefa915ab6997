"""Standing: how the methods compare over everything that a benchmark measured under one protocol.

Three views of the same rows, for they can disagree: average ranks over experiments with a test of whether they differ
at all (Demsar 2006, "Statistical comparisons of classifiers over multiple data sets"), the paired difference of mean
regret to one method, the best unless another is asked for, and experiments won, tied and lost against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from autollmresearch.benchmark.metrics import average_ranks, bootstrap_interval
from autollmresearch.benchmark.summary import cube, method_order
from autollmresearch.methods import REFERENCES
from llmconfig_gym.parameter import FloatArray

if TYPE_CHECKING:
    import pandas as pd

SAME = 1e-9
"""Regrets that differ by less are the same."""


@dataclass(frozen=True)
class Place:
    """One method's standing. Regret is that of all trials of an episode together, over their number.

    Attributes:
        method: by name.
        rank: average over experiments, by regret averaged over seeds; 1 is best, ties share.
        first: the same, by the simple regret of the first trial.
        regret: mean over groups (a suite's experiments of one task), all of the same weight.
        behind: its paired difference to the method that all are compared with: mean, low and high end of a 95 %
            interval.
        won, tied, lost: experiments on which it is better, the same or worse than that method. Where seeds matter,
            better means that the 95 % interval of the paired difference over seeds does not hold 0.
        seconds: mean time per proposal.
    """

    method: str
    rank: float
    first: float
    regret: float
    behind: tuple[float, float, float]
    won: int
    tied: int
    lost: int
    seconds: float


@dataclass(frozen=True)
class Standing:
    """All methods that served every experiment, best rank first.

    Attributes:
        protocol: under which.
        experiments: how many.
        places: per method.
        against: the method that all are compared with.
        missing: methods that did not serve every experiment, so that their ranks would be of others'.
        chance: p-value of Friedman's test that all methods are the same; NaN with fewer than three methods.
        critical: two average ranks that differ by less cannot be told apart at 5 % (Nemenyi's test); NaN as above.
    """

    protocol: str
    experiments: int
    places: tuple[Place, ...]
    against: str
    missing: tuple[str, ...]
    chance: float
    critical: float


def standings(frame: pd.DataFrame, against: str | None = None) -> Iterator[Standing]:
    """One per protocol, in the rows' own order. Reference lines that are no method (`methods.REFERENCES`) have none.

    Args:
        against: the method to compare all others with, where it served every experiment; by default the one with the
            best rank.
    """
    for protocol, part, whole, missing in complete(frame):
        yield _standing(protocol, part, whole, missing, against)


def complete(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, list[str], tuple[str, ...]]]:
    """Per protocol: its rows, the methods that served every experiment, and those that did not, each in their order."""
    frame = frame[~frame["method"].isin(REFERENCES)]
    for protocol, part in frame.groupby("protocol", sort=False):
        served = part[part["cumulative_regret"].notna()].groupby("method")["experiment"].nunique()
        names = method_order(list(part["method"].unique()))
        whole = [m for m in names if served.get(m, 0) == part["experiment"].nunique()]
        if whole:
            yield str(protocol), part, whole, tuple(m for m in names if m not in whole)


def duels(part: pd.DataFrame, names: list[str]) -> Iterator[tuple[str, str, tuple[int, int, int]]]:
    """Every method against every other on the rows of one protocol: both names, and experiments won, tied and lost by
    the first (as `Place` counts them)."""
    regret = _regret(part, names)
    for a, b in combinations(names, 2):
        signs = [s for x, y in zip(regret[a], regret[b], strict=True) for s in _signs(x - y)]
        won, tied, lost = (signs.count(sign) for sign in (-1, 0, 1))
        yield a, b, (won, tied, lost)
        yield b, a, (lost, tied, won)


def _regret(part: pd.DataFrame, names: list[str]) -> dict[str, list[FloatArray]]:
    """Per method and group: regret per trial [experiments, seeds]."""
    groups = [g for _, g in part.groupby(["suite", "task"], sort=False)]
    return {m: [cube(g, m, "cumulative_regret")[..., -1] / g["trial"].nunique() for g in groups] for m in names}


def _standing(
    protocol: str, part: pd.DataFrame, names: list[str], missing: tuple[str, ...], against: str | None
) -> Standing:
    groups = [g for _, g in part.groupby(["suite", "task"], sort=False)]
    regret = _regret(part, names)
    first = {m: [cube(g, m, "simple_regret")[..., 0] for g in groups] for m in names}
    table, first_table = (np.stack([_by_experiment(v[m]) for m in names]) for v in (regret, first))
    ranks, first_ranks = average_ranks(table), average_ranks(first_table)
    order = np.argsort(ranks, kind="stable")
    best = against if against in names else names[order[0]]
    places = []
    for i in order.tolist():
        gaps = [a - b for a, b in zip(regret[names[i]], regret[best], strict=True)]
        signs = [sign for group in gaps for sign in _signs(group)]
        mine = part[part["method"] == names[i]]
        places.append(
            Place(
                method=names[i],
                rank=float(ranks[i]),
                first=float(first_ranks[i]),
                regret=float(np.mean([g.mean() for g in regret[names[i]]])),
                behind=(float(np.mean([g.mean() for g in gaps])), *bootstrap_interval(*gaps)),
                won=signs.count(-1),
                tied=signs.count(0),
                lost=signs.count(1),
                seconds=float(mine["seconds"].mean()),
            )
        )
    return Standing(protocol, table.shape[1], tuple(places), best, missing, *_tests(table))


def _by_experiment(groups: list[FloatArray]) -> FloatArray:
    """[experiments of all groups] means over seeds, so rounded that what is the same ranks the same."""
    return np.round(np.concatenate([g.mean(axis=1) for g in groups]), 9)


def _signs(gaps: FloatArray) -> list[int]:
    """Per experiment of these paired differences [experiments, seeds]: -1 if they are less than 0, 1 if more, 0 if that
    cannot be told. The intervals are those of `bootstrap_interval` over seeds, all of them in one product."""
    low, high = np.quantile(gaps @ _shares(gaps.shape[1]).T, [0.025, 0.975], axis=1)
    same = np.ptp(gaps, axis=1) < SAME
    alone = np.where(np.abs(gaps[:, 0]) < SAME, 0, np.sign(gaps[:, 0]))
    signs = np.where(same, alone, np.where(high < 0, -1, np.where(low > 0, 1, 0)))
    return [int(sign) for sign in signs]


@cache
def _shares(seeds: int, draws: int = 2000) -> FloatArray:
    """How much of each of `draws` samples, with replacement, each seed is: [draws, seeds]."""
    chosen = np.random.default_rng(0).integers(seeds, size=(draws, seeds))
    counts = np.zeros((draws, seeds))
    np.add.at(counts, (np.arange(draws)[:, None], chosen), 1.0)
    return counts / seeds


def _tests(table: FloatArray) -> tuple[float, float]:
    """Friedman's p-value and Nemenyi's critical difference of [methods, experiments] values."""
    from scipy.stats import friedmanchisquare, studentized_range

    methods, experiments = table.shape
    if methods < 3:
        return float("nan"), float("nan")
    quantile = float(studentized_range.ppf(0.95, methods, np.inf)) / np.sqrt(2)
    critical = float(quantile * np.sqrt(methods * (methods + 1) / (6 * experiments)))
    if np.ptp(table, axis=0).max() == 0:
        return 1.0, critical
    return float(friedmanchisquare(*table).pvalue), critical
