"""Bounding box: random search between the best of the cheaper experiments."""

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np

from autollmresearch.baselines.bounding_box import BoundingBoxPolicy
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.episode import run_episodes
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import State
from llmconfig_gym.experiment import Experiment

Line = Callable[..., Experiment]


def _least_at(line: Line, x: int, cost: float) -> Experiment:
    return line([abs(x - i) for i in range(1, 10)], cost=cost, level="low")


def test_all_of_the_box_is_drawn_from_alike_and_nothing_else(line: Line) -> None:
    target = line([0.0] * 9, cost=100.0)
    cheaper = [_least_at(line, x, cost) for x, cost in ((4, 1.0), (7, 2.0), (5, 3.0))]
    problem = Protocol().problems(target, cheaper, 1, [0])[0]
    proposals = BoundingBoxPolicy().propose([State(problem, (), seed) for seed in range(400)])
    counts = Counter(p.config["x"] for p in proposals if not isinstance(p.config, str))
    assert set(counts) == {4, 5, 6, 7}
    assert min(counts.values()) > 70


def test_a_box_that_was_told_grows_to_what_is_next_to_it(line: Line) -> None:
    target = line([0.0] * 9, cost=100.0)
    problem = Protocol().problems(target, [_least_at(line, 4, 1.0), _least_at(line, 5, 2.0)], 9, [0])[0]
    told = [
        [t.proposal.config["x"] for t in run_episodes(BoundingBoxPolicy(), [target], [problem], [seed])[0].turns]  # type: ignore[index]
        for seed in range(10)
    ]
    assert all({*xs[:2]} == {4, 5} and {*xs[2:4]} == {3, 6} and {*xs[4:6]} == {2, 7} for xs in told)
    assert len({tuple(xs) for xs in told}) > 1


def test_categories_are_those_of_the_best(
    targets: Mapping[str, Experiment], problem_of: Callable[..., Problem]
) -> None:
    problem = problem_of(targets["architecture"])
    best = [runs.pool.config(int(np.argmin(runs.losses))) for runs in problem.cheaper]
    seen = {name: {config[name] for config in best} for name in ("attention", "bias")}
    inside = [row for row in range(len(problem.pool)) if all(problem.pool.config(row)[n] in seen[n] for n in seen)]
    assert 0 < len(inside) < len(problem.pool)
    for proposal in BoundingBoxPolicy().propose([State(problem, (), seed) for seed in range(30)]):
        assert not isinstance(proposal.config, str)
        assert all(proposal.config[name] in values for name, values in seen.items())
