"""Pooled quadratic: a plain regression over outcomes of all fidelities."""

from collections.abc import Callable, Mapping

import numpy as np

from autollmresearch.baselines.pooled_quadratic import PooledQuadraticPolicy
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import State
from llmconfig_gym.experiment import Experiment


def test_a_quadratic_whose_optimum_moves_is_followed_to_the_target(line: Callable[..., Experiment]) -> None:
    x = np.arange(1, 16)

    def at(cost: float, optimum: float) -> Experiment:
        values = 4 - 0.2 * np.log10(cost) + 0.01 * np.square(x - optimum)
        return line(values.tolist(), cost=cost, level="high" if cost == 1e3 else "low")

    target, cheaper = at(1e3, 11.0), [at(1.0, 5.0), at(10.0, 7.0), at(100.0, 9.0)]
    problem = Protocol().problems(target, cheaper, 1, [0])[0]
    proposal = PooledQuadraticPolicy().propose([State(problem)])[0]
    assert proposal.config == {"x": 11}
    assert proposal.reasoning.endswith("over 45 outcomes")


def test_with_nothing_cheaper_known_it_is_random_search(
    targets: Mapping[str, Experiment], lonely: Callable[[Experiment, int], Problem]
) -> None:
    e = targets["mixture"]
    states = [State(lonely(e, 3), (e.outcome(2),), seed) for seed in range(5)]
    assert PooledQuadraticPolicy().propose(states) == RandomPolicy().propose(states)
