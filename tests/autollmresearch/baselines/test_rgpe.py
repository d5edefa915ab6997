"""RGPE: processes weighed by how well they rank what was told."""

from collections.abc import Callable

import numpy as np
import pytest

from autollmresearch.baselines.cheap_gps import cheap_gps, standardised
from autollmresearch.baselines.rgpe import RGPEPolicy, _left_out, _weights
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.episode import run_episodes
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from autollmresearch.policy import State
from llmconfig_gym.experiment import Experiment

X = np.arange(1, 31)
Line = Callable[..., Experiment]


def _valley(line: Line, at: float, cost: float, scale: float = 1.0) -> Experiment:
    return line((7 + scale * np.abs(X - at)).tolist(), cost=cost, level="low" if cost < 100 else "high")


@pytest.fixture
def target(line: Line) -> Experiment:
    return _valley(line, 24, 100.0)


@pytest.fixture
def problem(line: Line, target: Experiment) -> Problem:
    """Three cheaper experiments, of which the farthest is like the target."""
    cheaper = [_valley(line, 24, 1.0), _valley(line, 4, 10.0, 50.0), _valley(line, 8, 20.0, 50.0)]
    return Protocol().problems(target, cheaper, 5, [0])[0]


def test_on_shifted_waves_it_beats_random_search_clearly(line: Line) -> None:
    """The Alpine function of one variable, each task shifted a little: the paper's synthetic problem (section 5.1)."""
    x = np.linspace(-10, 10, 80)
    tasks = [x * np.sin(x + np.pi + shift * np.pi / 12) + x / 10 for shift in (0, 1, 2, 3, 4, 5)]
    target = line(tasks[0].tolist(), cost=100.0)
    cheaper = [line(values.tolist(), cost=1.0 + i, level="low") for i, values in enumerate(tasks[1:])]
    (problem,) = Protocol(100).problems(target, cheaper, 6, [0])  # twenty runs of each, as in the paper
    lost = {}
    for method, n in (("rgpe", 3), ("random", 40)):
        episodes = run_episodes(make_policy(method), [target] * n, [problem] * n, range(n))
        regrets = [target.regret(min(float(t.outcome.value or 0.0) for t in e.turns)) for e in episodes]
        lost[method] = float(np.mean(regrets))
    assert lost["rgpe"] < 0.5 * lost["random"]


def test_before_two_trials_all_weights_are_equal(problem: Problem) -> None:
    for n in (0, 1):
        weights = _weights(cheap_gps(problem), np.zeros((n, 1)), np.zeros(n), None, np.random.default_rng(0))
        assert weights.tolist() == [1 / 3] * 3


def test_the_process_that_ranks_the_trials_right_has_the_weight(problem: Problem) -> None:
    x, y = problem.pool.encoded[[2, 9, 15, 20]], standardised(np.array([21.0, 14.0, 8.0, 3.0]))
    weights = _weights(cheap_gps(problem), x, y, None, np.random.default_rng(0))
    assert weights.sum() == pytest.approx(1.0)
    assert weights[2] > 0.95  # the nearest come first


def test_a_process_that_ranks_worse_than_the_targets_own_is_dropped(problem: Problem) -> None:
    x, y = problem.pool.encoded[[2, 9, 15, 20]], standardised(np.array([21.0, 14.0, 8.0, 3.0]))
    own = np.tile(y, (256, 1))
    weights = _weights(cheap_gps(problem)[:2], x, y, own, np.random.default_rng(0))
    assert weights.tolist() == [0.0, 0.0, 1.0]


def test_it_turns_from_the_majority_to_the_experiment_that_is_like_the_target(
    target: Experiment, problem: Problem
) -> None:
    first = RGPEPolicy().propose([State(problem)])[0]
    assert first.config["x"] < 15  # type: ignore[index, operator]
    trials = tuple(target.outcome(row) for row in (5, 12))
    after = RGPEPolicy().propose([State(problem, trials)])[0]
    assert after.config["x"] in (23, 24, 25)  # type: ignore[index]


def test_the_scale_of_an_experiment_does_not_matter(line: Line, target: Experiment) -> None:
    proposals = []
    for scale in (1.0, 1e4):
        cheaper = [_valley(line, 24, 1.0), _valley(line, 4, 10.0, scale), _valley(line, 8, 20.0)]
        problem = Protocol().problems(target, cheaper, 5, [0])[0]
        proposals.append(
            RGPEPolicy().propose([State(problem, tuple(target.outcome(r) for r in range(n))) for n in (0, 2, 4)])
        )
    assert proposals[0] == proposals[1]


def test_leaving_one_out_is_regression_on_the_others() -> None:
    rng = np.random.default_rng(0)
    x = np.array([0.0, 0.3, 0.5, 1.1])
    covariance = np.exp(-np.square(x[:, None] - x)) + 0.1 * np.eye(4)
    y = rng.standard_normal(4)
    draws = np.concatenate([_left_out(covariance, y, np.random.default_rng(s)) for s in range(40)])
    for i in range(4):
        others = [j for j in range(4) if j != i]
        gain = np.linalg.solve(covariance[np.ix_(others, others)], covariance[others, i])
        assert draws[:, i].mean() == pytest.approx(gain @ y[others], abs=0.05)
        assert draws[:, i].var() == pytest.approx(covariance[i, i] - gain @ covariance[others, i], rel=0.05)
