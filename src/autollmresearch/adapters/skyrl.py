"""The dialogue as an environment of SkyRL-Gym. Importing this module imports skyrl_gym and registers `llm_dialogue`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import skyrl_gym
from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput

from autollmresearch.adapters.dialogue_env import DialogueEnv
from autollmresearch.adapters.rows import episode_rows
from autollmresearch.training.unlocked import check_unlocked

ENV_ID = "llm_dialogue"
OPTIONS = ("protocol", "budget", "evidence")


class DialogueTextEnv(BaseTextEnv):  # type: ignore[misc]  # skyrl_gym has no types
    """One episode.

    Args:
        env_config: not used; SkyRL passes the settings of the environment's class here.
        extras: the row of the data set: `experiment` and `seed`, and `protocol`, `budget` and `evidence` where they are
            not `DialogueEnv`'s own.

    Raises:
        LockedExperiment: it is one of those that are kept for the final measurement.
    """

    def __init__(self, env_config: object = None, extras: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        row = extras or {}
        check_unlocked([row["experiment"]])
        self._env = DialogueEnv(row["experiment"], **{name: row[name] for name in OPTIONS if name in row})
        self._seed = int(row["seed"])
        self._valid = 0

    def init(self, prompt: object) -> tuple[list[dict[str, str]], dict[str, Any]]:
        """The prompt of the episode, as the only message; `prompt`, the row's, is the same text."""
        text, info = self._env.reset(seed=self._seed)
        self.turns = self._valid = 0
        self.max_turns = info["trials_left"]
        return _message(text), {}

    def step(self, action: str) -> BaseTextEnvStepOutput:
        """One answer of the agent. After the last trial nothing is left to read."""
        text, reward, over, _, info = self._env.step(action)
        self.turns += 1
        self._valid += info["outcome"]["kind"] in ("measured", "snapped")
        metadata = {"outcome": info["outcome"]}
        read = [] if over else _message(text)
        return BaseTextEnvStepOutput(observations=read, reward=float(reward), done=over, metadata=metadata)

    def get_metrics(self) -> dict[str, float]:
        """Which share of the trials gave a value."""
        return {"valid": self._valid / max(self.turns, 1)}


def dataset_rows(suite: str = "micro", seeds: int = 8, **options: Any) -> list[dict[str, Any]]:
    """Rows of a SkyRL data set, one per target that may be trained on and seed, with the prompt in each.

    Args:
        options: `protocol`, `budget` and `evidence` of every episode.

    Raises:
        UnknownName, SourceUnavailable, SuiteFormatError: the suite cannot be loaded.
    """
    rows = []
    for row in episode_rows(suite, seeds):
        text, _ = DialogueEnv(row["experiment"], **options).reset(seed=row["seed"])
        rows.append({"data_source": suite, "prompt": _message(text), "env_class": ENV_ID, **row, **options})
    return rows


def _message(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


skyrl_gym.register(id=ENV_ID, entry_point="autollmresearch.adapters.skyrl:DialogueTextEnv")
