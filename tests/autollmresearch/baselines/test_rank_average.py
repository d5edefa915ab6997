"""Rank average: the order of mean ranks, exactly."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from autollmresearch.baselines.rank_average import RankAveragePolicy
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.episode import run_episodes
from autollmresearch.evidence.records import CheapRuns, Problem
from llmconfig_gym.experiment import Experiment

Line = Callable[..., Experiment]


def _told(target: Experiment, problem: Problem) -> list[int]:
    turns = run_episodes(RankAveragePolicy(), [target], [problem], [0])[0].turns
    return [int(t.outcome.config["x"]) for t in turns if t.outcome.config is not None]  # type: ignore[arg-type]


def test_the_mean_rank_decides_not_the_size_of_a_loss(line: Line) -> None:
    target = line([0.0] * 4, cost=100.0)
    cheaper = [
        line([1.0, 2.0, 3.0, 4.0], level="low"),  # ranks 1 2 3 4
        line([50.0, 10.0, 900.0, 20.0], cost=10.0, level="medium"),  # ranks 3 1 4 2
        line([0.3, 0.1, 0.2, 0.4], cost=20.0, level="medium"),  # ranks 3 1 2 4; sums 7 4 9 10
    ]
    assert _told(target, Protocol().problems(target, cheaper, 4, [0])[0]) == [2, 1, 3, 4]


def test_what_a_table_does_not_hold_is_ranked_as_its_nearest_and_goes_after_it(line: Line) -> None:
    target = line([0.0] * 7, cost=100.0)
    known = CheapRuns.drawn([(line([3.0, 1.0, 9.0, 9.0, 9.0, 9.0, 2.0]), np.array([0, 1, 6]))])
    problem = replace(Protocol().problems(target, [], 7, [0])[0], cheaper=known)
    assert _told(target, problem) == [2, 3, 4, 7, 6, 5, 1]
