"""Analyst."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autollmresearch.evidence.ordered import fit_ordered, worlds
from autollmresearch.evidence.posterior import Explanation, Posterior
from autollmresearch.evidence.records import Problem
from autollmresearch.evidence.rows import gather
from llmconfig_gym.experiment import Outcome

SAMPLES = 64
LIMIT = 500


def fit(problem: Problem, trials: Sequence[Outcome] = ()) -> Posterior:
    rows = gather(problem, trials, LIMIT)
    model, bowl, inputs, pool = fit_ordered(problem, rows, SAMPLES)
    samples = worlds(model, bowl, pool)
    losses = model.units.back(samples)
    return Posterior(losses.mean(axis=0), losses.std(axis=0), losses, bowl.noise, rows.told, Explanation("bowl"))
