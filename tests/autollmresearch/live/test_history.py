"""A study's own trials as a policy reads them."""

from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from autollmresearch.live.distributions import SearchSpace
from autollmresearch.live.history import CLAIM, History, read_history

SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "k": IntDistribution(1, 9)}


def _trial(state: TrialState, params: dict[str, Any], value: float | None = None, **system: Any) -> FrozenTrial:
    distributions = {name: SPACE[name] for name in params}
    return optuna.create_trial(
        state=state, params=params, distributions=distributions, value=value, system_attrs=system
    )


def _history(*trials: FrozenTrial, number: int = 99) -> History:
    for n, trial in enumerate(trials):
        trial.number = n
    space = SearchSpace.of(SPACE)
    assert space is not None
    return read_history(trials, number, space)


def test_finished_trials_come_in_order_and_failures_have_no_value() -> None:
    history = _history(
        _trial(TrialState.FAIL, {"x": 0.1, "k": 1}),
        _trial(TrialState.COMPLETE, {"x": 0.2, "k": 2}, 2.0),
        _trial(TrialState.PRUNED, {"x": 0.3, "k": 3}),
        _trial(TrialState.COMPLETE, {"x": 0.4, "k": 4}, float("inf")),
    )
    assert [(o.config["x"], o.value) for o in history.finished if o.config] == [
        (0.1, None),
        (0.2, 2.0),
        (0.3, None),
        (0.4, None),
    ]
    assert history.pending == ()


def test_unfinished_trials_count_as_expected_of_them_else_as_the_median() -> None:
    claimed = {"params": {"x": 0.5, "k": 5}, "final": True}
    history = _history(
        _trial(TrialState.COMPLETE, {"x": 0.1, "k": 1}, 1.0),
        _trial(TrialState.RUNNING, {"x": 0.5}, **{CLAIM: claimed | {"expected": 7.0}}),
        _trial(TrialState.RUNNING, {"x": 0.6, "k": 6}),
        _trial(TrialState.WAITING, {}, fixed_params={"x": 0.7, "k": 7}),
        _trial(TrialState.COMPLETE, {"x": 0.2, "k": 2}, 4.0),
        _trial(TrialState.RUNNING, {}),
    )
    assert [(o.config, o.value) for o in history.pending] == [
        ({"x": 0.5, "k": 5}, 7.0),
        ({"x": 0.6, "k": 6}, 2.5),
        ({"x": 0.7, "k": 7}, 2.5),
    ]
    assert history.outcomes == history.finished + history.pending


def test_the_trial_itself_and_trials_outside_the_space_are_left_out() -> None:
    history = _history(
        _trial(TrialState.COMPLETE, {"x": 0.1}, 1.0),
        _trial(TrialState.RUNNING, {"x": 0.5, "k": 5}),
        number=1,
    )
    assert history.outcomes == ()


def test_a_trial_lost_with_its_worker_is_no_outcome_once_it_is_queued_again() -> None:
    lost = _trial(TrialState.FAIL, {"x": 0.1, "k": 1})
    again = _trial(TrialState.WAITING, {"x": 0.1, "k": 1}, retry_history=[0], failed_trial=0)
    history = _history(lost, again)
    assert history.finished == ()
    assert [o.config for o in history.pending] == [{"x": 0.1, "k": 1}]


def test_nothing_known_is_an_unknown_value() -> None:
    assert [o.value for o in _history(_trial(TrialState.RUNNING, {"x": 0.5, "k": 5})).pending] == [None]


@pytest.mark.parametrize("broken", [{"x": "word", "k": 1}, {"x": 0.5, "k": "word"}])
def test_a_claim_that_cannot_be_read_is_no_claim(broken: dict[str, Any]) -> None:
    assert _history(_trial(TrialState.RUNNING, {}, **{CLAIM: {"params": broken, "final": True}})).outcomes == ()
