"""The client: one session with a server is one environment, kept over a WebSocket."""

from typing import Any

from llm_dialogue.models import Answer, Reading

from openenv.core import EnvClient
from openenv.core.client_types import StepResult
from openenv.core.env_server.types import State


class DialogueClient(EnvClient[Answer, Reading, State]):
    """`DialogueClient(base_url="http://localhost:8000").sync()` for code without async."""

    def _step_payload(self, action: Answer) -> dict[str, Any]:
        return {"text": action.text}

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[Reading]:
        reward, done = payload.get("reward"), bool(payload.get("done", False))
        reading = Reading(**{**payload["observation"], "reward": reward, "done": done})
        return StepResult(observation=reading, reward=reward, done=done)

    def _parse_state(self, payload: dict[str, Any]) -> State:
        return State(**payload)
