"""Zero-shot: a greedy list over the cheaper experiments."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from autollmresearch.baselines.zero_shot import ZeroShotPolicy, greedy, pool_losses
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.episode import run_episodes
from autollmresearch.evidence.records import CheapRuns
from llmconfig_gym.experiment import Experiment

Line = Callable[..., Experiment]


def test_the_list_complements_itself_rather_than_repeat_what_is_good_on_average() -> None:
    losses = np.array([[0.0, 1.0, 0.3, 0.31], [1.0, 0.0, 0.3, 0.31], [0.2, 0.9, 0.1, 0.1]])
    # First the best mean. With it, column 0 gains .3 on the first row; column 1 then gains .3 on the second.
    assert list(greedy(losses)) == [2, 0, 1, 3]


def test_where_nothing_is_gained_any_more_the_least_mean_loss_goes_next() -> None:
    assert list(greedy(np.array([[0.5, 0.0, 1.0, 0.2]]))) == [1, 3, 0, 2]


def test_every_experiment_counts_alike_whatever_its_scale(line: Line) -> None:
    target = line([0.0] * 4, cost=100.0)
    cheaper = [line([3.0, 0.0, 1.0, 9.0], level="low"), line([4e3, 9e3, 1e3, 0.0], cost=10.0, level="medium")]
    losses = pool_losses(Protocol().problems(target, cheaper, 1, [0])[0])
    assert losses == pytest.approx(np.array([[4 / 9, 1.0, 1 / 9, 0.0], [1 / 3, 0.0, 1 / 9, 1.0]]))


def test_the_list_is_told_in_order_whatever_comes_of_it(line: Line) -> None:
    cheaper = [line([3.0, 0.0, 1.0, 9.0], level="low"), line([4e3, 9e3, 1e3, 0.0], cost=10.0, level="medium")]
    for values in ([1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]):
        target = line(values, cost=100.0)
        problem = Protocol().problems(target, cheaper, 4, [0])[0]
        turns = run_episodes(ZeroShotPolicy(), [target], [problem], [0])[0].turns
        assert [t.proposal.config for t in turns] == [{"x": 3}, {"x": 2}, {"x": 4}, {"x": 1}]


def test_what_a_table_does_not_hold_is_predicted_from_what_it_does(line: Line) -> None:
    values = [float((x - 8) ** 2) for x in range(1, 16)]
    known = CheapRuns.drawn([(line(values), np.array([0, 2, 4, 10, 12, 14]))])
    problem = replace(Protocol().problems(line([0.0] * 15, cost=10.0), [], 1, [0])[0], cheaper=known)
    (losses,) = pool_losses(problem)
    assert losses[[0, 2, 4, 10]] == pytest.approx([1.0, 0.4, 0.0, 0.0])  # 49, 25, 9 and 9
    assert losses[[6, 7, 8]].tolist() == [0.0] * 3  # less than 9, which was the least measured
    assert losses[[3, 11]] == pytest.approx([(16 - 9) / 40] * 2, abs=0.02)
