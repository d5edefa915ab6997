"""Metrics of an episode, trial by trial, and what is said of many: means with intervals, ranks, paired comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from llmconfig_gym.experiment import Experiment, Outcome
from llmconfig_gym.parameter import FloatArray

NOT_APPLICABLE = "not applicable"
"""What stands for an outcome in the rows of a method that cannot serve an experiment."""

Row: TypeAlias = dict[str, float | bool | None]


def episode_metrics(experiment: Experiment, outcomes: Sequence[Outcome]) -> list[Row]:
    """One row of metrics per trial.

    - `value`, `best_value`: the metric of this trial and the best so far; None while there is none.
    - `simple_regret`: (best so far - best) / (worst - best), the worst clipped (`Experiment.clip`); 1 while there is
      no value. `simple_regret_unclipped`: the same with the table's worst. `median_regret`: over (median - best);
      NaN while there is no value, and where that scale is zero and the best was not found.
    - `excess_percent`: by how many percent the best so far is worse than the best; NaN while there is none.
    - `cumulative_regret`: sum over the trials so far of each trial's clipped regret; a trial without a value counts 1.
    - `within_noise`: whether the best so far is within one standard deviation of a single run of the best;
      None if the noise is not known.
    """
    losses = experiment.losses
    best, top, median = experiment.best, float(losses.max()), float(np.median(losses))
    rows: list[Row] = []
    so_far, cumulative = float("inf"), 0.0
    for outcome in outcomes:
        loss = float("inf") if outcome.value is None else experiment.metric.sign * outcome.value
        cumulative += float(experiment.regret(loss))
        so_far = min(so_far, loss)
        known = np.isfinite(so_far)
        rows.append(
            {
                "value": outcome.value,
                "best_value": experiment.metric.sign * so_far if known else None,
                "simple_regret": float(experiment.regret(so_far)),
                "simple_regret_unclipped": _ratio(min(so_far, top) - best, top - best),
                "median_regret": _ratio(so_far - best, median - best) if known else float("nan"),
                "excess_percent": 100 * (so_far - best) / abs(best) if known and best else float("nan"),
                "cumulative_regret": cumulative,
                "within_noise": None if np.isnan(experiment.noise) else bool(so_far - best <= experiment.noise),
            }
        )
    return rows


def recommendation_metrics(experiment: Experiment, outcomes: Sequence[Outcome]) -> list[Row]:
    """One row of metrics per recommendation: each is judged by itself, not by the best of those before it.

    The columns are those of `episode_metrics`; `best_value` is the value of this recommendation, and
    `cumulative_regret` sums over the recommendations so far.
    """
    rows = [episode_metrics(experiment, [outcome])[0] for outcome in outcomes]
    totals = np.cumsum([row["cumulative_regret"] for row in rows])
    return [{**row, "cumulative_regret": float(total)} for row, total in zip(rows, totals, strict=True)]


def _ratio(part: float, whole: float) -> float:
    """`part / whole`; on a scale of zero 0 for nothing and NaN for anything more."""
    if whole > 0:
        return part / whole
    return 0.0 if part <= 0 else float("nan")


def bootstrap_interval(
    *groups: FloatArray, draws: int = 2000, coverage: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of [experiments, seeds] values, or of the mean of groups' means.

    Resamples experiments, then seeds within each, both with replacement: an experiment is the unit that results must
    carry over to (hierarchical data: Davison and Hinkley 1997, section 3.8, where resampling both levels is the wider
    of the two ways). Groups are resampled each for itself. With three or four experiments no interval is to be taken as
    exact.
    """
    rng = np.random.default_rng(seed)
    means = np.zeros(draws)
    for values in groups:
        experiments, seeds = values.shape
        chosen = rng.integers(experiments, size=(draws, experiments, 1))
        within = rng.integers(seeds, size=(draws, experiments, seeds))
        means += values[chosen, within].mean(axis=(1, 2)) / len(groups)
    low, high = np.quantile(means, [(1 - coverage) / 2, (1 + coverage) / 2])
    return float(low), float(high)


def average_ranks(values: FloatArray) -> FloatArray:
    """Mean rank of each method over [methods, cases, ...] values, 1 the smallest; ties share their mean rank."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(values, axis=0).mean(axis=1))
