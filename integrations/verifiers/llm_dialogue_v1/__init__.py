"""The dialogue about one expensive LLM experiment as a verifiers v1 taskset."""

from llm_dialogue_v1.env import DialogueRun
from llm_dialogue_v1.taskset import DialogueTaskset

__all__ = ["DialogueRun", "DialogueTaskset"]
