"""The environment that the server makes one of for each session."""

from typing import Any
from uuid import uuid4

from llm_dialogue.models import Answer, Reading

from autollmresearch.adapters.dialogue_env import DialogueEnv
from autollmresearch.training.unlocked import check_unlocked
from llmconfig_gym.catalog import EMBEDDED, SOURCES
from llmconfig_gym.errors import EpisodeOver, unknown_name
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import EnvironmentMetadata, State

DEFAULT = "micro/N25k-D1M"
"""What is played when a client names no experiment."""


class DialogueEnvironment(Environment[Answer, Reading, State]):
    """One episode at a time, on the experiment that `reset` names."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        super().__init__()
        self._env: DialogueEnv | None = None
        self._state = State(episode_id=str(uuid4()), step_count=0)

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, experiment: str = DEFAULT, **options: Any
    ) -> Reading:
        """Start an episode: the first reading is the prompt.

        Args:
            experiment: the target's id. Suites are known by name here: a client names no paths of the server.
            options: `protocol`, `budget` and `evidence` (see `DialogueEnv`).

        Raises:
            LockedExperiment: it is one of those that are kept for the final measurement.
            UnknownName: there is no such suite or experiment.
        """
        suite = experiment.rpartition("/")[0]
        if suite not in (*EMBEDDED, *SOURCES):
            raise unknown_name("suite", suite, (*EMBEDDED, *SOURCES))
        check_unlocked([experiment])
        self._env = DialogueEnv(experiment, **options)
        self._state = State(episode_id=episode_id or str(uuid4()), step_count=0)
        text, info = self._env.reset(seed=seed)
        return Reading(text=text, trials_left=info["trials_left"])

    def step(self, action: Answer, timeout_s: float | None = None, **_: Any) -> Reading:
        """One answer of the agent.

        Raises:
            EpisodeOver: before the first `reset`.
        """
        if self._env is None:
            raise EpisodeOver("step was called before reset; call reset first")
        text, reward, over, _truncated, info = self._env.step(action.text)
        self._state.step_count += 1
        left, outcome = info["trials_left"], info["outcome"]
        return Reading(text=text, trials_left=left, outcome=outcome, reward=float(reward), done=over)

    @property
    def state(self) -> State:
        """The episode's id, and how many answers were given."""
        return self._state

    def get_metadata(self) -> EnvironmentMetadata:
        """What the server says of itself."""
        about = "Choose the configuration of an expensive LLM experiment from what cheaper ones showed."
        return EnvironmentMetadata(name="llm_dialogue", description=about, version="0.1.0")
