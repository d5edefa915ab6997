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


class OneMore(ConfigEnv):
    def __init__(self, experiment: Experiment, budget: int) -> None:
        super().__init__(experiment, budget + 1)


class Endless(ConfigEnv):
    """Answers after the last trial, though it says that none is left."""

    def _tell(self, action: Any) -> Outcome:
        outcome = super()._tell(action)
        return self.experiment.tell(action) if outcome.kind == "over_budget" else outcome


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


DEFECTS: list[tuple[str, Callable[..., Env]]] = [
    ("test_gymnasiums_checker_is_content", NoSpace),
    ("test_a_whole_episode", Unprintable),
    ("test_a_whole_episode", NotJson),
    ("test_a_whole_episode", Truncated),
    ("test_a_whole_episode", NoReward),
    ("test_a_whole_episode", Flattering),
    ("test_the_budget_is_kept", OneMore),
    ("test_the_budget_is_kept", Endless),
    ("test_reset_begins_anew", Remembers),
    ("test_the_seed_is_honoured", Seedless),
    ("test_the_seed_is_honoured", DrawsAnything),
    ("test_a_repeated_configuration_is_a_duplicate", Forgetful),
    ("test_a_repeated_configuration_is_a_duplicate", FreeRepeats),
    ("test_what_is_no_configuration_is_invalid", Strict),
    ("test_what_is_no_configuration_is_invalid", Consoling),
    ("test_nothing_unpaid_is_told", TellsTheBest),
    ("test_nothing_unpaid_is_told", TellsWhere),
    ("test_nothing_unpaid_is_told", TellsAll),
    ("test_nothing_unpaid_is_told", TellsInErrors),
    ("test_nothing_unpaid_is_told", TellsTooEarly),
    ("test_nothing_unpaid_is_told", TellsAnothers),
    ("test_actions_and_infos_belong_to_the_caller", Greedy),
    ("test_actions_and_infos_belong_to_the_caller", Shares),
    ("test_environments_share_nothing", Common),
]
"""The check that has to find it, and an environment that has it."""


def _case(make: Callable[..., Env]) -> EnvTestCase:
    case = EnvTestCase()
    case.make = make  # type: ignore[method-assign]
    return case


def test_a_sound_environment_passes(caught: Callable[[object], dict[str, str]]) -> None:
    assert caught(_case(ConfigEnv)) == {}


@pytest.mark.parametrize(("check", "make"), DEFECTS)
def test_a_planted_defect_is_caught(check: str, make: Callable[..., Env]) -> None:
    with pytest.raises(BrokenPromise) as problem:
        getattr(_case(make), check)()
    assert str(problem.value)


def test_every_check_has_a_planted_defect(checks: Callable[[object], list[str]]) -> None:
    assert {check for check, _ in DEFECTS} == set(checks(EnvTestCase()))


def test_a_case_without_a_subject_says_what_to_write() -> None:
    with pytest.raises(NotImplementedError, match=r"make\(self, experiment, budget\)"):
        EnvTestCase().test_a_whole_episode()
