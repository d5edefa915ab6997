"""What depends on a problem alone is computed once for each, and let go with it."""

import gc
import weakref
from collections.abc import Callable, Mapping

from autollmresearch.baselines.per_problem import per_problem
from autollmresearch.evidence.records import Problem
from llmconfig_gym.experiment import Experiment


def test_each_problem_is_computed_once_and_let_go(
    targets: Mapping[str, Experiment], problem_of: Callable[..., Problem]
) -> None:
    asked: list[int] = []

    @per_problem
    def size(problem: Problem) -> list[int]:
        asked.append(len(problem.pool))
        return asked[-1:]

    one, other = (problem_of(targets["pretraining"]) for _ in range(2))
    assert size(one) is size(one)
    assert len(asked) == 1
    assert size(other) is not size(one), "another problem, though it looks the same"
    assert len(asked) == 2
    gone = weakref.ref(one)
    del one
    gc.collect()
    assert gone() is None
