"""RUSH: the best of every cheaper experiment, then chance."""

from collections.abc import Callable

from autollmresearch.baselines.rush import RushPolicy
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.episode import run_episodes
from llmconfig_gym.experiment import Experiment


def test_the_best_of_each_experiment_is_told_nearest_first_and_once(line: Callable[..., Experiment]) -> None:
    best = {1.0: 2, 3.0: 5, 9.0: 2, 27.0: 4}
    cheaper = [line([float(x != b) for x in range(1, 7)], cost=cost, level="low") for cost, b in best.items()]
    target = line([0.0] * 6, cost=100.0)
    problem = Protocol().problems(target, cheaper, 5, [0])[0]
    turns = run_episodes(RushPolicy(), [target], [problem], [0])[0].turns
    assert [t.proposal.config for t in turns[:3]] == [{"x": 4}, {"x": 2}, {"x": 5}]
    assert [t.proposal.reasoning for t in turns[3:]] == ["drawn at random"] * 2
