"""Metrics: equal to what one computes by hand, and bound by their laws."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autollmresearch.benchmark.metrics import (
    average_ranks,
    bootstrap_interval,
    episode_metrics,
    recommendation_metrics,
)
from llmconfig_gym.experiment import Experiment, Outcome

Line = Callable[..., Experiment]
NAN = float("nan")
INVALID = Outcome("invalid", message="invalid: a test.")


def _columns(e: Experiment, outcomes: list[Outcome], *names: str) -> list[list[Any]]:
    rows = episode_metrics(e, outcomes)
    assert len(rows) == len(outcomes)
    return [[row[name] for row in rows] for name in names]


def _same(found: list[Any], expected: list[Any]) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert type(a) is type(b)
        assert a == pytest.approx(b, nan_ok=True) if isinstance(b, float) else a == b


def test_an_episode_with_every_kind_of_trial_gives_the_values_computed_by_hand(line: Line) -> None:
    """Losses 2, 3, 2.5, 10, diverged: median 3, worst 10, clipped at 1.5 times the best: 3."""
    e = line([2.0, 3.0, 2.5, 10.0, NAN], clip=1.5, noise=0.5)
    three = e.tell({"x": 2})
    duplicate = Outcome("duplicate", three.config, message="duplicate")
    snapped, diverged, blown_up = e.tell({"x": 2.9}), e.tell({"x": 5}), e.tell({"x": 4})
    assert (snapped.kind, snapped.value, diverged.kind, diverged.value) == ("snapped", 2.5, "measured", None)
    outcomes = [INVALID, blown_up, three, duplicate, snapped, diverged, e.tell({"x": 1})]
    found = dict(zip(episode_metrics(e, outcomes)[0], zip(*(r.values() for r in episode_metrics(e, outcomes)))))  # noqa: B905
    expected: dict[str, list[Any]] = {
        "value": [None, 10.0, 3.0, None, 2.5, None, 2.0],
        "best_value": [None, 10.0, 3.0, 3.0, 2.5, 2.5, 2.0],
        "simple_regret": [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.0],
        "simple_regret_unclipped": [1.0, 1.0, 0.125, 0.125, 0.0625, 0.0625, 0.0],
        "median_regret": [NAN, 8.0, 1.0, 1.0, 0.5, 0.5, 0.0],
        "excess_percent": [NAN, 400.0, 50.0, 50.0, 25.0, 25.0, 0.0],
        "cumulative_regret": [1.0, 2.0, 3.0, 4.0, 4.5, 5.5, 5.5],
        "within_noise": [False, False, False, False, True, True, True],
    }
    assert list(found) == list(expected)
    for name, values in expected.items():
        _same(list(found[name]), values)


def test_a_maximised_metric_gives_the_values_computed_by_hand(line: Line) -> None:
    """Best 0.8, worst 0.2, median 0.5; values stay as they were measured."""
    e = line([0.2, 0.5, 0.8], "maximize", noise=0.1)
    outcomes = [e.tell({"x": 2}), e.tell({"x": 1}), e.tell({"x": 3})]
    value, best, simple, unclipped, median, excess, cumulative, noise = _columns(
        e,
        outcomes,
        *("value", "best_value", "simple_regret", "simple_regret_unclipped", "median_regret", "excess_percent"),
        *("cumulative_regret", "within_noise"),
    )
    _same(value, [0.5, 0.2, 0.8])
    _same(best, [0.5, 0.5, 0.8])
    _same(simple, [0.5, 0.5, 0.0])
    _same(unclipped, [0.5, 0.5, 0.0])
    _same(median, [1.0, 1.0, 0.0])
    _same(excess, [37.5, 37.5, 0.0])
    _same(cumulative, [0.5, 1.5, 1.5])
    _same(noise, [False, False, True])


def test_a_clip_counts_from_a_negative_best_too(line: Line) -> None:
    """Best -4, clipped worst -4 + 0.5 * 4 = -2."""
    e = line([-4.0, -3.0, 10.0], clip=1.5)
    _same(_columns(e, [e.tell({"x": 2})], "simple_regret")[0], [0.5])
    _same(_columns(e, [e.tell({"x": 3})], "simple_regret")[0], [1.0])


def test_a_recommendation_is_judged_by_itself_and_regrets_add_up(line: Line) -> None:
    e = line([2.0, 3.0, 4.0, 6.0], noise=0.5)
    outcomes = [e.tell({"x": 1}), e.tell({"x": 3}), INVALID, e.tell({"x": 2})]
    rows = recommendation_metrics(e, outcomes)
    _same([row["simple_regret"] for row in rows], [0.0, 0.5, 1.0, 0.25])
    _same([row["best_value"] for row in rows], [2.0, 4.0, None, 3.0])
    _same([row["cumulative_regret"] for row in rows], [0.0, 0.5, 1.5, 1.75])
    _same([row["within_noise"] for row in rows], [True, False, False, False])
    assert all(row.keys() == episode_metrics(e, outcomes)[0].keys() for row in rows)


def test_an_unknown_noise_floor_gives_null(line: Line) -> None:
    e = line([1.0, 2.0])
    assert _columns(e, [INVALID, e.tell({"x": 1})], "within_noise") == [[None, None]]


def test_without_any_value_regret_is_whole_and_the_rest_unknown(line: Line) -> None:
    e = line([1.0, 2.0], noise=0.1)
    rows = episode_metrics(e, [INVALID, Outcome("duplicate")])
    for n, row in enumerate(rows, start=1):
        assert (row["simple_regret"], row["simple_regret_unclipped"], row["cumulative_regret"]) == (1.0, 1.0, float(n))
        assert (row["value"], row["best_value"], row["within_noise"]) == (None, None, False)
        assert np.isnan([row["median_regret"], row["excess_percent"]]).all()  # type: ignore[list-item]


def test_over_a_scale_of_zero_only_the_best_itself_has_a_regret(line: Line) -> None:
    mostly_best = line([1.0, 1.0, 1.0, 5.0])
    _same(
        _columns(mostly_best, [mostly_best.tell({"x": 4}), mostly_best.tell({"x": 1})], "median_regret")[0],
        [NAN, 0.0],
    )
    flat = line([2.0, 2.0])
    names = ("simple_regret", "simple_regret_unclipped", "median_regret", "excess_percent", "cumulative_regret")
    assert _columns(flat, [flat.tell({"x": 1})], *names) == [[0.0]] * 5


def test_percent_of_a_best_value_of_zero_is_unknown(line: Line) -> None:
    e = line([0.0, 1.0])
    _same(_columns(e, [e.tell({"x": 2})], "excess_percent")[0], [NAN])


@given(data=st.data())
def test_regret_never_rises_and_stays_in_its_bounds(targets: Mapping[str, Experiment], data: st.DataObject) -> None:
    e = targets[data.draw(st.sampled_from(["pretraining", "mixture", "architecture"]))]
    rows = data.draw(st.lists(st.integers(-1, len(e.pool) - 1), min_size=1, max_size=8))
    outcomes = [INVALID if row < 0 else e.outcome(row) for row in rows]
    simple, unclipped, cumulative, best = _columns(
        e, outcomes, "simple_regret", "simple_regret_unclipped", "cumulative_regret", "best_value"
    )
    for curve in (simple, unclipped):
        assert all(0 <= r <= 1 for r in curve)
        assert all(b <= a for a, b in pairwise(curve))
    steps = np.diff([0.0, *cumulative])
    assert (steps >= 0).all()
    assert (steps <= 1 + 1e-12).all()
    assert (steps >= np.array(simple) - 1e-12).all()
    assert all(u <= s + 1e-12 for u, s in zip(unclipped, simple, strict=True))
    values = [o.value for o in outcomes if o.value is not None]
    assert best[-1] == (None if not values else min(values) if e.metric.direction == "minimize" else max(values))


def test_the_interval_is_the_same_each_time_and_holds_the_mean() -> None:
    values = np.random.default_rng(0).normal(1.0, 1.0, size=(6, 5))
    low, high = bootstrap_interval(values)
    assert bootstrap_interval(values) == (low, high)
    assert bootstrap_interval(values, seed=1) != (low, high)
    assert low < values.mean() < high


def test_a_wider_coverage_is_a_wider_interval() -> None:
    values = np.random.default_rng(0).normal(size=(6, 5))
    inner, outer = bootstrap_interval(values, coverage=0.5), bootstrap_interval(values, coverage=0.99)
    assert outer[0] < inner[0] < inner[1] < outer[1]


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert bootstrap_interval(np.full((4, 3), 0.25)) == (0.25, 0.25)
    assert bootstrap_interval(np.array([[0.25]])) == (0.25, 0.25)


@pytest.mark.parametrize(
    ("experiments", "seeds", "between", "within"),
    [(20, 4, 1.0, 0.5), (20, 4, 0.2, 1.0), (1, 20, 0.0, 1.0), (20, 1, 1.0, 0.0)],
)
def test_the_interval_covers_the_true_mean_about_as_often_as_it_says(
    experiments: int, seeds: int, between: float, within: float
) -> None:
    rng = np.random.default_rng(7)
    covered = []
    for _ in range(200):
        values = between * rng.standard_normal((experiments, 1)) + within * rng.standard_normal((experiments, seeds))
        low, high = bootstrap_interval(values, draws=200)
        covered.append(low <= 0 <= high)
    assert 0.88 <= np.mean(covered) <= 1.0


def test_an_experiment_more_narrows_the_interval_more_than_seeds_of_the_same_do() -> None:
    rng = np.random.default_rng(1)
    few = rng.standard_normal((5, 1)) + 0.1 * rng.standard_normal((5, 4))
    many = rng.standard_normal((40, 1)) + 0.1 * rng.standard_normal((40, 4))
    wider = few[:, :1] + 0.1 * rng.standard_normal((5, 32))
    width = {name: np.ptp(bootstrap_interval(v)) for name, v in (("few", few), ("many", many), ("wider", wider))}
    assert width["many"] < 0.6 * width["few"]
    assert width["wider"] > 0.8 * width["few"]


def test_ranks_are_averaged_and_ties_share_theirs() -> None:
    cases = np.array([[0.1, 0.2, 0.0, 0.5], [0.1, 0.3, 0.0, 0.4], [0.3, 0.1, 0.0, 0.4]])
    expected = [(1.5 + 2 + 2 + 3) / 4, (1.5 + 3 + 2 + 1.5) / 4, (3 + 1 + 2 + 1.5) / 4]
    assert average_ranks(cases).tolist() == pytest.approx(expected)


def test_ranks_are_kept_apart_along_the_other_axes() -> None:
    by_trial = np.array([[[0.1, 0.9], [0.1, 0.9]], [[0.2, 0.8], [0.3, 0.7]]])
    assert average_ranks(by_trial).tolist() == [[1.0, 2.0], [2.0, 1.0]]


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_average_ranks_sum_to_the_same_whatever_the_ties(methods: int, cases: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(3, size=(methods, cases)).astype(float)
    assert average_ranks(values).sum() == pytest.approx(methods * (methods + 1) / 2)
