"""ConfigEnv: the Gymnasium face of one experiment under a trial budget.

An action is a configuration, as a mapping or as text that holds one (action.py). An observation is text. The reward of
step t is `(1 - regret_t) / budget`, so that an episode's rewards sum to
`1 - sum_t (y_t - y_best) / (T (y_worst - y_best))`, the cumulative-regret reward; a duplicate, invalid or missing
trial counts as `y_worst` and earns nothing. The reward is for the trainer: it depends on the optimum, so it must
not be shown to an agent. Observations and `info` hold only what was paid for.

Importing this module registers the environment, so
`gymnasium.make("llmconfig_gym.env:LLMConfig-v0", experiment="micro/...", budget=5)` makes one.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any, SupportsFloat, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces

from llmconfig_gym.action import MAX_TEXT, read_action
from llmconfig_gym.catalog import load_experiment
from llmconfig_gym.errors import EpisodeOver
from llmconfig_gym.experiment import Experiment, Outcome
from llmconfig_gym.parameter import Simplex
from llmconfig_gym.space import Space
from llmconfig_gym.tasks import describe, describe_outcome

Action: TypeAlias = str | Mapping[str, Any]


class ConfigActions(spaces.Space[Any]):
    """Configurations of a space: any mapping or text is an action; `sample` draws a legal configuration."""

    def __init__(self, space: Space, seed: int | None = None) -> None:
        self.config_space = space
        super().__init__(shape=None, dtype=None, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        return False

    def sample(self, mask: Any = None, probability: Any = None) -> dict[str, Any]:
        """A configuration drawn uniformly in the encoding (mixtures: uniformly on the simplex)."""
        blocks = []
        for p in self.config_space.parameters:
            draw = self.np_random.exponential if isinstance(p, Simplex) else self.np_random.random
            blocks.append(draw(size=p.width))
        return self.config_space.decode(np.concatenate(blocks))

    def contains(self, x: Any) -> bool:
        """Whether `x` can be told at all; whether it is legal, `step` says."""
        return isinstance(x, str | Mapping)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConfigActions) and self.config_space == other.config_space

    def __repr__(self) -> str:
        return f"ConfigActions({', '.join(self.config_space.names)})"


class ConfigEnv(gymnasium.Env[str, Any]):
    """One episode is `budget` trials on one experiment.

    Args:
        experiment: what is told, or its id in the catalog.
        budget: trials per episode, at least 1.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012  # gymnasium declares it so

    def __init__(self, experiment: Experiment | str, budget: int = 5, render_mode: str | None = None) -> None:
        if budget < 1:
            raise ValueError(f"budget must be at least 1 trial, found {budget}")
        self.experiment = load_experiment(experiment) if isinstance(experiment, str) else experiment
        self.budget = budget
        self.render_mode = render_mode
        self.action_space = ConfigActions(self.experiment.space)
        words = describe(self.experiment, budget) + "".join(self.experiment.details)  # a user's own may not be ASCII
        self.observation_space = spaces.Text(MAX_TEXT, min_length=0, charset=frozenset(string.printable + words))
        self._history: list[Outcome] | None = None
        self._text = ""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode; the observation describes the experiment and the budget."""
        super().reset(seed=seed)
        self._history = []
        self._text = describe(self.experiment, self.budget)
        return self._text, {"trial": 0, "trials_left": self.budget}

    def step(self, action: Action) -> tuple[str, SupportsFloat, bool, bool, dict[str, Any]]:
        """One trial: observation, reward, whether the budget is now spent, False, and the outcome as plain data.

        Raises:
            EpisodeOver: before the first `reset`. After the last trial it does not raise: the outcome is
                `over_budget` and earns nothing.
        """
        if self._history is None:
            raise EpisodeOver("step was called before reset; call reset first")
        outcome = self._tell(action)
        if outcome.kind != "over_budget":
            self._history.append(outcome)
        left = self.budget - len(self._history)
        self._text = describe_outcome(self.experiment.metric, outcome, left)
        info = {"trial": len(self._history), "trials_left": left, "outcome": outcome.to_dict()}
        return self._text, self.reward(outcome), left == 0, False, info

    @property
    def history(self) -> tuple[Outcome, ...]:
        """The outcomes of this episode's trials so far."""
        return tuple(self._history or ())

    def reward(self, outcome: Outcome) -> float:
        """`(1 - regret) / budget` of one trial; 0 if it gave no value."""
        if outcome.value is None:
            return 0.0
        loss = self.experiment.metric.sign * outcome.value
        return (1.0 - float(self.experiment.regret(loss))) / self.budget

    def render(self) -> str | None:
        """The last observation (`render_mode="ansi"`)."""
        return self._text if self.render_mode == "ansi" else None

    def _tell(self, action: Action) -> Outcome:
        assert self._history is not None
        if len(self._history) >= self.budget:
            trials = f"{self.budget} trial{'s' if self.budget != 1 else ''}"
            return Outcome("over_budget", message=f"over budget: the budget of {trials} is spent.")
        config = read_action(action, self.experiment.space)
        if isinstance(config, Outcome):
            return config
        outcome = self.experiment.tell(config)
        told = outcome.config
        if told is not None and any(told == earlier.config for earlier in self._history):
            message = "duplicate: this configuration was told before; the trial is spent and nothing was run."
            return Outcome("duplicate", told, message=message)
        return outcome


gymnasium.register("LLMConfig-v0", entry_point="llmconfig_gym.env:ConfigEnv")
