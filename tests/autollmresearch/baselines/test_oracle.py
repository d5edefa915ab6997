"""Oracle: what choosing by one noisy measurement loses."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from autollmresearch.baselines.oracle import OraclePolicy
from autollmresearch.episode import run_episodes
from autollmresearch.errors import NotApplicable
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import State
from llmconfig_gym.experiment import Experiment

Line = Callable[..., Experiment]
Lonely = Callable[[Experiment, int], Problem]


def test_it_loses_what_one_noisy_measurement_of_each_loses(line: Line, lonely: Lonely) -> None:
    e = line([1.0, 1.3, 9.0], noise=0.4)
    seeds = range(4000)
    proposals = OraclePolicy(e).propose([State(lonely(e, 1), (), seed) for seed in seeds])
    wrong = np.mean([p.config == {"x": 2} for p in proposals])
    assert wrong == pytest.approx(norm.cdf(-0.3 / (0.4 * np.sqrt(2))), abs=0.025)
    assert {str(p.config) for p in proposals} == {"{'x': 1}", "{'x': 2}"}


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_without_noise_it_tells_the_table_in_its_order(line: Line, lonely: Lonely, direction: str) -> None:
    e = line([3.0, 1.0, 2.0], direction)
    turns = run_episodes(OraclePolicy(e), [e], [lonely(e, 3)], [0])[0].turns
    order = [t.outcome.value for t in turns]
    assert order == sorted([1.0, 2.0, 3.0], reverse=direction == "maximize")


def test_the_measurement_is_the_same_at_every_trial(line: Line, lonely: Lonely) -> None:
    e = line([1.0] * 6, noise=1.0)
    told = [
        [t.outcome.config["x"] for t in run_episodes(OraclePolicy(e), [e], [lonely(e, n)], [3])[0].turns]  # type: ignore[index]
        for n in (2, 6)
    ]
    order = np.argsort(np.random.default_rng(3).standard_normal(6)) + 1
    assert told == [order[:2].tolist(), order.tolist()]


def test_without_a_table_it_is_not_applicable(line: Line, lonely: Lonely) -> None:
    with pytest.raises(NotApplicable, match="only a benchmark has"):
        OraclePolicy().propose([State(lonely(line([1.0, 2.0]), 1))])
