"""Residual: a shape that the valley cannot have is learned around cheap optima and expected around the target's."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from autollmresearch.evidence.analyst import fit
from autollmresearch.evidence.ordered import fit_ordered, worlds
from autollmresearch.evidence.records import Problem
from autollmresearch.evidence.residual import residual
from autollmresearch.evidence.rows import gather
from llmconfig_gym.experiment import Experiment


def dented(e: Experiment) -> Experiment:
    """A second dip, three octaves of batch size above the optimum at this scale: no single valley has it."""
    n, d = (float(e.fidelity.values[k]) for k in ("parameters", "tokens"))
    lr = np.log2(e.pool.columns["lr"]) + 8 + 0.4 * np.log2(n / 1e8)
    batch = np.log2(e.pool.columns["batch_size"]) - 6 - 0.4 * np.log2(d / 2e9)
    return replace(e, values=e.values - 0.5 * np.exp(-((batch - 3) ** 2) - (lr - 1.2) ** 2 / 4))


def test_the_dip_is_found_at_the_target(
    law: Callable[..., Experiment], sizes: Callable[..., list[Experiment]], known: Callable[..., Problem]
) -> None:
    target = dented(law(1e8))
    problem = known(target, [dented(e) for e in sizes()])
    rows = gather(problem, (), 400)
    model, bowl, _inputs, pool = fit_ordered(problem, rows, 16)
    plain = model.units.back(worlds(model, bowl, pool)).mean(axis=0)
    errors = [np.abs(m - target.losses)[target.losses < 3.5].mean() for m in (plain, fit(problem).mean)]
    assert errors[1] < 0.6 * errors[0]


def test_where_the_valley_is_the_truth_little_is_added(
    law: Callable[..., Experiment], sizes: Callable[..., list[Experiment]], known: Callable[..., Problem]
) -> None:
    problem = known(law(1e8), sizes())
    rows = gather(problem, (), 400)
    model, bowl, inputs, pool = fit_ordered(problem, rows, 16)
    mean, draws = residual(model, bowl, rows, inputs, pool, 16)
    spread = worlds(model, bowl, pool).mean(axis=0).std()
    assert np.abs(mean).max() < 0.15 * spread
    assert draws.shape == (16, len(problem.pool))
