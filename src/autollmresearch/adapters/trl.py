"""The dialogue for TRL's `environment_factory`: the model answers by calling a tool.

TRL makes one object per rollout, calls `reset` with a row of the data set and appends what it returns to the row's
prompt, offers every public method as a tool, and asks `get_reward` at the end. Our own pipeline needs no tools and no
chat template that knows them (`training/rollouts.py`); this is for trainers that are built around tool calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autollmresearch.adapters.dialogue_env import DialogueEnv
from autollmresearch.adapters.rows import episode_rows
from autollmresearch.training.unlocked import check_unlocked
from llmconfig_gym.errors import EpisodeOver

if TYPE_CHECKING:
    from datasets import Dataset

ASK = "Give each of your answers by calling the tool `answer`, until no trial is left.\n\n"
"""What stands before the prompt of an episode: the dialogue itself knows of no tools."""


def dataset(suite: str = "micro", seeds: int = 8) -> Dataset:
    """A `train_dataset`: a row per target that may be trained on and seed. Raises as `episode_rows` does."""
    from datasets import Dataset

    prompt = [{"role": "user", "content": ASK}]
    return Dataset.from_list([{"prompt": prompt, **row} for row in episode_rows(suite, seeds)])


class DialogueTools:
    """One episode at a time; pass the class, or a `functools.partial` of it, as `environment_factory`.

    Args:
        protocol, budget, evidence: see `DialogueEnv`.
    """

    def __init__(self, protocol: str = "metered:10", budget: int = 3, evidence: bool = False) -> None:
        self._options: dict[str, Any] = {"protocol": protocol, "budget": budget, "evidence": evidence}
        self._env: DialogueEnv | None = None
        self._reward = 0.0

    def reset(self, experiment: str, seed: int, **_: Any) -> str:
        """The prompt of the episode that a row names.

        Raises:
            LockedExperiment: it is one of those that are kept for the final measurement.
        """
        check_unlocked([experiment])
        self._env = DialogueEnv(experiment, **self._options)
        self._reward = 0.0
        return self._env.reset(seed=seed)[0]

    def answer(self, text: str) -> str:
        """Say what you think and commit to one configuration, which is then run. Costs one trial.

        Args:
            text: Your thoughts and the configuration, in the form that the instructions give.

        Returns:
            What came of it, and how many trials are left.
        """
        if self._env is None:
            raise EpisodeOver("answer was called before reset; call reset first")
        read, reward, *_ = self._env.step(text)
        self._reward += float(reward)
        return read

    def get_reward(self) -> float:
        """The reward of the trials so far; the whole episode's once its budget is spent."""
        return self._reward
