"""The dialogue about one expensive LLM experiment as an OpenEnv environment."""

from llm_dialogue.client import DialogueClient
from llm_dialogue.models import Answer, Reading

__all__ = ["Answer", "DialogueClient", "Reading"]
