"""Copy: the ranking of the nearest cheaper experiment, exactly."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from autollmresearch.baselines.copy import CopyPolicy
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.episode import run_episodes
from autollmresearch.evidence.records import CheapRuns, Problem
from autollmresearch.policy import State
from llmconfig_gym.experiment import Experiment, Fidelity
from llmconfig_gym.suite import Suite

Lawful = Callable[[str, Experiment, Problem], None]
Problems = Callable[..., Problem]
Line = Callable[..., Experiment]


def _told(target: Experiment, cheaper: list[Experiment], budget: int) -> list[int]:
    problem = Protocol().problems(target, cheaper, budget, [0])[0]
    turns = run_episodes(CopyPolicy(), [target], [problem], [0])[0].turns
    return [int(t.outcome.config["x"]) for t in turns if t.outcome.config is not None]  # type: ignore[arg-type]


def test_it_tells_the_ranking_of_the_nearest_cheaper_experiment(line: Line) -> None:
    target = line([0.0] * 5, cost=100.0)
    near = line([3.0, 1.0, 5.0, 2.0, 4.0], cost=20.0, level="medium")
    far = line([1.0, 2.0, 3.0, 4.0, 5.0], cost=1.0, level="low")
    for cheaper in ([far, near], [near, far]):
        assert _told(target, cheaper, 5) == [2, 4, 1, 5, 3]


def test_near_means_near_in_the_logarithms_of_what_the_fidelity_counts(line: Line) -> None:
    target = replace(line([0.0] * 3), fidelity=Fidelity({"parameters": 1e8, "tokens": 1e10}, 6e18))
    twice_the_tokens = Fidelity({"parameters": 1e8, "tokens": 2e10}, 12e18)
    same_cost = Fidelity({"parameters": 1e7, "tokens": 1e11}, 6e18)
    near = replace(line([1.0, 2.0, 3.0], level="medium"), fidelity=twice_the_tokens)
    far = replace(line([3.0, 2.0, 1.0], level="low"), fidelity=same_cost)
    for cheaper in ([far, near], [near, far]):
        assert _told(target, cheaper, 3) == [1, 2, 3]


def test_without_a_number_in_common_near_means_near_in_the_logarithm_of_cost(line: Line) -> None:
    sizes = {"tiny": 1.0, "target": 100.0, "huge": 1000.0}
    tiny, target, huge = (Fidelity({"size": name}, cost) for name, cost in sizes.items())
    cheaper = [
        replace(line([3.0, 2.0, 1.0], level="low"), fidelity=tiny),
        replace(line([1.0, 2.0, 3.0], level="medium"), fidelity=huge),
    ]
    assert _told(replace(line([0.0] * 3), fidelity=target), cheaper, 3) == [1, 2, 3]


def test_what_was_told_already_is_skipped_and_a_refused_trial_skips_nothing(line: Line) -> None:
    target = line([0.0] * 4, cost=10.0)
    problem = Protocol().problems(target, [line([2.0, 1.0, 3.0, 4.0], level="low")], 4, [0])[0]
    trials = (target.tell({"x": 2}), target.tell("nonsense"), target.tell({"x": 3}))
    proposals = [CopyPolicy().propose([State(problem, trials[:n])])[0].config for n in range(4)]
    assert proposals == [{"x": 2}, {"x": 1}, {"x": 1}, {"x": 1}]


def test_a_maximised_metric_is_ranked_from_the_top(line: Line) -> None:
    target = line([0.0] * 4, "maximize", cost=10.0)
    assert _told(target, [line([0.1, 0.7, 0.4, 0.9], "maximize", level="low")], 4) == [4, 2, 3, 1]


def test_equal_values_keep_the_order_of_the_table_and_diverged_runs_come_last(line: Line) -> None:
    target = line([0.0] * 5, cost=10.0)
    assert _told(target, [line([np.nan, 2.0, 1.0, 2.0, 1.0], level="low")], 5) == [3, 5, 1, 2, 4]


def test_when_the_nearest_is_exhausted_the_next_nearest_follows_and_then_chance(line: Line) -> None:
    target = line([0.0] * 6, cost=100.0)
    near = CheapRuns.drawn([(line([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], cost=10.0), np.array([4, 1]))])
    far = CheapRuns.drawn([(line([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), np.array([5]))])
    problem = replace(Protocol().problems(target, [], 6, [0])[0], cheaper=(*far, *near))
    turns = run_episodes(CopyPolicy(), [target], [problem], [0])[0].turns
    assert [t.proposal.config for t in turns[:3]] == [{"x": 2}, {"x": 5}, {"x": 6}]
    assert all(t.proposal.reasoning == "drawn at random" for t in turns[3:])
    assert sorted(t.proposal.config["x"] for t in turns) == [1, 2, 3, 4, 5, 6]  # type: ignore[index]


def test_a_hole_of_the_table_is_answered_by_the_nearest_untried(line: Line) -> None:
    cheaper = line([6.0, 1.0, 5.0, 2.0, 3.0], level="low")
    target = line([0.0, 0.0], cost=10.0)
    assert _told(target, [cheaper], 2) == [2, 1]


def test_settings_that_move_with_scale_are_copied_by_their_position(
    toy: Suite, targets: Mapping[str, Experiment], problem_of: Problems
) -> None:
    target = targets["architecture"]
    cheaper = toy.cheaper(target.id)[-1]
    best = cheaper.pool.config(int(np.argmin(cheaper.losses)))
    low, high = cheaper.space["layers"], target.space["layers"]
    layers = 8 + (float(best["layers"]) - 4) / 8 * 16  # type: ignore[arg-type]
    assert (low.legal(), high.legal()) == ("whole numbers from 4 to 12", "whole numbers from 8 to 24")
    point = target.space.encode({**best, "layers": round(layers)})
    nearest = int(np.argmin(np.square(target.pool.encoded - point).sum(axis=1)))
    assert CopyPolicy().propose([State(problem_of(target))])[0].config == target.pool.config(nearest)


def test_with_nothing_cheaper_known_it_is_random_search(
    targets: Mapping[str, Experiment], lonely: Callable[[Experiment, int], Problem]
) -> None:
    e = targets["pretraining"]
    states = [State(lonely(e, 3), (), seed) for seed in range(5)]
    assert CopyPolicy().propose(states) == RandomPolicy().propose(states)
