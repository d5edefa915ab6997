"""EnvTestCase: what every environment over an experiment promises, over whole episodes."""

from __future__ import annotations

import copy
import json
import math
import warnings
from collections.abc import Sequence
from typing import Any, TypeAlias

import gymnasium

from llmconfig_gym.catalog import load_experiment
from llmconfig_gym.errors import BrokenPromise
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.space import plain_config
from llmconfig_gym.testing.probes import (
    NONSENSE,
    emptied,
    global_randomness,
    other_outcomes,
    raised,
    require,
    some_rows,
    tells,
)

Env: TypeAlias = gymnasium.Env[Any, Any]

TRIALS = 3
"""Budget of the episodes that are played."""


class EnvTestCase:
    """Checks of an environment: subclass it and make one in `make`.

    It may be a subclass or wrapper of `ConfigEnv`, or one of its own that keeps to the same terms: actions are
    configurations as mappings or text, observations are text, `info` has `trials_left` and, after a step, `outcome`
    (what `Outcome.to_dict` gives).
    """

    def make(self, experiment: Experiment, budget: int) -> Env:
        """A new environment over this experiment (not over one of the same id: some checks change its outcomes)."""
        raise NotImplementedError("make(self, experiment, budget) returns the environment to check")

    def experiment(self) -> Experiment:
        """What is played; it needs at least four configurations."""
        return load_experiment("micro/N25k-D262k")

    def test_gymnasiums_checker_is_content(self) -> None:
        """`gymnasium.utils.env_checker.check_env` finds nothing."""
        from gymnasium.utils.env_checker import check_env

        env = self._new().unwrapped
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                check_env(env, skip_render_check=env.spec is None)  # it can render only what gymnasium.make has made
        except Exception as problem:
            raise BrokenPromise(f"gymnasium's checker says: {problem}") from problem

    def test_a_whole_episode(self) -> None:
        """Every observation is in its space, every info plain JSON, every outcome the experiment's own."""
        e, env = self.experiment(), self._new()
        text, info = env.reset(seed=0)
        require(text in env.observation_space, f"reset gave {text!r}, which is not in the observation space")
        for config in self._configs():
            text, reward, _, truncated, info = env.step(config)
            require(text in env.observation_space, f"step gave {text!r}, which is not in the observation space")
            require(math.isfinite(float(reward)), f"step gave the reward {reward}; expected a finite number")
            require(not truncated, "an episode is never truncated: it ends when its budget is spent")
            try:
                json.dumps(info, allow_nan=False)
            except (TypeError, ValueError) as problem:
                raise BrokenPromise(f"info is not plain JSON data: {problem}; found {info}") from problem
            expected = e.tell(config).to_dict()
            require(info.get("outcome") == expected, f"{config} gave {info.get('outcome')}, expected {expected}")

    def test_the_budget_is_kept(self) -> None:
        """There are as many trials as were asked for; every step after them is refused and tells nothing."""
        for budget in (1, TRIALS):
            env = self.make(self.experiment(), budget)
            _, info = env.reset(seed=0)
            for trial, config in enumerate(self._configs(budget + 2), start=1):
                require(
                    info["trials_left"] == max(budget + 1 - trial, 0),
                    f"before trial {trial} of {budget} info says {info['trials_left']} trials are left",
                )
                _, reward, terminated, _, info = env.step(config)
                require(terminated == (trial >= budget), f"after trial {trial} of {budget}, terminated is {terminated}")
                if trial > budget:
                    _refused(info, reward, "over_budget", f"trial {trial} of {budget}")

    def test_reset_begins_anew(self) -> None:
        """An episode is told the same after another one in the same environment."""
        env, configs = self._new(), self._configs()
        first, again = played(env, configs), played(env, configs)
        require(first == again, f"the second episode of an environment differs: {_difference(first, again)}")

    def test_the_seed_is_honoured(self) -> None:
        """The same seed gives the same episode and the same draws, whatever the process' own randomness does."""
        episodes, draws = [], []
        for state in (1, 2):
            with global_randomness(state):
                env = self._new()
                episodes.append(played(env, self._configs(), seed=3))
                for seed in (3, 4):
                    env.action_space.seed(seed)
                    draws.append([env.action_space.sample() for _ in range(5)])
        require(
            episodes[0] == episodes[1],
            f"two episodes of one seed differ: {_difference(*episodes)}; draw from self.np_random alone",
        )
        require(draws[0] == draws[2], "the action space draws other actions after the same seed")
        require(draws[0] != draws[1], "the action space draws the same actions after another seed")

    def test_a_repeated_configuration_is_a_duplicate(self) -> None:
        """Said again in any form, a configuration costs a trial, earns nothing and tells nothing."""
        config = self._configs(1)[0]
        said = json.dumps(plain_config(config))
        for again in (config, dict(reversed(config.items())), said, f"<think>again</think>\n<config>{said}</config>"):
            env = self._new()
            env.reset(seed=0)
            env.step(config)
            _, reward, _, _, info = env.step(again)
            _refused(info, reward, "duplicate", f"{again!r}, told before,")
            require(info["trials_left"] == TRIALS - 2, "a repeated configuration must cost a trial")

    def test_what_is_no_configuration_is_invalid(self) -> None:
        """Nothing that a model may write raises: it costs a trial, earns nothing and tells nothing."""
        for action in (*NONSENSE, dict.fromkeys(self.experiment().space.names)):
            env = self._new()
            env.reset(seed=0)
            try:
                _, reward, _, _, info = env.step(action)
            except Exception as problem:
                raise BrokenPromise(
                    f"the action {ascii(action)[:60]} raised {type(problem).__name__} ({problem}); whatever a model "
                    "writes is data: give an invalid outcome"
                ) from problem
            _refused(info, reward, "invalid", f"the action {ascii(action)[:60]}")
            require(info["trials_left"] == TRIALS - 1, "an invalid action must cost a trial")

    def test_nothing_unpaid_is_told(self) -> None:
        """Observations, infos, what is rendered and errors are the same whatever was measured but not paid for."""
        e = self.experiment()
        rows = [r for r in some_rows(e, TRIALS + 2) if e.losses[r] > e.best][:TRIALS]  # the best is never paid for
        others: tuple[list[Any], ...] = ([], [dict.fromkeys(e.space.names), e.pool.config(rows[0])])
        for refused in others:
            actions = [e.pool.config(rows[0]), *refused, *(e.pool.config(r) for r in rows[1:])]
            told, elsewhere = (said(self.make(x, TRIALS), actions) for x in (e, other_outcomes(e, rows)))
            require(
                told == elsewhere,
                f"what is said depends on outcomes that were not paid for: {_difference(told, elsewhere)}",
            )
            for text in told:
                found = [n for n in tells(text, [e.metric.sign * e.best], digits=4) if not tells(n, e.values[rows], 4)]
                require(not found, f"the best value, not paid for, is told as {found}: {text!r}")

    def test_actions_and_infos_belong_to_the_caller(self) -> None:
        """No action is changed, and what a caller does to an info changes nothing."""
        configs = self._configs()
        expected = played(self._new(), copy.deepcopy(configs))
        env = self._new()
        env.reset(seed=0)
        for config, step in zip(configs, expected[1:], strict=True):
            action = copy.deepcopy(config)
            found = env.step(action)
            require(action == config, f"step changed its action {config} to {action}")
            require(copy.deepcopy(found) == step, f"after its infos were emptied the episode differs: {found}")
            emptied(found[4])
        env.reset(seed=0)
        env.step(configs[0])
        emptied(env.step(configs[1])[4])
        _, reward, _, _, info = env.step(configs[1])
        _refused(info, reward, "duplicate", f"{configs[1]}, told before in an info that was emptied,")

    def test_environments_share_nothing(self) -> None:
        """Two episodes side by side are told as one after the other."""
        configs = self._configs()
        alone = [played(self._new(), c) for c in (configs, configs[::-1])]
        envs = [self._new(), self._new()]
        together: list[list[Any]] = [[env.reset(seed=0)] for env in envs]
        for actions in zip(configs, configs[::-1], strict=True):
            for env, action, steps in zip(envs, actions, together, strict=True):
                steps.append(env.step(action))
        require(alone == together, "two environments side by side disturb one another; keep an episode in the instance")

    def _new(self) -> Env:
        return self.make(self.experiment(), TRIALS)

    def _configs(self, count: int = TRIALS) -> list[dict[str, Any]]:
        """Measured configurations, none twice."""
        e = self.experiment()
        return [dict(e.pool.config(row)) for row in some_rows(e, count)]


def played(env: Env, actions: Sequence[Any], seed: int = 0) -> list[Any]:
    """Everything that one episode gives."""
    return [copy.deepcopy(step) for step in (env.reset(seed=seed), *map(env.step, actions))]


def said(env: Env, actions: Sequence[Any]) -> list[str]:
    """Everything that one episode says, from the error of a step too early to a step too late; not the rewards."""
    texts = [raised(lambda: env.step("too early"))]
    text, info = env.reset(seed=0)
    texts += [f"{text}\n{info}\n{_rendered(env)}"]
    for action in (*actions, "too late", actions[0]):
        text, _, _, _, info = env.step(action)
        texts += [f"{text}\n{info}\n{_rendered(env)}"]
    return texts


def _rendered(env: Env) -> object:
    return env.render() if env.render_mode is not None else None


def _refused(info: dict[str, Any], reward: Any, kind: str, what: str) -> None:
    outcome = info.get("outcome", {})
    require(outcome.get("kind") == kind, f"{what} must be a {kind} outcome, found {outcome}")
    require("value" not in outcome and not outcome.get("details"), f"{what} must tell no value, found {outcome}")
    require(float(reward) == 0, f"{what} must earn nothing, found {reward}")


def _difference(one: Sequence[Any], other: Sequence[Any]) -> str:
    """The first place where two episodes differ; empty if none does."""
    for i, (a, b) in enumerate(zip(one, other, strict=True)):
        if a != b:
            return f"at step {i} {a!r}, elsewhere {b!r}"
    return ""
