"""Pooled GP: one Gaussian process over cheaper outcomes and the target's own."""

import gc
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from autollmresearch.baselines import pooled_gp
from autollmresearch.baselines.copy import CopyPolicy
from autollmresearch.baselines.pooled_gp import PooledGPPolicy
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.episode import run_episodes
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import State
from llmconfig_gym.experiment import Experiment, Fidelity
from llmconfig_gym.suite import Suite

Lawful = Callable[[str, Experiment, Problem], None]
Problems = Callable[..., Problem]
Line = Callable[..., Experiment]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_optimum_of_an_easy_transfer_problem_is_found_at_trial_1(line: Line, direction: str) -> None:
    sign = 1.0 if direction == "minimize" else -1.0
    x = np.arange(1, 16)

    def at(cost: float, optimum: float) -> Experiment:
        values = sign * (4 - 0.2 * np.log10(cost) + 0.01 * np.square(x - optimum))
        return line(values.tolist(), direction, cost=cost, level="high" if cost == 1e3 else "low")

    target, cheaper = at(1e3, 11.0), [at(1.0, 5.0), at(10.0, 7.0), at(100.0, 9.0)]
    problem = Protocol().problems(target, cheaper, 1, [0])[0]
    turns = run_episodes(PooledGPPolicy(), [target], [problem], [0])[0].turns
    assert turns[0].proposal.config == {"x": 11}


def test_an_optimum_that_moves_with_scale_is_followed_further_than_copy_does(toy: Suite, problem_of: Problems) -> None:
    for target in (e for e in toy.split("high") if e.task == "pretraining"):
        state = State(problem_of(target))
        regret = {
            type(policy): float(target.regret(target.tell(policy.propose([state])[0].config).value or np.inf))
            for policy in (PooledGPPolicy(), CopyPolicy())
        }
        assert regret[PooledGPPolicy] < regret[CopyPolicy]


def test_outcomes_on_the_target_count(line: Line) -> None:
    cheaper = [line([5.0, 4.0, 3.0, 2.0, 1.0], cost=c, level="low") for c in (1.0, 10.0)]
    target = line([1.0, 9.0, 9.0, 9.0, 9.0], cost=100.0)
    problem = Protocol().problems(target, cheaper, 3, [0])[0]
    first = PooledGPPolicy().propose([State(problem)])[0]
    assert first.config == {"x": 5}
    assert first.reasoning.endswith("over 10 outcomes")
    after = PooledGPPolicy().propose([State(problem, (target.tell(first.config), target.tell({"x": 1})))])[0]
    assert after.config == {"x": 2}
    assert after.reasoning.endswith("over 12 outcomes")


def test_only_the_orientation_of_the_metric_counts(
    toy: Suite, targets: Mapping[str, Experiment], mirrored: Callable[[Experiment], Experiment]
) -> None:
    e, cheaper = targets["mixture"], toy.cheaper(targets["mixture"].id)
    told = []
    for turned in (lambda e: e, mirrored):
        target = turned(e)
        problem = Protocol().problems(target, [turned(c) for c in cheaper], 3, [0])[0]
        told.append([t.proposal for t in run_episodes(PooledGPPolicy(), [target], [problem], [0])[0].turns])
    assert told[0] == told[1]


def test_one_blow_up_does_not_hide_the_valley(line: Line) -> None:
    values = [3.0, 2.6, 2.2, 1.8, 1.4, 1.0]
    target = line([*values, 3.0], cost=100.0)
    cheaper = [line([*values, 1e6], cost=c, level="low") for c in (1.0, 10.0)]
    first = {}
    for clip in (None, 3.0):
        problem = Protocol().problems(replace(target, clip=clip), cheaper, 1, [0])[0]
        first[clip] = PooledGPPolicy().propose([State(problem)])[0].config
    assert first == {None: first[None], 3.0: {"x": 6}}
    assert first[None] != {"x": 6}


def test_no_more_outcomes_are_used_than_it_was_allowed(targets: Mapping[str, Experiment], problem_of: Problems) -> None:
    e = targets["pretraining"]
    assert PooledGPPolicy(7).propose([State(problem_of(e))])[0].reasoning.endswith("over 7 outcomes")


def test_fidelity_in_words_or_shared_by_all_says_nothing_and_stops_nothing(line: Line) -> None:
    words = Fidelity({"size": "large", "steps": 100.0, "warmup": 0.0}, 10.0)
    target = replace(line([2.0, 1.0, 2.0]), fidelity=words)
    cheaper = [replace(line([3.0, 1.0, 3.0], level="low"), fidelity=replace(words, cost=1.0))]
    problem = Protocol().problems(target, cheaper, 1, [0])[0]
    assert PooledGPPolicy().propose([State(problem)])[0].config == {"x": 2}


def test_with_nothing_cheaper_known_it_is_random_search(
    targets: Mapping[str, Experiment], lonely: Callable[[Experiment, int], Problem]
) -> None:
    e = targets["mixture"]
    states = [State(lonely(e, 3), (e.outcome(2),), seed) for seed in range(5)]
    assert PooledGPPolicy().propose(states) == RandomPolicy().propose(states)


def test_a_fit_is_made_once_per_problem_and_forgotten_with_it(
    targets: Mapping[str, Experiment], problem_of: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[str | None] = []
    regress = pooled_gp.regress

    def counted(*args: object, optimizer: str | None) -> object:
        fits.append(optimizer)
        return regress(*args, optimizer=optimizer)  # type: ignore[arg-type]

    monkeypatch.setattr(pooled_gp, "regress", counted)
    gc.collect()
    before = len(pooled_gp._fitted)
    problem = problem_of(targets["mixture"], "metered:4")
    PooledGPPolicy().propose([State(problem, (), seed) for seed in range(3)])
    assert [f for f in fits if f is not None] == ["fmin_l_bfgs_b"]
    assert len(pooled_gp._fitted) == before + 1
    del problem
    gc.collect()
    assert len(pooled_gp._fitted) == before
