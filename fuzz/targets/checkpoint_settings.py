"""The JSON beside a checkpoint's weights that is ours to read: how the agent is asked, what an adapter adapts."""

from __future__ import annotations

import json

from autollmresearch.policies.agent import checkpoint_digest
from autollmresearch.policies.causal_lm import AgentSettings
from fuzz.scratch import put

RUNS, LONGEST = 150_000, 500
WORDS = (
    b'"style":',
    b'"top":',
    b'"base_model_name_or_path":',
    b"null",
    b"NaN",
    b"[]",
    b"{}",
    b"true",
    b"-1",
    b"1e999",
    b"../",
)


def seeds() -> list[bytes]:
    from dataclasses import asdict

    return [json.dumps(asdict(AgentSettings())).encode(), json.dumps({"base_model_name_or_path": "nowhere"}).encode()]


def read(data: bytes) -> object:
    if b"base_model" in data:
        return checkpoint_digest(put("adapter/adapter_config.json", data).parent)
    return AgentSettings.load(put("agent/agent.json", data).parent)
