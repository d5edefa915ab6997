"""EnvTestCase: `ConfigEnv` passes on every kind of experiment, and every planted defect is caught by its check."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import pytest

from llmconfig_gym.action import read_action
from llmconfig_gym.catalog import SOURCES, load_experiment, load_suite
from llmconfig_gym.env import ConfigActions, ConfigEnv
from llmconfig_gym.errors import BrokenPromise
from llmconfig_gym.experiment import Experiment, Outcome
from llmconfig_gym.suite import Suite
from llmconfig_gym.testing import EnvTestCase
from llmconfig_gym.testing.envs import Env


class TestSynthetic(EnvTestCase):
    """`ConfigEnv` on the four tasks, with holes, diverged runs and parameters of every kind."""

    @pytest.fixture(autouse=True)
    def _experiment(self, experiment: Experiment) -> None:
        self.played = experiment

    def experiment(self) -> Experiment:
        return self.played

    def make(self, experiment: Experiment, budget: int) -> Env:
        return ConfigEnv(experiment, budget, render_mode="ansi")


class TestShipped(TestSynthetic):
    """An experiment of every suite and task, as `gymnasium.make` gives it."""

    @pytest.fixture(autouse=True, params=["micro", *SOURCES])
    def _experiment(self, request: pytest.FixtureRequest) -> None:
        suite: Suite = (
            load_suite("micro") if request.param == "micro" else request.getfixturevalue("suite")(request.param)
        )
        self.played = suite.split("low")[0]

    def make(self, experiment: Experiment, budget: int) -> Env:
        return gymnasium.make("llmconfig_gym.env:LLMConfig-v0", experiment=experiment, budget=budget)


# Planted defects. Each breaks one thing of a sound environment.


class Unprintable(ConfigEnv):
    def step(self, action: Any) -> Any:
        text, *rest = super().step(action)
        return f"{text}\u2713", *rest


class UnprintableFirst(ConfigEnv):
    def reset(self, **options: Any) -> Any:
        text, info = super().reset(**options)
        return f"{text}\u2713", info


class NotJson(ConfigEnv):
    def step(self, action: Any) -> Any:
        *rest, info = super().step(action)
        return *rest, info | {"history": {1, 2}}


class Truncated(ConfigEnv):
    def step(self, action: Any) -> Any:
        text, reward, terminated, _, info = super().step(action)
        return text, reward, terminated, terminated, info


class NoReward(ConfigEnv):
    def step(self, action: Any) -> Any:
        text, _, *rest = super().step(action)
        return text, float("nan"), *rest


class Flattering(ConfigEnv):
    def _tell(self, action: Any) -> Outcome:
        outcome = super()._tell(action)
        if outcome.value is None:
            return outcome
        return Outcome(outcome.kind, outcome.config, outcome.value + 0.5, outcome.details, outcome.message)


class Seedless(ConfigEnv):
    def reset(self, **options: Any) -> Any:
        text, info = super().reset(**options)
        return text, info | {"episode": random.random()}


class SeedlessActions(ConfigActions):
    def sample(self, mask: Any = None, probability: Any = None) -> dict[str, Any]:
        self.seed(random.randrange(1000))
        return super().sample()


class DrawsAnything(ConfigEnv):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.action_space = SeedlessActions(self.experiment.space)


class DeafActions(ConfigActions):
    """Draws the same after every seed."""

    def seed(self, seed: Any = None) -> Any:
        return super().seed(0)


class DrawsTheSame(ConfigEnv):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.action_space = DeafActions(self.experiment.space)


class NeverOver(ConfigEnv):
    """Says rightly that no trial is left, and that the episode goes on."""

    def step(self, action: Any) -> Any:
        text, reward, _, truncated, info = super().step(action)
        return text, reward, False, truncated, info


class OneMore(ConfigEnv):
    def __init__(self, experiment: Experiment, budget: int) -> None:
        super().__init__(experiment, budget + 1)


class Endless(ConfigEnv):
    """Answers after the last trial, though it says that none is left."""

    def _tell(self, action: Any) -> Outcome:
        outcome = super()._tell(action)
        return self.experiment.tell(action) if outcome.kind == "over_budget" else outcome

    def step(self, action: Any) -> Any:
        text, reward, _, truncated, info = super().step(action)
        info["trials_left"] = max(info["trials_left"], 0)
        return text, reward, not info["trials_left"], truncated, info


class Remembers(ConfigEnv):
    def reset(self, **options: Any) -> Any:
        before = self._history
        given = super().reset(**options)
        self._history = before or []
        return given


class Forgetful(ConfigEnv):
    def _tell(self, action: Any) -> Outcome:
        outcome = super()._tell(action)
        return self.experiment.tell(outcome.config) if outcome.kind == "duplicate" else outcome


class FreeRepeats(ConfigEnv):
    def step(self, action: Any) -> Any:
        *rest, info = super().step(action)
        if info["outcome"]["kind"] == "duplicate":
            self._history = (self._history or [])[:-1]
            info["trials_left"] += 1
        return *rest, info


class Strict(ConfigEnv):
    def _tell(self, action: Any) -> Outcome:
        outcome = super()._tell(action)
        if outcome.kind == "invalid":
            raise ValueError(outcome.message)
        return outcome


class Consoling(ConfigEnv):
    def reward(self, outcome: Outcome) -> float:
        return super().reward(outcome) if outcome.kind != "invalid" else 0.01


class TellsTheBest(ConfigEnv):
    def step(self, action: Any) -> Any:
        *rest, info = super().step(action)
        return *rest, info | {"regret": self.experiment.best}


class TellsWhere(ConfigEnv):
    """Names the best configuration, in the description alone."""

    def reset(self, **options: Any) -> Any:
        text, info = super().reset(**options)
        return f"{text}\nHint: {self.experiment.pool.config(int(self.experiment.losses.argmin()))}", info


class TellsAll(ConfigEnv):
    def reset(self, **options: Any) -> Any:
        text, info = super().reset(**options)
        return text, info | {"table": self.experiment.values.tolist()}


class TellsInErrors(ConfigEnv):
    def _tell(self, action: Any) -> Outcome:
        outcome = super()._tell(action)
        if outcome.kind not in ("invalid", "over_budget"):
            return outcome
        return Outcome(outcome.kind, message=f"{outcome.message} The loss would be {self.experiment.values[0]}.")


class TellsTooEarly(ConfigEnv):
    def step(self, action: Any) -> Any:
        if self._history is None:
            raise RuntimeError(f"reset first; the best of {self.experiment.best} awaits")
        return super().step(action)


class TellsAnothers(ConfigEnv):
    """Tells the best of the experiment that has this id, whichever it was given."""

    def reset(self, **options: Any) -> Any:
        text, info = super().reset(**options)
        e = load_experiment(self.experiment.id)
        return f"{text}\nHint: {e.metric.sign * e.best:.5g}", info


class Greedy(ConfigEnv):
    def step(self, action: Any) -> Any:
        given = super().step(dict(action) if isinstance(action, dict) else action)
        if isinstance(action, dict):
            action.clear()
        return given


class Shares(ConfigEnv):
    """Its infos are its memory."""

    seen: list[Any]

    def _tell(self, action: Any) -> Outcome:
        outcome = super()._tell(action)
        if outcome.kind == "duplicate" and not any(c == outcome.config for c in self.seen):
            return self.experiment.tell(action)
        return outcome

    def reset(self, **options: Any) -> Any:
        self.seen = []
        return super().reset(**options)

    def step(self, action: Any) -> Any:
        *rest, info = super().step(action)
        self.seen.append(info["outcome"].get("config"))
        return *rest, info


class Common(ConfigEnv):
    told: ClassVar[list[Any]] = []

    def reset(self, **options: Any) -> Any:
        self.told.clear()
        return super().reset(**options)

    def step(self, action: Any) -> Any:
        *rest, info = super().step(action)
        self.told.append(read_action(action, self.experiment.space))
        return *rest, info | {"trial": len(self.told)}


class NoSpace(ConfigEnv):
    """Gymnasium's checker wants an observation of the space at reset."""

    def reset(self, **options: Any) -> Any:
        return {"text": super().reset(**options)[0]}, {}


DEFECTS: list[tuple[str, Callable[..., Env], str]] = [
    ("test_gymnasiums_checker_is_content", NoSpace, "gymnasium's checker says"),
    ("test_a_whole_episode", Unprintable, "^step gave .* not in the observation space"),
    ("test_a_whole_episode", UnprintableFirst, "(?s)^reset gave .* not in the observation space"),
    ("test_a_whole_episode", NotJson, "info is not plain JSON"),
    ("test_a_whole_episode", Truncated, "never truncated"),
    ("test_a_whole_episode", NoReward, "step gave the reward nan"),
    ("test_a_whole_episode", Flattering, " gave .*, expected {"),
    ("test_the_budget_is_kept", OneMore, "before trial 1 of 1 info says 2"),
    ("test_the_budget_is_kept", Endless, "trial 2 of 1 must be a over_budget outcome"),
    ("test_the_budget_is_kept", NeverOver, "after trial 1 of 1, terminated is False"),
    ("test_reset_begins_anew", Remembers, "the second episode of an environment differs"),
    ("test_the_seed_is_honoured", Seedless, "two episodes of one seed differ"),
    ("test_the_seed_is_honoured", DrawsAnything, "other actions after the same seed"),
    ("test_the_seed_is_honoured", DrawsTheSame, "the same actions after another seed"),
    ("test_a_repeated_configuration_is_a_duplicate", Forgetful, "told before, must be a duplicate outcome"),
    ("test_a_repeated_configuration_is_a_duplicate", FreeRepeats, "a repeated configuration must cost a trial"),
    ("test_what_is_no_configuration_is_invalid", Strict, "raised ValueError"),
    ("test_what_is_no_configuration_is_invalid", Consoling, "must earn nothing"),
    ("test_nothing_unpaid_is_told", TellsTheBest, "depends on outcomes that were not paid for"),
    ("test_nothing_unpaid_is_told", TellsWhere, "depends on outcomes that were not paid for"),
    ("test_nothing_unpaid_is_told", TellsAll, "depends on outcomes that were not paid for"),
    ("test_nothing_unpaid_is_told", TellsInErrors, "depends on outcomes that were not paid for"),
    ("test_nothing_unpaid_is_told", TellsTooEarly, "depends on outcomes that were not paid for"),
    ("test_nothing_unpaid_is_told", TellsAnothers, "the best value, not paid for, is told as"),
    ("test_actions_and_infos_belong_to_the_caller", Greedy, "step changed its action"),
    ("test_actions_and_infos_belong_to_the_caller", Shares, "told before in an info that was emptied"),
    ("test_environments_share_nothing", Common, "two environments side by side disturb one another"),
]
"""The check that has to find it, an environment that has it, and what that check says of it."""


def _case(make: Callable[..., Env]) -> EnvTestCase:
    case = EnvTestCase()
    case.make = make  # type: ignore[method-assign]
    return case


def test_a_sound_environment_passes(caught: Callable[[object], dict[str, str]]) -> None:
    assert caught(_case(ConfigEnv)) == {}


@pytest.mark.parametrize(("check", "make", "says"), DEFECTS)
def test_a_planted_defect_is_caught(check: str, make: Callable[..., Env], says: str) -> None:
    with pytest.raises(BrokenPromise, match=says):
        getattr(_case(make), check)()


def test_every_check_has_a_planted_defect(checks: Callable[[object], list[str]]) -> None:
    assert {check for check, *_ in DEFECTS} == set(checks(EnvTestCase()))


def test_a_case_without_a_subject_says_what_to_write() -> None:
    with pytest.raises(NotImplementedError, match=r"make\(self, experiment, budget\)"):
        EnvTestCase().test_a_whole_episode()
