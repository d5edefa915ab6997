"""Agents by name: what a checkpoint is known by, and that it is loaded when it is asked, once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autollmresearch.dialogue import Style
from autollmresearch.errors import CheckpointProblem
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from autollmresearch.policies import agent
from autollmresearch.policies.agent import AgentPolicy, checkpoint_digest
from autollmresearch.policies.causal_lm import AgentSettings, CausalLMPolicy
from autollmresearch.policy import State
from llmconfig_gym.errors import MissingExtra
from llmconfig_gym.experiment import Experiment


@pytest.fixture
def state(line: Callable[..., Experiment], lonely: Callable[[Experiment, int], Problem]) -> State:
    return State(lonely(line([3.0, 2.0, 1.0]), 3))


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def test_it_proposes_as_the_model_behind_it(checkpoint: Path, state: State) -> None:
    (proposal,) = AgentPolicy(str(checkpoint)).propose([state])
    assert proposal == CausalLMPolicy.load(str(checkpoint)).propose([state])[0]
    (warm,) = AgentPolicy(str(checkpoint), {"temperature": 1.5, "max_new_tokens": 5}).propose([state])
    assert warm == CausalLMPolicy.load(str(checkpoint), temperature=1.5, max_new_tokens=5).propose([state])[0]
    assert warm != proposal


def test_a_model_is_loaded_once_and_when_it_is_asked(
    checkpoint: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    load = CausalLMPolicy.load

    def counted(path: str, **options: Any) -> CausalLMPolicy:
        loaded.append((path, options))
        return load(path, **options)

    monkeypatch.setattr(CausalLMPolicy, "load", counted)
    agent._load.cache_clear()
    first, again = (AgentPolicy(str(checkpoint), {"top": 1}) for _ in range(2))
    assert first.identity() == again.identity()
    assert loaded == []
    first.propose([state])
    again.propose([state])
    assert loaded == [(str(checkpoint), {"top": 1})]
    agent._load.cache_clear()


@pytest.mark.parametrize("device", ["nowhere", "cuda:99"])
def test_a_device_that_is_not_there_is_a_typed_error(checkpoint: Path, state: State, device: str) -> None:
    with pytest.raises(CheckpointProblem, match=f"tiny cannot be put on {device}: "):
        AgentPolicy(str(checkpoint), {"device": device}).propose([state])


def test_the_digest_is_that_of_the_files(checkpoint: Path, copy: Path) -> None:
    before = checkpoint_digest(checkpoint)
    assert AgentPolicy(str(copy)).identity() == {"files": before}
    (copy / ".lock").write_text("")
    (copy / "checkpoint-5").mkdir()
    assert checkpoint_digest(copy) == before
    weights = copy / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    after = checkpoint_digest(copy)
    assert after != before
    (copy / "agent.json").rename(copy / "agent2.json")
    assert checkpoint_digest(copy) not in (before, after)


def test_an_adapter_is_known_by_its_base_too(copy: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    settings = adapter / "adapter_config.json"
    settings.write_text(json.dumps({"base_model_name_or_path": str(copy)}))
    before = checkpoint_digest(adapter)
    (copy / "config.json").write_text("{}")
    assert checkpoint_digest(adapter) != before
    settings.write_text(json.dumps({"base_model_name_or_path": "Qwen/Qwen3-4B-Instruct-2507"}))
    assert len(checkpoint_digest(adapter)) == 64
    settings.write_text(json.dumps({"base_model_name_or_path": str(adapter)}))
    assert len(checkpoint_digest(adapter)) == 64
    other = tmp_path / "other"
    other.mkdir()
    (other / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(adapter)}))
    with pytest.raises(CheckpointProblem, match="itself an adapter"):
        checkpoint_digest(other)
    for damaged in ("{", "[]", "{}", '{"base_model_name_or_path": 7}'):
        settings.write_text(damaged)
        with pytest.raises(CheckpointProblem, match="does not say which model it adapts"):
            checkpoint_digest(adapter)


def test_an_empty_directory_is_no_checkpoint(tmp_path: Path, state: State) -> None:
    with pytest.raises(CheckpointProblem, match="holds no files; expected a checkpoint"):
        AgentPolicy(str(tmp_path)).identity()
    with pytest.raises(CheckpointProblem, match=r"holds no config\.json"):
        AgentPolicy(str(tmp_path)).propose([state])


def test_a_model_on_a_hub_is_known_by_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(hub_id: str, name: str, revision: str | None) -> str:
        if hub_id == "me/adapter" and name == "config.json":
            raise FileNotFoundError(f"{name} is not there")
        if hub_id == "me/nothing":
            raise ConnectionError("no\nnetwork")
        return f"/cache/models--x/snapshots/{'0123abc' if revision in (None, 'v1') else revision}/{name}"

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    assert AgentPolicy("me/model").identity() == AgentPolicy("me/adapter").identity() == {"commit": "0123abc"}
    assert AgentPolicy("me/model@v1").identity() == {"commit": "0123abc"}
    assert AgentPolicy("me/model@4567def").identity() == {"commit": "4567def"}
    with pytest.raises(CheckpointProblem, match="me/nothing is no directory, and cannot be found on the hub: no netw"):
        AgentPolicy("me/nothing").identity()


def test_a_model_on_a_hub_is_loaded_at_the_commit_or_tag_that_is_named(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub's cache holds two commits of one model; without a network that is all there is."""
    old, new = "a" * 40, "b" * 40
    repository = tmp_path / "models--me--model"
    for commit, top in ((old, 1), (new, 2)):
        shutil.copytree(checkpoint, repository / "snapshots" / commit)
        AgentSettings(Style(top=top)).save(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    for name, commit in {"main": new, "v1": old}.items():
        (repository / "refs" / name).write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name, commit, top in (("", new, 2), ("@v1", old, 1), (f"@{old}", old, 1), (f"@{new}", new, 2)):
        policy = make_policy(f"agent:me/model{name},device=cpu")
        assert isinstance(policy, AgentPolicy)
        assert policy.identity() == {"commit": commit}
        assert CausalLMPolicy.load(policy.path).settings.style.top == top
    for unknown in ("me/model@v2", "me/other"):
        with pytest.raises(CheckpointProblem, match=f"^{unknown} cannot be loaded: .* cannot be fetched from the hub"):
            CausalLMPolicy.load(unknown)


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_without_its_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setattr(agent, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(MissingExtra, match=rf"{package}.*pip install 'autollmresearch\[agent\]'"):
        AgentPolicy("me/model")
