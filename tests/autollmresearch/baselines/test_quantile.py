"""Quantile: only the order of outcomes counts."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from autollmresearch.baselines.quantile import QuantilePolicy, normal_scores
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.policy import State
from llmconfig_gym.experiment import Experiment

X = np.arange(1, 31)
Line = Callable[..., Experiment]


def test_scores_are_normal_quantiles_cut_off_at_both_ends() -> None:
    n = 100
    scores = normal_scores(np.arange(n, dtype=float)[::-1].copy())
    cut = 1 / (4 * 100**0.25 * np.sqrt(np.pi * np.log(100)))
    assert scores[0] == pytest.approx(norm.ppf(1 - cut))
    assert scores[-1] == pytest.approx(norm.ppf(cut))
    assert scores[49] == pytest.approx(norm.ppf(0.51))
    assert (np.diff(scores) <= 0).all()
    assert normal_scores(np.array([3.0])).tolist() == [0.0]
    assert len(set(normal_scores(np.array([2.0, 2.0, 5.0])).tolist())) == 2


def test_only_the_order_of_outcomes_counts(line: Line) -> None:
    proposals = []
    for warp in (lambda y: y, np.exp):
        cheaper = [
            line(warp(np.abs(X - at) / 5).tolist(), cost=cost, level="low") for at, cost in ((9, 1.0), (11, 9.0))
        ]
        target = line(warp(np.abs(X - 14) / 5).tolist(), cost=100.0)
        problem = Protocol().problems(target, cheaper, 5, [0])[0]
        states = [State(problem, tuple(target.outcome(row) for row in (9, 3, 20, 16)[:n])) for n in range(5)]
        proposals.append(QuantilePolicy().propose(states))
    assert proposals[0] == proposals[1]


def test_it_starts_where_cheaper_experiments_did_well_and_learns_from_the_target(line: Line) -> None:
    cheaper = [line(np.abs(X - at).tolist(), cost=cost, level="low") for at, cost in ((9, 1.0), (11, 9.0))]
    target = line(np.abs(X - 16).tolist(), cost=100.0)
    problem = Protocol().problems(target, cheaper, 5, [0])[0]
    first = QuantilePolicy().propose([State(problem)])[0]
    assert 8 <= first.config["x"] <= 12  # type: ignore[index, operator]
    trials = tuple(target.outcome(row) for row in (5, 8, 11, 13))
    after = QuantilePolicy().propose([State(problem, trials)])[0]
    assert after.config["x"] > 12  # type: ignore[index, operator]
