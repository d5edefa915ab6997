"""From Optuna's distributions to a Space and back: every kind, and nothing but plain legal values."""

import json
import math
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from autollmresearch.live.candidates import candidates
from autollmresearch.live.distributions import SearchSpace, labels, legal_value, parameter_of
from llmconfig_gym.errors import InvalidConfig
from llmconfig_gym.parameter import Categorical, Grid, Integer, Real, Simplex
from llmconfig_gym.space import Space

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "float": FloatDistribution(-1.5, 2.5),
    "log": FloatDistribution(1e-300, 1e300, log=True),
    "step": FloatDistribution(-10.2, 10.2, step=0.1),
    "fine": FloatDistribution(0, 1, step=1e-6),
    "one float": FloatDistribution(1.0, 1.0),
    "one log": FloatDistribution(1.0, 1.0, log=True),
    "int": IntDistribution(-3, 7),
    "log int": IntDistribution(1, 2**40, log=True),
    "huge int": IntDistribution(0, 2**60),
    "int step": IntDistribution(3, 19, step=4),
    "fine int": IntDistribution(0, 7 * 10**5, step=7),
    "one int": IntDistribution(1, 1),
    "words": CategoricalDistribution(["adam", "lion"]),
    "truths": CategoricalDistribution([False, True]),
    "numbers": CategoricalDistribution([128, 16, 64, 32]),
    "mixed": CategoricalDistribution([None, "None", True, 1.5, "a"]),
    "alike": CategoricalDistribution([1, 1.0, True]),
    "nan": CategoricalDistribution([float("nan"), 1.0]),
    "one choice": CategoricalDistribution(["only"]),
}
PLAIN = (bool, int, float, str, type(None))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_candidates_go_to_optuna_and_come_back(name: str) -> None:
    distribution = DISTRIBUTIONS[name]
    search_space = SearchSpace.of({name: distribution})
    assert search_space is not None
    pool = candidates(search_space.space, size=64)
    for row in range(len(pool)):
        params = search_space.write(pool.config(row))
        value = params[name]
        assert type(value) in PLAIN
        assert distribution._contains(distribution.to_internal_repr(value))
        again = search_space.read(params, {name: distribution})
        assert search_space.write(again) == params or value != value  # NaN is not itself
        if not search_space.rounds:
            assert pool.config(pool.find(again)[0]) == pool.config(row)


def test_order_and_scale_are_kept() -> None:
    assert parameter_of("x", DISTRIBUTIONS["numbers"]) == Grid("x", (16, 32, 64, 128), log=True)
    assert parameter_of("x", CategoricalDistribution([0.0, 0.1, 0.2])) == Grid("x", (0.0, 0.1, 0.2))
    assert parameter_of("x", FloatDistribution(0, 0.3, step=0.1)) == Grid("x", (0.0, 0.1, 0.2, 0.3))
    assert parameter_of("x", DISTRIBUTIONS["int step"]) == Grid("x", (3, 7, 11, 15, 19))
    assert parameter_of("x", DISTRIBUTIONS["log int"]) == Integer("x", 1, 2**40, log=True)
    assert parameter_of("x", DISTRIBUTIONS["log"]) == Real("x", 1e-300, 1e300, log=True)
    assert parameter_of("x", DISTRIBUTIONS["truths"]) == Categorical("x", (False, True))


def test_choices_of_any_type_have_distinct_labels() -> None:
    assert labels((None, "None", True, 1.5, "a")) == ("None", "None'", "True", "1.5", "a")
    mixed = SearchSpace.of({"x": DISTRIBUTIONS["mixed"]})
    assert mixed is not None
    for choice, label in ((None, "None"), ("None", "None'"), (True, "True"), (1.5, "1.5"), ("a", "a")):
        assert mixed.read({"x": choice}, {}) == {"x": label}
        assert mixed.write({"x": label}) == {"x": choice}


@given(low=st.floats(-100, 100), steps=st.integers(0, 5000), step=st.floats(1e-2, 1e2), at=st.floats(-1e6, 1e6))
def test_a_stepped_value_is_the_nearest_of_its_lattice(low: float, steps: int, step: float, at: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Optuna moves the upper end to the lattice, and says so
        distribution = FloatDistribution(low, low + steps * step, step=step)
    value = legal_value(distribution, at)
    assert distribution._contains(value)
    inside = min(max(at, distribution.low), distribution.high)
    assert abs(value - inside) <= 0.5 * step * (1 + 1e-6) + 1e-9 * abs(inside)


@pytest.mark.parametrize(
    ("distribution", "value", "legal"),
    [
        (IntDistribution(1, 10), 12.3, 10),
        (IntDistribution(0, 10, step=5), 7, 5),
        (FloatDistribution(0, 1), -3, 0.0),
        (FloatDistribution(1e-5, 1e-1, log=True), -1, 1e-5),
        (CategoricalDistribution([16, 32]), 30.0, 32),
        (CategoricalDistribution(["a", None]), "None", None),
    ],
)
def test_a_value_of_another_space_becomes_the_nearest_legal_one(
    distribution: BaseDistribution, value: Any, legal: Any
) -> None:
    found = legal_value(distribution, value)
    assert found == legal
    assert type(found) is type(legal)


@pytest.mark.parametrize(
    ("distribution", "value"),
    [
        (CategoricalDistribution(["a", "b"]), "c"),
        (CategoricalDistribution([16, 32]), "a"),
        (FloatDistribution(0, 1), "a"),
        (IntDistribution(0, 1), True),
        (IntDistribution(0, 1), math.inf),
    ],
)
def test_a_value_with_nothing_near_is_refused(distribution: BaseDistribution, value: Any) -> None:
    with pytest.raises(InvalidConfig):
        legal_value(distribution, value)


def test_a_space_that_made_the_distributions_is_recognised() -> None:
    space = Space((Grid("lr", (1e-4, 1e-3, 1e-2), log=True), Simplex("data", ("web", "code"))))
    search_space = SearchSpace.of(space.to_optuna() | {"layers": IntDistribution(2, 8)}, space)
    assert search_space is not None
    assert search_space.space.names == ("lr", "data", "layers")
    config = {"lr": 1e-3, "data": {"web": 0.25, "code": 0.75}, "layers": 3}
    params = search_space.write(config)
    assert params["lr"] == 1  # the index of the level
    assert set(params) == {"lr", "data.web", "data.code", "layers"}
    again = search_space.read(json.loads(json.dumps(params)), search_space.distributions)
    assert search_space.space.same(again, config)
    raw = search_space.read({"lr": 2e-3, "layers": 4.0}, {"lr": FloatDistribution(1e-5, 1e-1, log=True)})
    assert raw == {"lr": 2e-3, "layers": 4}  # another study's own learning rate is no index


def test_half_a_mixture_is_only_numbers() -> None:
    space = Space((Simplex("data", ("web", "code")),))
    left = {n: d for n, d in space.to_optuna().items() if n == "data.web"}
    search_space = SearchSpace.of(left, space)
    assert search_space is not None
    assert search_space.space == Space((Real("data.web", 0.0, 1.0),))


def test_a_range_that_no_parameter_holds_is_left_out() -> None:
    wide = FloatDistribution(-1.7e308, 1.7e308)
    assert SearchSpace.of({"x": wide}) is None
    search_space = SearchSpace.of({"x": wide, "y": FloatDistribution(0, 1)})
    assert search_space is not None
    assert search_space.space.names == ("y",)
