"""What holds of every transfer method and reference line that any space can be given to."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.episode import run_episodes
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from autollmresearch.policy import State
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.suite import Suite

METHODS = (
    *("bounding-box", "zero-shot", "quantile", "rush", "rgpe", "fsbo", "metabo", "nap"),
    *("rank-average", "own-law", "mup-rule"),
)
SLOW = ("quantile", "fsbo")
"""Too slow for all checks of `PolicyTestCase`, which the others have to pass (test_testing.py)."""

Problems = Callable[..., Problem]


@pytest.mark.parametrize("method", SLOW)
@pytest.mark.parametrize("task", ["pretraining", "mixture", "architecture"])
@pytest.mark.parametrize("protocol", ["full", "metered:1", "metered:6"])
def test_proposals_are_legal_repeatable_and_never_told_before(
    targets: Mapping[str, Experiment],
    problem_of: Problems,
    assert_lawful: Callable[..., None],
    method: str,
    task: str,
    protocol: str,
) -> None:
    assert_lawful(method, targets[task], problem_of(targets[task], protocol, budget=4))


@pytest.mark.parametrize("method", SLOW)
@pytest.mark.parametrize("task", ["pretraining", "architecture"])
def test_a_pool_smaller_than_the_budget_is_told_whole(
    targets: Mapping[str, Experiment],
    problem_of: Problems,
    cut: Callable[[Experiment, int], Experiment],
    assert_lawful: Callable[..., None],
    method: str,
    task: str,
) -> None:
    target = cut(targets[task], 3)
    assert_lawful(method, target, problem_of(target, budget=4))


@pytest.mark.parametrize("method", METHODS)
def test_with_nothing_cheaper_known_it_is_random_search(
    targets: Mapping[str, Experiment], lonely: Callable[[Experiment, int], Problem], method: str
) -> None:
    e = targets["mixture"]
    states = [State(lonely(e, 3), (e.outcome(2),), seed) for seed in range(5)]
    assert make_policy(method).propose(states) == RandomPolicy().propose(states)


@pytest.mark.parametrize("method", SLOW)
def test_trials_without_a_value_do_not_stop_it(
    targets: Mapping[str, Experiment], problem_of: Problems, method: str
) -> None:
    e = targets["pretraining"]
    diverged = int(np.flatnonzero(~np.isfinite(e.values))[0])
    trials = (e.outcome(diverged), e.tell("nonsense"), e.outcome(0), e.outcome(5))
    for count in range(1, 5):
        config = make_policy(method).propose([State(problem_of(e), trials[:count])])[0].config
        assert e.tell(config).kind == "measured"
        assert config not in [t.config for t in trials[:count]]


@pytest.mark.parametrize("method", METHODS)
def test_two_trials_lose_less_than_half_of_what_random_search_loses(
    toy: Suite, problem_of: Problems, method: str
) -> None:
    lost = {}
    for name, seeds in ((method, 4), ("random", 20)):
        regrets = []
        for e in toy.split("high"):
            episodes = run_episodes(make_policy(name), [e] * seeds, [problem_of(e, "full", 2)] * seeds, range(seeds))
            regrets += [float(e.regret(min(_loss(e, t.outcome.value) for t in x.turns))) for x in episodes]
        lost[name] = np.mean(regrets)
    assert lost[method] < 0.5 * lost["random"]


def _loss(e: Experiment, value: float | None) -> float:
    return float("inf") if value is None else e.metric.sign * value
