"""The environment: Gymnasium's contract, the reward's formula, and no word about what was not paid for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from llmconfig_gym.env import ConfigActions, ConfigEnv
from llmconfig_gym.errors import EpisodeOver, UnknownName
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.parameter import Categorical, Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space
from llmconfig_gym.testing.probes import other_outcomes
from llmconfig_gym.text import number

Make = Callable[..., Experiment]


def pool_config(e: Experiment, row: int) -> dict[str, Any]:
    return dict(e.pool.config(row))


def actions(data: st.DataObject, e: Experiment, json_values: SearchStrategy[Any], count: int) -> list[Any]:
    """Actions of every kind: measured, drawn, damaged, as mapping, as JSON, in a block with thoughts around it."""
    result: list[Any] = []
    space = ConfigActions(e.space, seed=data.draw(st.integers(0, 99)))
    for _ in range(count):
        row = data.draw(st.integers(0, len(e.pool) - 1))
        config: Any = pool_config(e, row) if data.draw(st.booleans()) else space.sample()
        damage = data.draw(st.sampled_from(("none", "none", "none", "value", "key", "other")))
        if damage == "value":
            config[data.draw(st.sampled_from(e.space.names))] = data.draw(json_values)
        elif damage == "key":
            config[data.draw(st.text(max_size=3))] = data.draw(json_values)
        elif damage == "other":
            config = data.draw(json_values)
        way = data.draw(st.sampled_from(("mapping", "json", "block", "text")))
        text = data.draw(st.text(max_size=30))
        if way == "mapping":
            result.append(config)
        elif way == "text":
            result.append(text)
        else:
            said = json.dumps(config, skipkeys=True)
            result.append(said if way == "json" else f"<think>{text}</think>\n<config>{said}</config>{text}")
    return result


def play(env: ConfigEnv, chosen: Iterable[Any], seed: int | None = 0) -> list[Any]:
    """A whole episode: all that `reset` and `step` gave."""
    episode: list[Any] = [env.reset(seed=seed)]
    episode.extend(env.step(action) for action in chosen)
    return episode


# Gymnasium's contract.


def test_gymnasium_makes_one(experiment: Experiment) -> None:
    env = gymnasium.make("llmconfig_gym.env:LLMConfig-v0", experiment=experiment, budget=2)
    text, info = env.reset(seed=1)
    assert text in env.observation_space
    assert info == {"trial": 0, "trials_left": 2}
    env.action_space.seed(3)
    terminated = False
    while not terminated:
        text, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert text in env.observation_space
        assert 0 <= float(reward) <= 0.5
        assert not truncated
    assert info["trials_left"] == 0


@settings(max_examples=25)
@given(data=st.data())
def test_whole_episodes_stay_inside_the_spaces_and_are_told_twice_alike(
    data: st.DataObject, experiment: Experiment, json_values: SearchStrategy[Any]
) -> None:
    budget = data.draw(st.integers(1, 5))
    env = ConfigEnv(experiment, budget, render_mode="ansi")
    chosen = actions(data, experiment, json_values, budget + 1)
    episode = play(env, chosen)
    assert play(env, chosen) == episode == play(ConfigEnv(experiment, budget), chosen, seed=7)
    text, info = episode[0]
    assert text in env.observation_space
    assert info == {"trial": 0, "trials_left": budget}
    for trial, (text, reward, terminated, truncated, info) in enumerate(episode[1:], start=1):
        assert text in env.observation_space
        assert text.isprintable()
        assert isinstance(reward, float)
        assert 0 <= reward <= 1 / budget
        assert terminated == (trial >= budget)
        assert truncated is False
        assert (info["trial"], info["trials_left"]) == (min(trial, budget), max(budget - trial, 0))
        json.dumps(info, allow_nan=False)
        assert text.endswith(" left.")
    last = episode[-1]
    assert last[4]["outcome"]["kind"] == "over_budget"
    assert last[1] == 0
    assert len(env.history) == budget


def test_whatever_the_action_space_draws_is_legal(experiment: Experiment) -> None:
    space = ConfigActions(experiment.space, seed=0)
    for _ in range(50):
        config = space.sample()
        assert config in space
        assert experiment.space.check(config) == config
    assert "text" in space
    assert 3 not in space
    assert space == ConfigActions(experiment.space)
    assert space != ConfigActions(Space((Grid("other", (1, 2)),)))


def test_words_of_ones_own_that_are_not_ascii_stay_inside_the_observation_space(make: Make) -> None:
    space = Space((Grid("größe", (1, 2), unit="Wörter"), Categorical("art", ("schön", "übel"))))
    pool = Pool(space, {"größe": [1, 2], "art": ["schön", "übel"]})
    e = make(pool, [1.0, 2.0], details={"länge": np.array([3.0, 4.0])})
    env = ConfigEnv(e, budget=4)
    chosen = [{"größe": 1, "art": "schön"}, {"größe": 1, "art": "übel"}, {"art": "schön"}, {"größe": 1, "art": "中"}]
    for text, *_ in play(env, chosen):
        assert text in env.observation_space


def test_rendering_is_the_last_observation_if_asked_for(experiment: Experiment) -> None:
    env = ConfigEnv(experiment, 1, render_mode="ansi")
    assert env.reset()[0] == env.render()
    assert env.step("nothing")[0] == env.render()
    silent = ConfigEnv(experiment, 1)
    silent.reset()
    assert silent.render() is None


def test_a_step_before_the_first_reset_is_an_error_that_says_so(experiment: Experiment) -> None:
    with pytest.raises(EpisodeOver, match="call reset first"):
        ConfigEnv(experiment).step(pool_config(experiment, 0))


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_is_at_least_one_trial(budget: int, experiment: Experiment) -> None:
    with pytest.raises(ValueError, match=f"at least 1 trial, found {budget}"):
        ConfigEnv(experiment, budget)


def test_an_experiment_may_be_named_by_its_id() -> None:
    with pytest.raises(UnknownName, match="no suite is called 'nowhere'"):
        ConfigEnv("nowhere/at-all")


# Trials and rewards.


def regret(e: Experiment, value: float | None) -> float:
    """The formula of the reward, written down once more."""
    if value is None:
        return 1.0
    finite = e.values[np.isfinite(e.values)]
    best, worst = (finite.min(), finite.max()) if e.metric.direction == "minimize" else (finite.max(), finite.min())
    if e.clip is not None:
        worst = min(worst, best * e.clip)  # the one clipped experiment is minimised and positive
    return float(min((value - best) / (worst - best), 1.0))


@settings(max_examples=25)
@given(data=st.data())
def test_rewards_sum_to_one_minus_the_mean_regret(
    data: st.DataObject, experiment: Experiment, json_values: SearchStrategy[Any]
) -> None:
    budget = data.draw(st.integers(1, 6))
    env = ConfigEnv(experiment, budget)
    steps = play(env, actions(data, experiment, json_values, budget))[1:]
    values = [info["outcome"].get("value") for *_, info in steps]
    expected = 1 - sum(regret(experiment, v) for v in values) / budget
    assert sum(reward for _, reward, *_ in steps) == pytest.approx(expected, abs=1e-12)


def test_the_best_earns_a_whole_share_and_the_worst_nothing(experiment: Experiment) -> None:
    env = ConfigEnv(experiment, budget=2)
    order = np.argsort(experiment.losses)
    steps = play(env, [pool_config(experiment, int(order[0])), pool_config(experiment, int(order[-1]))])[1:]
    assert [reward for _, reward, *_ in steps] == [0.5, 0.0]


def test_a_proposal_that_snaps_to_what_was_told_is_a_duplicate(make: Make) -> None:
    pool = Pool(Space((Grid("lr", (1e-4, 1e-3), log=True),)), {"lr": [1e-4, 1e-3]})
    steps = play(ConfigEnv(make(pool, [1.0, 2.0]), 3), [{"lr": 1e-3}, {"lr": 2e-3}, {"lr": 1e-4}])[1:]
    assert [info["outcome"]["kind"] for *_, info in steps] == ["measured", "duplicate", "measured"]


def test_a_diverged_run_costs_a_trial_earns_nothing_and_can_be_repeated_only_as_a_duplicate(make: Make) -> None:
    pool = Pool(Space((Grid("x", (1, 2)),)), {"x": [1, 2]})
    steps = play(ConfigEnv(make(pool, [math.nan, 2.0]), 2), [{"x": 1}, {"x": 1}])[1:]
    assert [(info["outcome"]["kind"], reward) for _, reward, _, _, info in steps] == [("measured", 0), ("duplicate", 0)]
    assert "the run diverged: it gave no value." in steps[0][0]


def test_after_the_last_trial_every_step_is_over_budget_and_changes_nothing(experiment: Experiment) -> None:
    env = ConfigEnv(experiment, 1)
    play(env, [pool_config(experiment, 0)])
    for row in (1, 2):
        text, reward, terminated, _, info = env.step(pool_config(experiment, row))
        assert text == "over budget: the budget of 1 trial is spent. 0 trials left."
        assert (reward, terminated) == (0.0, True)
        assert info["outcome"] == {"kind": "over_budget", "message": "over budget: the budget of 1 trial is spent."}
    assert [o.config for o in env.history] == [experiment.pool.config(0)]


def test_where_all_values_are_equal_every_new_configuration_earns_its_share(make: Make) -> None:
    pool = Pool(Space((Grid("x", (1, 2)),)), {"x": [1, 2]})
    steps = play(ConfigEnv(make(pool, [2.5, 2.5]), 3), [{"x": 1}, {"x": 1}, {"x": 2}])[1:]
    assert [reward for _, reward, *_ in steps] == pytest.approx([1 / 3, 0, 1 / 3])


# Nothing unpaid is revealed.

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


def spellings(value: float) -> set[str]:
    """How the project, or Python, could write a measured value."""
    return {number(v, d) for v in (value, -value) for d in range(4, 10)} | {repr(value), repr(-value), str(value)}


def all_text(env: ConfigEnv, chosen: Iterable[Any]) -> str:
    """Everything an episode shows: observations, infos, what is rendered, errors."""
    shown = []
    try:
        env.step("too early")
    except EpisodeOver as problem:
        shown.append(str(problem))
    text, info = env.reset(seed=0)
    shown += [text, json.dumps(info), str(env.render())]
    for action in chosen:
        text, _, _, _, info = env.step(action)
        shown += [text, json.dumps(info), str(env.render())]
    return "\n".join(shown)


@settings(max_examples=25)
@given(data=st.data())
def test_an_episode_shows_no_value_that_was_not_paid_for(
    data: st.DataObject, experiment: Experiment, json_values: SearchStrategy[Any]
) -> None:
    chosen = actions(data, experiment, st.text(max_size=5) | st.booleans() | st.none(), 4)
    env = ConfigEnv(experiment, 3, render_mode="ansi")
    found = set(NUMBER.findall(all_text(env, chosen)))
    told = {experiment.pool.find(experiment.space.check(o.config))[0] for o in env.history if o.config is not None}
    paid: set[str] = set()
    unpaid: set[str] = set()
    for column in (experiment.values, *experiment.details.values()):
        for row, value in enumerate(column.tolist()):
            if math.isfinite(value):
                (paid if row in told else unpaid).update(spellings(value))
    assert not found & (unpaid - paid)
    best = int(np.argmin(experiment.losses))
    assert best in told or not found & spellings(float(experiment.values[best]))


@settings(max_examples=25)
@given(data=st.data())
def test_an_episode_reads_the_same_whatever_was_measured_elsewhere(
    data: st.DataObject, experiment: Experiment, json_values: SearchStrategy[Any]
) -> None:
    chosen = actions(data, experiment, json_values, 4)
    env = ConfigEnv(experiment, 3, render_mode="ansi")
    text = all_text(env, chosen)
    told = {experiment.pool.find(experiment.space.check(o.config))[0] for o in env.history if o.config is not None}
    assert all_text(ConfigEnv(other_outcomes(experiment, told), 3, render_mode="ansi"), chosen) == text
