"""Words: what metrics, their details and parameters are called and said to mean in drawn experiments.

A model that only ever read bare names would be lost in a real prompt. Words come from a small stock, and from the low
and medium experiments of the suites that the settings name: their texts alone, never an outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from autollmresearch.training.tables import Table
from llmconfig_gym.experiment import Metric
from llmconfig_gym.parameter import FloatArray
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

SENTENCES: Mapping[str, tuple[str, ...]] = {
    "minimize": (
        "Measured on held-out text at the end of the run.",
        "In nats per token.",
        "In bits per byte.",
        "Averaged over the last steps.",
        "Averaged over two repetitions.",
        "Runs that diverged end far above the rest.",
        "Every run sees each token once.",
        "The number of parameters excludes embeddings.",
        "The number of parameters includes embeddings.",
        "All runs share one tokenizer and one schedule.",
        "Lower by one hundredth is more than noise.",
    ),
    "maximize": (
        "Share of held-out problems that are answered right.",
        "One answer per problem, sampled at temperature 1.",
        "Answers are taken greedily.",
        "Averaged over two repetitions.",
        "Measured after the last step.",
        "Before training it is near the lowest values.",
        "Judged by programs.",
    ),
}

DETAILS: tuple[str, ...] = (
    *("train_loss", "last_step_loss", "train_loss_at_50%", "gradient_norm", "gradient_norm_max", "steps", "seconds"),
    *("kl", "entropy", "response_length", "clip_fraction", "greedy_accuracy", "latency_ms", "flops_per_token"),
)


@dataclass(frozen=True)
class Lent:
    """The words of one experiment: its metric, and what is said of its parameters."""

    metric: Metric
    parameters: Mapping[str, tuple[str, str]]


@lru_cache(maxsize=16)
def lent(suites: tuple[str, ...]) -> Mapping[str, tuple[Lent, ...]]:
    """By task, the words of the low and medium experiments of these suites.

    Raises:
        UnknownName, SourceUnavailable, SuiteFormatError: a suite cannot be loaded.
    """
    from autollmresearch.training.unlocked import open_experiment, unlocked

    found: dict[str, dict[str, Lent]] = {}
    for suite in suites:
        for id_, summary in unlocked(suite):
            told = found.setdefault(summary.task, {})
            if summary.metric.name not in told:
                space = open_experiment(id_).space
                told[summary.metric.name] = Lent(summary.metric, {p.name: (p.about, p.unit) for p in space.parameters})
    return {task: tuple(told.values()) for task, told in found.items()}


def worded(rng: np.random.Generator, table: Table, suites: tuple[str, ...], details: float) -> Table:
    """The table with other words, and with this probability with details."""
    choices = [w for w in lent(suites).get(table.task, ()) if w.metric.direction == table.metric.direction]
    if choices and rng.random() < 0.7:
        words = choices[int(rng.integers(len(choices)))]
        metric, names = words.metric, tuple(words.metric.details)
        about = {p.name: words.parameters.get(p.name, (p.about, p.unit)) for p in table.pool.space.parameters}
        space = Space(
            tuple(replace(p, about=about[p.name][0], unit=about[p.name][1]) for p in table.pool.space.parameters)
        )
        table = replace(table, pool=Pool(space, table.pool.columns))
    else:
        stock = SENTENCES[table.metric.direction]
        said = [stock[i] for i in rng.permutation(len(stock))[: int(rng.integers(4))]]
        about_ = " ".join(filter(None, [table.metric.about, *said]))
        metric = replace(table.metric, about=about_)
        names = tuple(table.details) or tuple(
            DETAILS[i] for i in rng.permutation(len(DETAILS))[: int(rng.integers(1, 4))]
        )
    if rng.random() >= details:
        return replace(table, metric=replace(metric, details={}), details={})
    made = {name: table.details[name] if name in table.details else _detail(rng, name, table) for name in names}
    return replace(table, metric=replace(metric, details=dict.fromkeys(names, "also measured")), details=made)


def _detail(rng: np.random.Generator, name: str, table: Table) -> FloatArray:
    """Numbers [rows] that come with a run and say little."""
    rows = len(table.losses)
    if "loss" in name:
        return np.abs(table.losses) * rng.uniform(0.9, 1.3)
    if name == "steps":
        return np.full(rows, float(rng.integers(50, 50000)))
    if any(word in name for word in ("accuracy", "reward", "fraction", "score")):
        return np.round(rng.random(rows), 4)
    return np.asarray(np.exp(rng.normal(rng.normal(0.0, 2.0), 0.5, rows)))
