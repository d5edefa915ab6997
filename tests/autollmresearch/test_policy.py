"""Policy: what a state says, and the one way proposals meet the table."""

from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autollmresearch.evidence.records import CheapRuns, Problem
from autollmresearch.policy import State, nearest_untried
from llmconfig_gym.experiment import Experiment, Outcome

Lonely = Callable[[Experiment, int], Problem]


def test_told_holds_measured_and_snapped_trials_alone(line: Callable[..., Experiment], lonely: Lonely) -> None:
    e = line([5.0, 4.0, 3.0, 2.0])
    snapped = e.tell({"x": 1.8})
    assert snapped.kind == "snapped"
    refused = (Outcome("invalid", message="invalid"), Outcome("duplicate", {"x": 3}), Outcome("over_budget"))
    state = State(lonely(e, 9), (e.tell({"x": 3}), *refused, snapped))
    rows, losses = state.told()
    assert rows.tolist() == [2, 1]
    assert losses.tolist() == [3.0, 4.0]
    assert state.untried().tolist() == [0, 3]


def test_losses_are_oriented_so_that_smaller_is_better(line: Callable[..., Experiment], lonely: Lonely) -> None:
    e = line([0.1, 0.9], "maximize")
    assert State(lonely(e, 2), (e.outcome(0), e.outcome(1))).told()[1].tolist() == [-0.1, -0.9]


def test_a_diverged_trial_carries_the_worst_loss_known(line: Callable[..., Experiment], lonely: Lonely) -> None:
    e = line([5.0, np.nan, 3.0])
    trials = (e.outcome(0), e.outcome(1), e.outcome(2))
    assert State(lonely(e, 3), trials).told()[1].tolist() == [5.0, 5.0, 3.0]
    cheaper = (CheapRuns.of(line([7.0, 8.0, 6.0])),)
    assert State(replace(lonely(e, 3), cheaper=cheaper), trials).told()[1].tolist() == [5.0, 8.0, 3.0]
    assert State(lonely(e, 3), (e.outcome(1),)).told()[1].tolist() == [0.0]


def test_before_the_first_trial_everything_is_untried(line: Callable[..., Experiment], lonely: Lonely) -> None:
    state = State(lonely(line([1.0, 2.0]), 2))
    rows, losses = state.told()
    assert (len(rows), len(losses)) == (0, 0)
    assert state.untried().tolist() == [0, 1]


def test_nothing_is_untried_once_everything_was_told(line: Callable[..., Experiment], lonely: Lonely) -> None:
    e = line([1.0, 2.0])
    assert len(State(lonely(e, 5), (e.outcome(1), e.outcome(0))).untried()) == 0


def test_randomness_depends_on_seed_and_turn_alone(line: Callable[..., Experiment], lonely: Lonely) -> None:
    e = line([1.0, 2.0, 3.0])
    problem = lonely(e, 3)
    draw = {
        (seed, turn): State(problem, (e.outcome(0),) * turn, seed).rng().random() for seed in (0, 1) for turn in (0, 1)
    }
    assert len(set(draw.values())) == 4
    assert State(problem, (e.outcome(2),), 1).rng().random() == draw[1, 1]


def test_a_state_cannot_be_changed(line: Callable[..., Experiment], lonely: Lonely) -> None:
    state = State(lonely(line([1.0]), 1))
    with pytest.raises(FrozenInstanceError):
        state.trials = ()  # type: ignore[misc]


@given(data=st.data())
def test_the_nearest_untried_configuration_is_the_nearest_in_the_encoding(
    targets: Mapping[str, Experiment], lonely: Lonely, data: st.DataObject
) -> None:
    e = targets[data.draw(st.sampled_from(["pretraining", "mixture", "architecture"]))]
    told = data.draw(st.sets(st.integers(0, len(e.pool) - 1), max_size=len(e.pool)))
    point = np.array(data.draw(st.lists(st.floats(-1, 2), min_size=e.space.width, max_size=e.space.width)))
    config = nearest_untried(State(lonely(e, 99), tuple(e.outcome(r) for r in sorted(told))), point)
    row = next(r for r in range(len(e.pool)) if e.pool.config(r) == config)
    allowed = [r for r in range(len(e.pool)) if r not in told] or list(range(len(e.pool)))
    distances = {r: float(np.square(e.pool.encoded[r] - point).sum()) for r in allowed}
    assert row in allowed
    assert distances[row] == pytest.approx(min(distances.values()), abs=1e-12)


def test_of_equally_near_configurations_the_lowest_row_is_taken(
    line: Callable[..., Experiment], lonely: Lonely
) -> None:
    e = line([1.0, 2.0, 3.0])
    state = State(lonely(e, 3), (e.outcome(1),))
    assert nearest_untried(state, np.array([0.5])) == {"x": 1}
