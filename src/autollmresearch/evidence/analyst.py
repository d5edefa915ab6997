"""The analyst: from a problem and what was told of it to a belief about every candidate, and its reasons.

    posterior = fit(problem, trials)         # or believed(Known(problem, trials)), which remembers the last few
    rows = proposals(posterior, budget)      # posterior.py

Three surrogates, one result: mixtures have a Gaussian process on the square roots of the weights (mixture.py); a metric
that is a trade-off of two of its details is modelled as those two (architecture.py); everything else is a valley that
moves as a power law of the fidelity (ordered.py, bowl.py) with a Gaussian process on what it leaves out. `fit` is pure
and deterministic, and works with no runs, with five, and with any number: of more than `RUNS` it keeps a subset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from autollmresearch.evidence.architecture import find_tradeoff, fit_architecture
from autollmresearch.evidence.explain import explain_architecture, explain_mixture, explain_ordered
from autollmresearch.evidence.mixture import fit_mixture
from autollmresearch.evidence.ordered import fit_ordered, worlds
from autollmresearch.evidence.posterior import Explanation, Posterior
from autollmresearch.evidence.records import Problem
from autollmresearch.evidence.residual import residual
from autollmresearch.evidence.rows import Rows, gather
from llmconfig_gym.experiment import Outcome
from llmconfig_gym.parameter import FloatArray, Simplex

RUNS = 400
"""Cheaper runs that are fitted at most, and as many of the target's own."""

WORLDS = 128
"""Posterior samples; half as many of a valley fitted to more than `FEW` runs, where each costs most."""

FEW = 100


def fit(problem: Problem, trials: Sequence[Outcome] = ()) -> Posterior:
    """What is believed of every configuration of the target's pool after these trials.

    Nothing legal raises: a problem without runs gives the priors, one whose runs all diverged too; the explanation's
    warnings say so.
    """
    rows = gather(problem, trials, RUNS)
    if any(isinstance(p, Simplex) for p in problem.space.parameters):
        losses, noise = fit_mixture(problem, rows, WORLDS)
        mean = losses.mean(axis=0)
        return _posterior(losses, noise, rows, explain_mixture(problem, rows, mean, _best(losses)))
    if (trade := find_tradeoff(rows)) is not None:
        losses, noise, weights, known = fit_architecture(problem, rows, trade, WORLDS)
        text = explain_architecture(problem, rows, trade.parts, weights, known, _best(losses))
        return _posterior(losses, noise, rows, text)
    samples = WORLDS if len(rows) <= FEW else WORLDS // 2
    model, bowl, inputs, pool = fit_ordered(problem, rows, samples)
    mean, draws = residual(model, bowl, rows, inputs, pool, samples)
    losses = model.units.back(worlds(model, bowl, pool) + mean + draws)
    noise = model.units.sd(bowl.noise, float(losses.mean()))
    return _posterior(losses, noise, rows, explain_ordered(problem, rows, model, bowl, _best(losses)))


@dataclass(frozen=True, eq=False)
class Known:
    """What a fit depends on, as a key: this very problem, and these outcomes."""

    problem: Problem
    trials: tuple[Outcome, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Known) and self.problem is other.problem and self.trials == other.trials

    def __hash__(self) -> int:
        return hash((id(self.problem), len(self.trials)))


@lru_cache(maxsize=16)
def believed(known: Known) -> Posterior:
    """`fit`, remembered: who is shown it, speaks of it and decides by it asks for the same one."""
    return fit(known.problem, known.trials)


def expected(problem: Problem, posterior: Posterior, row: int) -> tuple[float, float]:
    """Mean and standard deviation of the outcome of one run of this row, in the metric's own direction."""
    mean = problem.metric.sign * float(posterior.mean[row])
    return mean, float(np.hypot(posterior.sd[row], posterior.noise))


def _best(losses: FloatArray) -> tuple[float, float]:
    """Mean and sd of the candidate with the least mean."""
    row = int(np.argmin(losses.mean(axis=0)))
    return float(losses[:, row].mean()), float(losses[:, row].std())


def _posterior(losses: FloatArray, noise: float, rows: Rows, text: Explanation) -> Posterior:
    return Posterior(losses.mean(axis=0), losses.std(axis=0), losses, noise, rows.tried, text)
