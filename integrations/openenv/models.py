"""What goes over the wire: the agent's answer, and what it reads next."""

from typing import Any

from pydantic import Field

from openenv.core.env_server.types import Action, Observation


class Answer(Action):
    """What the agent says: its thoughts and one configuration."""

    text: str = Field(description="<think>...</think> and <config>{...}</config>, as the prompt asks for it")


class Reading(Observation):
    """What the agent reads next; the reward is for the trainer, never for the agent."""

    text: str = Field(default="", description="the prompt of the episode, or what came of the last trial")
    trials_left: int = Field(default=0, description="how many trials are left")
    outcome: dict[str, Any] = Field(default_factory=dict, description="the last trial's outcome as plain data")
