"""Analyst: from a problem and what was told of it to a belief about every candidate, and its reasons."""

from __future__ import annotations

from collections.abc import Sequence

from autollmresearch.evidence.architecture import find_tradeoff, fit_architecture
from autollmresearch.evidence.mixture import fit_mixture
from autollmresearch.evidence.ordered import fit_ordered, residual, worlds
from autollmresearch.evidence.posterior import Explanation, Posterior
from autollmresearch.evidence.records import Problem
from autollmresearch.evidence.rows import gather
from llmconfig_gym.experiment import Outcome
from llmconfig_gym.parameter import Simplex

SAMPLES = 64
LIMIT = 400


def fit(problem: Problem, trials: Sequence[Outcome] = ()) -> Posterior:
    rows = gather(problem, trials, LIMIT)
    if any(isinstance(p, Simplex) for p in problem.space.parameters):
        mean, losses, noise = fit_mixture(problem, rows, 256)
        return Posterior(mean, losses.std(axis=0), losses, noise, rows.told, Explanation("mixture"))
    if (trade := find_tradeoff(rows)) is not None:
        losses, noise = fit_architecture(problem, rows, trade, 128)
        return Posterior(losses.mean(axis=0), losses.std(axis=0), losses, noise, rows.told, Explanation("architecture"))
    model, bowl, inputs, pool = fit_ordered(problem, rows, SAMPLES)
    mean, draws = residual(model, bowl, rows, inputs, pool, SAMPLES)
    losses = model.units.back(worlds(model, bowl, pool) + mean + draws)
    return Posterior(losses.mean(axis=0), losses.std(axis=0), losses, bowl.noise, rows.told, Explanation("bowl"))
