"""Records: what a state says of its runs, and how it looks to an ordinary policy."""

from collections.abc import Callable, Sequence

import numpy as np

from autollmresearch.active.records import ActiveState, Query, Run
from autollmresearch.benchmark.protocols import Active
from autollmresearch.evidence.records import CheapRuns
from autollmresearch.policy import Proposal
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.suite import Suite

Line = Callable[..., Experiment]


def state_of(experiments: Sequence[Experiment], runs: Sequence[tuple[int, int]], budget: int = 3) -> ActiveState:
    """After these (source, row) were run."""
    problem = Active(budget).problem(experiments[-1], list(experiments[:-1]))
    asked = [(Query(s, Proposal(experiments[s].pool.config(row))), row) for s, row in runs]
    told = (Run(query, experiments[query.source].outcome(row), row) for query, row in asked)
    return ActiveState(problem, tuple(told), 5)


def test_a_state_counts_cost_and_knows_what_was_run(line: Line) -> None:
    experiments = [line([1.0] * 3), line([2.0] * 4, cost=5.0), line([3.0] * 5, cost=10.0)]
    state = state_of(experiments, [(0, 2), (1, 0), (0, 1), (2, 4)], budget=2)
    assert [state.spent(), state.spent(0), state.spent(0, 1), state.spent(2)] == [1.7, 0.2, 0.7, 1.0]
    assert [state.affords(s) for s in range(3)] == [True, False, False]
    assert [state.untried(s).tolist() for s in range(3)] == [[0], [1, 2, 3], [0, 1, 2, 3]]
    assert state_of(experiments, []).spent() == 0


def test_losses_are_oriented_and_a_run_without_a_value_has_none(line: Line) -> None:
    up, down = line([1.0, np.nan, 3.0], "maximize"), line([1.0, np.nan, 3.0])
    np.testing.assert_array_equal(state_of([up], [(0, 2), (0, 1)]).losses(0), [-3.0, np.nan])
    np.testing.assert_array_equal(state_of([down], [(0, 2), (0, 1)]).losses(0), [3.0, np.nan])


def test_randomness_is_that_of_the_seed_and_the_turn(line: Line) -> None:
    e = line([1.0, 2.0, 3.0])
    first, again, later = (state_of([e], runs) for runs in ([(0, 1)], [(0, 2)], [(0, 1), (0, 2)]))
    assert first.rng().random() == again.rng().random() != later.rng().random()


def test_to_an_ordinary_policy_cheaper_runs_are_known_and_those_of_the_target_are_trials(toy: Suite) -> None:
    target = next(e for e in toy.split("high") if e.task == "pretraining")
    cheaper = toy.cheaper(target.id)
    runs = [(0, 3), (2, 1), (1, 7), (0, 0), (2, 5)]
    state = state_of([*cheaper, target], runs).on_target(4)
    assert [t.value for t in state.trials] == [target.outcome(row).value for row in (1, 5)]
    assert (state.problem.budget, state.problem.pool, state.problem.fidelity) == (6, target.pool, target.fidelity)
    assert (state.seed, len(state.proposals)) == (5, 2)
    expected = CheapRuns.drawn([(cheaper[0], np.array([3, 0])), (cheaper[1], np.array([7]))])
    for found, known in zip(state.problem.cheaper, expected, strict=True):
        assert (found.fidelity, found.space) == (known.fidelity, known.space)
        np.testing.assert_array_equal(found.losses, known.losses)
        np.testing.assert_array_equal(found.pool.encoded, known.pool.encoded)
        for name, column in known.details.items():
            np.testing.assert_array_equal(found.details[name], column)


def test_a_diverged_run_carries_the_worst_that_was_paid_for(line: Line) -> None:
    far, near = line([np.nan, 1.0], level="low"), line([np.nan, 3.0, 4.0, 9.0], cost=10.0, level="medium")
    target = line([0.0], cost=100.0)
    problem = state_of([far, near, target], [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]).on_target(1).problem
    assert [r.losses.tolist() for r in problem.cheaper] == [[1.0, 1.0], [4.0, 3.0, 4.0]]
    alone = state_of([far, near, target], [(0, 0), (1, 2)]).on_target(1).problem
    assert [r.losses.tolist() for r in alone.cheaper] == [[4.0], [4.0]]


def test_a_source_by_itself_is_a_state_of_which_nothing_cheaper_is_known(toy: Suite) -> None:
    target = toy.split("high")[0]
    cheaper = toy.cheaper(target.id)
    view = state_of([*cheaper, target], [(1, 4), (0, 2), (1, 0)]).view(1)
    assert (view.problem.cheaper, view.problem.pool) == ((), cheaper[1].pool)
    assert view.told()[0].tolist() == [4, 0]
