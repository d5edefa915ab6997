"""Experiments: `tell` is pure, never raises, and says what it told; regret is a fair scale."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from llmconfig_gym.errors import SuiteFormatError
from llmconfig_gym.experiment import Experiment, Fidelity, Metric, Outcome
from llmconfig_gym.parameter import Categorical, Grid, Real, Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space
from llmconfig_gym.text import number

Make = Callable[..., Experiment]


def line(size: int = 5) -> Pool:
    """A grid of one axis, 1 to `size`."""
    return Pool(Space((Grid("x", tuple(range(1, size + 1))),)), {"x": np.arange(1, size + 1)})


def written(value: Any) -> Any:
    """A configuration value as an agent writes it."""
    if isinstance(value, dict):
        return {k: float(number(v)) for k, v in value.items()}
    return float(number(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


def check_outcome(e: Experiment, outcome: Outcome) -> None:
    """What holds for every outcome of `tell`."""
    assert outcome.kind in ("measured", "snapped", "invalid")
    assert outcome.message.isprintable()
    json.dumps(outcome.to_dict(), allow_nan=False)
    if outcome.kind == "invalid":
        assert (outcome.config, outcome.value, outcome.details) == (None, None, {})
        assert outcome.message.startswith("invalid: ")
    else:
        assert outcome.config is not None
        row, exact = e.pool.find(e.space.check(outcome.config))
        assert exact
        assert outcome.config == e.pool.config(row)
        assert outcome.value == (e.values[row] if np.isfinite(e.values[row]) else None)
    if outcome.kind == "snapped":
        assert "the most similar available configuration was run instead" in outcome.message
        assert all(f"{name} " in outcome.message for name in e.space.names)


@settings(max_examples=40)
@given(data=st.data())
def test_tell_never_raises_and_is_pure_for_any_json_value(
    data: st.DataObject, experiment: Experiment, json_values: SearchStrategy[Any]
) -> None:
    anything = data.draw(json_values)
    measured = experiment.pool.config(data.draw(st.integers(0, len(experiment.pool) - 1)))
    changed = {**measured, data.draw(st.sampled_from(experiment.space.names)): anything}
    named = {name: data.draw(json_values) for name in experiment.space.names}
    fresh = pickle.loads(pickle.dumps(experiment))  # noqa: S301  # our own bytes
    for proposal in (anything, named, changed, {**measured, "other": anything}):
        outcome = experiment.tell(proposal)
        check_outcome(experiment, outcome)
        assert experiment.tell(proposal) == outcome == fresh.tell(proposal)


def test_tell_never_raises_for_what_can_hardly_be_printed(experiment: Experiment, awkward: Any) -> None:
    measured = experiment.pool.config(0)
    for name in experiment.space.names:
        inside = {**measured[name], "web": awkward} if isinstance(measured[name], dict) else awkward  # type: ignore[dict-item]
        for proposal in (awkward, {**measured, name: inside}, {**measured, "other": awkward}, [awkward]):
            outcome = experiment.tell(proposal)
            check_outcome(experiment, outcome)
            assert outcome.kind == "invalid"


@settings(max_examples=40)
@given(data=st.data())
def test_any_number_for_a_number_is_measured_snapped_or_refused_as_not_positive(
    data: st.DataObject, experiment: Experiment
) -> None:
    config = experiment.pool.config(0)
    numeric = [n for n, v in config.items() if isinstance(v, int | float) and not isinstance(v, bool)]
    for name in numeric:
        config[name] = data.draw(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**300), 10**300))
    outcome = experiment.tell(config)
    check_outcome(experiment, outcome)
    if outcome.kind == "invalid":
        assert "must be positive" in outcome.message or "must be a whole number" in outcome.message


def test_every_measured_configuration_is_measured_as_it_is_and_as_it_is_written(experiment: Experiment) -> None:
    for row in range(len(experiment.pool)):
        config = experiment.pool.config(row)
        for said in (config, dict(reversed(config.items())), {k: written(v) for k, v in config.items()}):
            outcome = experiment.tell(said)
            assert outcome == experiment.outcome(row)
            assert outcome.kind == "measured"
            assert outcome.config == config


@pytest.mark.parametrize("one", [1, 1.0, np.int64(1), np.float64(1)])
def test_a_number_is_a_number_in_any_type(make: Make, one: Any) -> None:
    assert make(line(), [5, 4, 3, 2, 1]).tell({"x": one}).value == 5


@pytest.mark.parametrize("one", [True, np.True_, "1", [1], {"x": 1}, 1 + 0j, None])
def test_what_equals_a_number_but_is_none_is_invalid(make: Make, one: Any) -> None:
    outcome = make(line(), [5, 4, 3, 2, 1]).tell({"x": one})
    assert outcome.kind == "invalid"
    assert "x must be a number" in outcome.message


@pytest.mark.parametrize("flag", [1, 0, 1.0, "true", "True", None])
def test_what_equals_a_boolean_but_is_none_is_invalid(make: Make, flag: Any) -> None:
    pool = Pool.from_configs(Space((Categorical("bias", (True, False)),)), [{"bias": True}, {"bias": False}])
    assert make(pool, [1, 2]).tell({"bias": flag}).kind == "invalid"


@pytest.mark.parametrize("told", [["x", 1], [("x", 1)], 1, "x", None, {"X": 1}, {}, {"x": 1, "y": 1}, {1: 1}])
def test_what_is_no_configuration_is_invalid_and_says_what_is_legal(make: Make, told: Any) -> None:
    outcome = make(line(), [5, 4, 3, 2, 1]).tell(told)
    assert outcome.kind == "invalid"
    assert "parameter" in outcome.message or "missing" in outcome.message


def test_plain_data_of_an_outcome_is_the_callers_own(experiment: Experiment) -> None:
    outcome = experiment.outcome(0)
    before = copy.deepcopy(outcome)
    for part in outcome.to_dict().values():
        if isinstance(part, dict):
            for value in part.values():
                if isinstance(value, dict):
                    value.clear()
            part.clear()
    assert outcome == before


def test_many_at_once_are_told_as_one_by_one(experiment: Experiment) -> None:
    rows = np.random.default_rng(0).integers(len(experiment.pool), size=50)
    values, found, exact = experiment.tell_many({n: c[rows] for n, c in experiment.pool.columns.items()})
    assert exact.all()
    for value, row, told in zip(values, found, rows, strict=True):
        expected = experiment.tell(experiment.pool.config(int(told)))
        assert experiment.outcome(int(row)) == expected
        assert np.isfinite(value) == (expected.value is not None)
        assert expected.value is None or value == expected.value


def test_a_diverged_run_has_no_value_says_so_and_counts_as_the_worst(make: Make) -> None:
    for direction, worst in (("minimize", 4.0), ("maximize", -2.0)):
        e = make(line(), [3.0, math.nan, 4.0, math.inf, 2.0], direction=direction)
        for x in (2, 4):
            outcome = e.tell({"x": x})
            assert (outcome.kind, outcome.value) == ("measured", None)
            assert outcome.message == "the run diverged: it gave no value."
            assert e.losses[x - 1] == e.losses.max() == worst
            assert e.regret(e.losses)[x - 1] == 1.0
        assert np.isfinite(e.losses).all()
        assert e.tell({"x": 2.2}).message.endswith("x 2. the run diverged: it gave no value.")


def test_details_that_were_not_measured_are_left_out(make: Make) -> None:
    e = make(line(2), [1.0, 2.0], details={"kl": np.array([math.nan, 0.5]), "steps": np.array([7, 8])})
    assert e.tell({"x": 1}).details == {"steps": 7.0}
    assert e.tell({"x": 2}).details == {"kl": 0.5, "steps": 8.0}


def test_an_experiment_without_one_finite_value_is_refused(make: Make) -> None:
    with pytest.raises(SuiteFormatError, match="no run has a finite score"):
        make(line(2), [math.nan, math.inf])


@pytest.mark.parametrize("name", ["kl", "spread", "replicates"])
@pytest.mark.parametrize(
    ("column", "says"),
    [(np.ones(3), "has 3 rows, expected 2"), (np.array(["a", "b"]), "must be a column of numbers")],
)
def test_a_column_of_the_wrong_length_or_kind_is_refused(make: Make, name: str, column: Any, says: str) -> None:
    more = {"details": {"kl": column}} if name == "kl" else {name: column}
    with pytest.raises(SuiteFormatError, match=f"{name} {says}"):
        make(line(2), [1.0, 2.0], **more)


VALUES = st.lists(
    st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1e-309]) | st.sampled_from([math.nan, math.inf, -math.inf]),
    min_size=1,
    max_size=8,
)


@given(values=VALUES.filter(lambda v: any(map(math.isfinite, v))), clip=st.none() | st.floats(1.01, 3.0))
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_regret_is_zero_at_the_best_and_grows_to_at_most_one(
    make: Make, direction: str, values: list[float], clip: float | None
) -> None:
    e = make(line(len(values)), values, direction=direction, clip=clip)
    regret = e.regret(e.losses)
    assert ((regret >= 0) & (regret <= 1)).all()
    finite = [v for v in values if math.isfinite(v)]
    best = values.index(min(finite) if direction == "minimize" else max(finite))
    assert regret[best] == 0
    order = np.argsort(e.losses, kind="stable")
    assert (np.diff(regret[order]) >= 0).all()
    assert e.best <= e.worst <= e.losses.max()


def test_the_scale_ends_at_the_clip_and_the_table_keeps_its_runs(make: Make) -> None:
    e = make(line(), [2.0, 2.2, 2.4, 2.5, 11.0], clip=1.25)
    assert (e.best, e.worst) == (2.0, 2.5)
    assert e.regret(e.losses) == pytest.approx([0, 0.4, 0.8, 1, 1])
    assert e.tell({"x": 5}).value == 11.0
    assert make(line(), [2.0, 2.2, 2.3, 2.4, 2.1], clip=1.25).worst == 2.4


def test_the_clip_is_a_multiple_of_the_best_also_where_higher_is_better(make: Make) -> None:
    e = make(line(), [0.8, 0.7, 0.6, 0.5, 0.1], direction="maximize", clip=1.25)
    assert e.best == -0.8
    assert e.worst == pytest.approx(-0.6)
    assert e.regret(e.losses) == pytest.approx([0, 0.5, 1, 1, 1])


def test_a_best_of_zero_has_no_multiple_so_the_scale_ends_at_the_worst(make: Make) -> None:
    e = make(line(3), [0.0, 1.0, 4.0], clip=1.25)
    assert e.regret(e.losses) == pytest.approx([0, 0.25, 1])


def test_where_all_values_are_equal_no_choice_is_regretted(make: Make) -> None:
    e = make(line(), [2.5] * 5)
    assert (e.regret(e.losses) == 0).all()
    assert float(e.regret(e.best)) == 0
    assert e.tell({"x": 3}).value == 2.5


def test_copies_answer_alike(experiment: Experiment) -> None:
    assert copy.deepcopy(experiment).tell(experiment.pool.config(1)) == experiment.outcome(1)


def test_a_mixture_is_told_by_its_shares_whatever_rounding_did_to_their_sum(make: Make) -> None:
    pool = Pool(Space((Simplex("w", ("web", "code")),)), {"w": [[0.333, 0.666], [0.9, 0.1]]})
    e = make(pool, [1.0, 2.0])
    assert e.tell({"w": {"web": 1 / 3, "code": 2 / 3}}).kind == "measured"
    assert e.tell({"w": {"web": 0.33, "code": 0.67}}).kind == "measured"
    assert e.tell({"w": {"web": 0.34, "code": 0.66}}).kind == "snapped"
    assert e.tell({"w": {"code": 1}}).config == {"w": {"web": 0.333, "code": 0.666}}


def test_words_for_a_fidelity_are_written_as_everywhere() -> None:
    fidelity = Fidelity({"parameters": 2.147e8, "stage": "base"}, 1.29e20)
    assert fidelity.text() == "parameters 2.15e8, stage base (1.29e20 FLOPs)"
    assert (Metric("loss", "minimize").sign, Metric("score", "maximize").sign) == (1.0, -1.0)


def test_empty_fields_of_an_outcome_are_left_out_of_its_plain_data() -> None:
    assert Outcome("over_budget", message="spent").to_dict() == {"kind": "over_budget", "message": "spent"}
    assert Outcome("measured", {"x": 1}, 0.0).to_dict() == {"kind": "measured", "config": {"x": 1}, "value": 0.0}


def test_a_range_is_snapped_to_its_measured_points(make: Make) -> None:
    pool = Pool(Space((Real("x", 0.1, 10.0, log=True),)), {"x": [0.1, 1.0, 10.0]})
    outcome = make(pool, [1.0, 2.0, 3.0]).tell({"x": 3.0})
    assert (outcome.kind, outcome.config, outcome.value) == ("snapped", {"x": 1.0}, 2.0)
    assert outcome.message == (
        "not available as proposed; the most similar available configuration was run instead: x 1."
    )
