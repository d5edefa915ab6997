"""Blends: random landscapes of data mixtures.

Every source helps some domains more than others, with diminishing returns (the power law of a weighted sum of shares,
the form of data mixing laws, arXiv:2403.16952). The metric is the mean over the domains, as a loss or a score. With
scale what a source gives to a domain moves a little, so ranks carry over in part.
"""

from __future__ import annotations

import numpy as np

from autollmresearch.training.tables import Settings, Table, log_uniform, sizes
from llmconfig_gym.experiment import Metric
from llmconfig_gym.parameter import FloatArray, Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

SOURCES = (
    *("web", "books", "code", "math", "news", "science", "forums", "encyclopedia", "dialogue", "law", "medicine"),
    *("prose", "facts", "arithmetic", "lists", "instructions", "translations", "reviews", "recipes", "lectures"),
    *("subtitles", "patents", "poems", "questions", "tables", "manuals", "emails", "stories", "proofs", "safety"),
)


def draw_mixture(rng: np.random.Generator, settings: Settings) -> list[Table]:
    """Losses or scores of mixtures, cheapest first, the target last."""
    k = int(rng.integers(settings.sources[0], settings.sources[1] + 1))
    space = Space((Simplex("weights", tuple(str(s) for s in rng.permutation(SOURCES)[:k])),))
    fidelity = sizes(rng, settings, [("parameters",), ("parameters", "tokens")][int(rng.integers(2))], 5e3, 20.0)
    score = rng.random() < 0.3
    metric = Metric("accuracy", "maximize") if score else Metric("mean_loss", "minimize")
    domains = int(rng.integers(1, k + 1))
    help_ = np.exp(rng.normal(0.0, 1.0, (domains, k))) * 0.2
    help_[np.arange(domains), rng.permutation(k)[:domains]] += rng.uniform(0.5, 3.0, domains)
    counts = rng.dirichlet(np.full(domains, 3.0))
    power, level = rng.uniform(0.15, 0.6), rng.uniform(1.0, 4.0)
    noise, same = log_uniform(rng, *settings.noise) / 3, rng.random() < 0.5
    natural, concentration = rng.dirichlet(np.full(k, 2.0)), log_uniform(rng, 2.0, 20.0)
    drift = rng.normal(0.0, 0.08, (domains, k))
    weights = _mixtures(rng, natural * concentration, settings.rows)
    tables = []
    for i, f in enumerate(fidelity):
        if i and not same:
            weights = _mixtures(rng, natural * concentration, settings.rows)
        own = help_ * np.exp(drift * i + rng.normal(0.0, settings.roughness, (domains, k)))
        loss = ((weights @ own.T + 0.02) ** -power) @ counts
        spread = float(np.median(loss) - loss.min()) or 1.0
        true = -0.9 / (1 + np.exp((loss - loss.mean()) / spread - 0.3 * i)) if score else level * 0.9**i + 0.3 * loss
        size = noise * (0.2 if score else 0.3 * spread)
        losses = true + size * rng.standard_normal(len(true))
        tables.append(Table("mixture", f, metric, Pool(space, {"weights": weights}), losses, true, size))
    return tables


def _mixtures(rng: np.random.Generator, concentration: FloatArray, most: int) -> FloatArray:
    """Random mixtures [rows, sources] with shares in thousandths."""
    drawn = rng.dirichlet(concentration + 0.05, int(log_uniform(rng, 24, max(25, most))))
    drawn[drawn < 0.01] = 0.0
    weights = np.round(drawn / drawn.sum(axis=1, keepdims=True), 3)
    weights[np.arange(len(weights)), weights.argmax(axis=1)] += 1 - weights.sum(axis=1)
    return np.asarray(np.unique(weights.round(3), axis=0))
