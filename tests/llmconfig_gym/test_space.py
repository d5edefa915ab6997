"""Spaces: checking whole configurations, moving them between spaces, and the exports to Optuna and ConfigSpace."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from llmconfig_gym.errors import InvalidConfig, InvalidSpace
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.parameter import Categorical, Grid, Integer, Real, Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

BASIC = Space((Grid("lr", (1e-4, 1e-3, 1e-2), log=True), Categorical("bias", (True, False)), Integer("layers", 2, 8)))


@pytest.fixture(scope="module")
def configspace(module: Callable[[str], ModuleType]) -> ModuleType:
    return module("ConfigSpace")


@given(data=st.data())
def test_a_space_is_the_same_after_a_trip_through_json(data: st.DataObject, spaces: SearchStrategy[Space]) -> None:
    space = data.draw(spaces)
    assert Space.from_list(json.loads(json.dumps(space.to_list()))) == space


@given(data=st.data())
def test_decode_undoes_encode_for_measured_configurations(data: st.DataObject, pools: SearchStrategy[Pool]) -> None:
    pool = data.draw(pools)
    for row in range(len(pool)):
        config = pool.config(row)
        assert pool.space.same(pool.space.decode(pool.space.encode(config)), config)


@given(data=st.data())
def test_the_order_of_keys_does_not_matter(data: st.DataObject, pools: SearchStrategy[Pool]) -> None:
    pool = data.draw(pools)
    config = pool.config(0)
    shuffled = dict(data.draw(st.permutations(list(config.items()))))
    checked = pool.space.check(shuffled)
    assert list(checked) == list(pool.space.names)
    assert checked == config


@settings(max_examples=50)
@given(data=st.data())
def test_check_gives_a_configuration_or_an_invalid_config_for_anything(
    data: st.DataObject, spaces: SearchStrategy[Space], json_values: SearchStrategy[Any]
) -> None:
    space, anything = data.draw(spaces), data.draw(json_values)
    named = {name: data.draw(json_values) for name in space.names}
    for proposal in (anything, named, {**named, "other": anything}):
        message = ""
        try:
            checked = space.check(proposal)
        except InvalidConfig as problem:
            message = str(problem)
        else:
            assert space.check(checked) == checked
        assert "\n" not in message


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ([1], r"must map parameter names to values, found \[1\]"),
        (None, "must map parameter names to values, found None"),
        ({"lr": 1e-3, "bias": True}, "layers is missing; a configuration names lr, bias, layers"),
        (
            {"lr": 1e-3, "bias": True, "layers": 2, "momentum": 0.9},
            "no parameter is called 'momentum'; legal: lr, bias",
        ),
        ({"lr": 1e-3, "bias": True, "layers": 2, None: 1}, "no parameter is called None"),
        ({"lr": 1e-3, "bias": "true", "layers": 2}, "bias must be one of true, false, found 'true'"),
    ],
)
def test_a_refusal_says_what_was_found_and_what_is_legal(config: object, says: str) -> None:
    with pytest.raises(InvalidConfig, match=says):
        BASIC.check(config)


@pytest.mark.parametrize("parameters", [(), (Real("x", 0, 1), Integer("x", 0, 1))])
def test_a_space_needs_parameters_with_distinct_names(parameters: Any) -> None:
    with pytest.raises(InvalidSpace, match="one or more parameters with distinct names"):
        Space(parameters)


@given(data=st.data())
def test_a_configuration_translates_to_its_own_space_as_itself(
    data: st.DataObject, pools: SearchStrategy[Pool]
) -> None:
    pool = data.draw(pools)
    config = pool.config(0)
    assert pool.space.same(pool.space.check(pool.space.translate(config, pool.space)), config)


def test_relative_parameters_keep_their_position_and_others_their_value() -> None:
    small = Space((Grid("width", (64, 128, 256), log=True, relative=True), Real("lr", 1e-4, 1e-2, log=True)))
    large = Space((Integer("width", 1024, 4096, log=True, relative=True), Real("lr", 1e-5, 1e-3, log=True)))
    assert large.translate({"width": 256, "lr": 5e-3}, small) == {"width": 4096, "lr": 5e-3}
    assert large.translate({"width": 128, "lr": 1e-4}, small) == {"width": 2048, "lr": 1e-4}


def test_a_parameter_the_source_lacks_takes_the_middle_of_its_range() -> None:
    source = Space((Real("lr", 1e-4, 1e-2, log=True),))
    target = Space((Real("lr", 1e-4, 1e-2, log=True), Integer("warmup", 0, 100)))
    assert target.translate({"lr": 1e-3}, source) == {"lr": 1e-3, "warmup": 50}


def test_a_choice_that_does_not_exist_here_cannot_be_translated() -> None:
    source, target = (Space((Categorical("act", c),)) for c in (("gelu", "relu"), ("gelu", "silu")))
    with pytest.raises(InvalidConfig, match="act must be one of gelu, silu, found 'relu'"):
        target.translate({"act": "relu"}, source)


@given(data=st.data())
def test_measured_configurations_round_trip_through_optuna(data: st.DataObject, pools: SearchStrategy[Pool]) -> None:
    pool = data.draw(pools)
    distributions = pool.space.to_optuna()
    for row in range(len(pool)):
        config = pool.config(row)
        params = pool.space.optuna_params(config)
        assert params.keys() == distributions.keys()
        for name, distribution in distributions.items():
            assert distribution._contains(distribution.to_internal_repr(params[name]))
        again = pool.space.from_optuna(params)
        assert pool.space.same(again, config)
        for p in pool.space.parameters:
            assert isinstance(p, Simplex) or again[p.name] == config[p.name]


@settings(max_examples=50)
@given(weights=st.lists(st.floats(0, 1), min_size=60, max_size=60).filter(lambda w: sum(w) > 1e-3))
def test_a_wide_mixture_round_trips_through_optuna(weights: list[float]) -> None:
    space = Space((Simplex("w", tuple(f"c{i}" for i in range(60))),))
    config = {"w": {f"c{i}": w / sum(weights) for i, w in enumerate(weights)}}
    assert space.same(space.from_optuna(space.optuna_params(config)), config)


def test_a_wide_mixture_of_two_round_trips_through_optuna() -> None:
    space = Space((Simplex("w", tuple(f"c{i}" for i in range(40))),))
    config = {"w": {f"c{i}": {0: 0.95, 1: 0.05}.get(i, 0.0) for i in range(40)}}
    assert space.same(space.from_optuna(space.optuna_params(config)), config)


def test_whatever_optuna_draws_is_legal_and_can_be_told(experiment: Experiment) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(20):
        config = experiment.space.from_optuna(study.ask(experiment.space.to_optuna()).params)
        assert experiment.space.check(config) == config
        assert experiment.tell(config).kind in ("measured", "snapped")


def test_uniform_draws_of_optuna_are_uniform_on_the_simplex() -> None:
    space = Space((Simplex("w", ("a", "b", "c")),))
    draws = np.random.default_rng(0).random((4000, 3))
    first = [space.from_optuna({f"w.{c}": u for c, u in zip("abc", row, strict=True)})["w"]["a"] for row in draws]  # type: ignore[index]
    assert np.mean(np.array(first)) == pytest.approx(1 / 3, abs=0.02)
    assert np.mean(np.array(first) > 0.5) == pytest.approx(0.25, abs=0.03)  # (1 - 0.5)^2 under the uniform law


def test_a_grid_is_an_ordered_index_for_optuna() -> None:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    distributions = BASIC.to_optuna()
    assert distributions["lr"] == IntDistribution(0, 2)
    assert distributions["bias"] == CategoricalDistribution((True, False))
    assert distributions["layers"] == IntDistribution(2, 8)


@pytest.mark.usefixtures("configspace")
def test_whatever_configspace_draws_is_legal_and_can_be_told(experiment: Experiment) -> None:
    space = experiment.space
    for configuration in space.to_configspace(seed=1).sample_configuration(20):
        drawn = dict(configuration)
        if any(isinstance(p, Simplex) for p in space.parameters):
            config = space.from_optuna(drawn)
        else:
            config = space.check(drawn)
            assert config == drawn
        assert experiment.tell(config).kind in ("measured", "snapped")


def test_measured_configurations_round_trip_through_configspace(
    experiment: Experiment, configspace: ModuleType
) -> None:
    space = experiment.space
    exported = space.to_configspace()
    for row in range(len(experiment.pool)):
        config = experiment.pool.config(row)
        mixture = any(isinstance(p, Simplex) for p in space.parameters)
        values = space.optuna_params(config) if mixture else config
        again = dict(configspace.Configuration(exported, values=values))
        assert space.same(space.from_optuna(again) if mixture else space.check(again), config)


@pytest.mark.usefixtures("configspace")
@pytest.mark.parametrize(
    "p",
    [Integer("n", 3, 3), Real("x", 0.5, 0.5), Grid("g", (2,)), Categorical("c", ("a",)), Integer("n", 1, 1, log=True)],
)
def test_a_parameter_of_one_value_can_be_exported_everywhere(p: Any) -> None:
    space = Space((p,))
    config = space.decode(np.full(space.width, 0.5))
    assert space.check(dict(space.to_configspace(seed=0).sample_configuration())) == config
    assert space.from_optuna(space.optuna_params(config)) == config
    assert math.isfinite(space.encode(config).sum())
