"""The problem a policy sees stays the same object while nothing new is known, and holds what it must."""

from collections.abc import Callable

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution

from autollmresearch.live.candidates import BEST_OF_EACH
from autollmresearch.live.distributions import SearchSpace
from autollmresearch.live.evidence import read_evidence
from autollmresearch.live.history import History
from autollmresearch.live.problem import Prepared
from llmconfig_gym.experiment import Fidelity, Metric, Outcome
from llmconfig_gym.parameter import Value
from llmconfig_gym.pool import Pool


def _history(*configs: dict[str, Value]) -> History:
    return History(tuple(Outcome("measured", config, 1.0) for config in configs), ())


def _holds(pool: Pool, config: dict[str, Value]) -> bool:
    return pool.config(pool.find(config)[0]) == config


@pytest.fixture
def prepared(cheap: Callable[..., optuna.Study], valley_space: dict[str, BaseDistribution]) -> Prepared:
    """Two cheaper studies of the valley."""
    target = SearchSpace.of(valley_space)
    assert target is not None
    runs = [r for e in read_evidence([cheap(1e6), cheap(1e7)]) if (r := e.in_space(target)) is not None]
    return Prepared(target, Fidelity({"N": 1e8}, 1e8), Metric("loss", "minimize"), "other", tuple(runs))


def test_the_best_cheaper_configurations_are_candidates(prepared: Prepared) -> None:
    pool = prepared.problem(_history(), 5).pool
    for runs in prepared.cheaper:
        best = np.argsort(runs.losses)[:BEST_OF_EACH]
        assert all(_holds(pool, runs.pool.config(int(row))) for row in best)


def test_trials_among_the_candidates_change_nothing(prepared: Prepared) -> None:
    empty = prepared.problem(_history(), 5)
    assert prepared.problem(_history(empty.pool.config(3), empty.pool.config(900)), 5) is empty


def test_a_users_own_trial_joins_the_candidates(prepared: Prepared) -> None:
    empty = prepared.problem(_history(), 5)
    rates = (1e-3 * 1.007**k for k in range(600))  # one that no candidate is, as far as three digits can tell
    own = next(c for lr in rates if not empty.pool.find(c := {"batch": 64, "lr": lr})[1])
    with_it = prepared.problem(_history(own), 5)
    assert _holds(with_it.pool, own)
    assert prepared.problem(_history(empty.pool.config(0), own), 5) is with_it
    assert _holds(prepared.problem(_history(own | {"lr": 5.0}), 5).pool, own | {"lr": 0.1})  # where it is legal


def test_the_budget_is_always_more_than_was_spent(prepared: Prepared) -> None:
    pool = prepared.problem(_history(), 3).pool
    budgets = [prepared.problem(_history(*(pool.config(i) for i in range(n))), 3).budget for n in range(8)]
    assert budgets == [3, 3, 3, 6, 6, 6, 12, 12]


def test_a_fine_step_leaves_distinct_candidates_on_the_lattice() -> None:
    space: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1, step=1 / 2000)}
    target = SearchSpace.of(space)
    assert target is not None
    assert target.rounds
    pool = Prepared(target, Fidelity({}, 1.0), Metric("loss", "minimize"), "other", ()).problem(_history(), 5).pool
    values = pool.columns["x"]
    assert len(np.unique(values)) == len(values) > 500
    assert values * 2000 == pytest.approx(np.rint(values * 2000), abs=1e-6)
