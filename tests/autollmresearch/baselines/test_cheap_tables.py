"""Cheap tables: cheaper experiments in the target's coordinates."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from autollmresearch.baselines.cheap_tables import cheap_tables
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.evidence.records import Problem
from llmconfig_gym.experiment import Experiment

Line = Callable[..., Experiment]


def test_the_nearest_experiment_comes_first_with_its_best(line: Line) -> None:
    target = line([0.0] * 5, cost=100.0)
    cheaper = [line([1.0, 2.0, 3.0, 4.0, 5.0], cost=1.0), line([3.0, 1.0, 1.0, 2.0, 4.0], cost=20.0)]
    tables = cheap_tables(Protocol().problems(target, cheaper, 1, [0])[0])
    assert [table.best.tolist() for table in tables] == [[0.25], [0.0]]


def test_a_point_has_the_loss_of_the_nearest_configuration(line: Line) -> None:
    problem = Protocol().problems(line([0.0] * 5), [line([3.0, 1.0, 5.0, 2.0, 4.0])], 1, [0])[0]
    losses, apart = cheap_tables(problem)[0].at(np.array([[0.5], [0.3], [1.2]]))
    assert losses.tolist() == [5.0, 1.0, 4.0]
    assert apart == pytest.approx([0.0, 0.05, 0.2])


def test_blow_ups_are_clipped_where_the_problem_says_so(line: Line) -> None:
    target, cheaper = line([0.0] * 3), line([2.0, 2.1, 1e6])
    for clip, worst in ((None, 1e6), (1.25, 2.5)):
        problem = Protocol().problems(replace(target, clip=clip), [cheaper], 1, [0])[0]
        assert cheap_tables(problem)[0].losses.tolist() == [2.0, 2.1, worst]


def test_other_ranges_are_translated(targets: Mapping[str, Experiment], problem_of: Callable[..., Problem]) -> None:
    problem = problem_of(targets["architecture"])
    for table in cheap_tables(problem):
        config = problem.space.translate(table.runs.pool.config(3), table.runs.space)
        np.testing.assert_allclose(table.x[3], problem.space.encode(config))
