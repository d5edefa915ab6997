"""Checkpoints are trained further: weights as they were saved, adapters trainable, anything else one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from autollmresearch.errors import CheckpointProblem
from autollmresearch.policies.causal_lm import CausalLMPolicy
from autollmresearch.policies.chat import Chat
from autollmresearch.policies.pretrained import load_pretrained
from autollmresearch.training.scratch import ModelSettings, load_model
from autollmresearch.training.sft import SftSettings, fine_tune


@pytest.fixture
def base(tiny_tokenizer: Callable[..., Any], tiny_model: Callable[..., Any], tmp_path: Path) -> Path:
    """A model that exists."""
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(tmp_path / "base")
    tiny_model(tokenizer).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def test_a_whole_model(base: Path) -> None:
    model, tokenizer = load_pretrained(base, trainable=True)
    assert all(p.requires_grad for p in model.parameters())
    assert tokenizer.chat_template


def test_adapters_are_trained_saved_trained_further_and_decide(base: Path, tmp_path: Path) -> None:
    model, tokenizer = load_model(ModelSettings(path=str(base), lora_rank=2))
    chat = Chat(tokenizer)
    rows = [chat.encode([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])] * 4
    settings = SftSettings(epochs=3, batch_size=4, learning_rate=1e-2)
    fine_tune(model, tokenizer, rows, settings, tmp_path / "one", progress=False)
    saved = tmp_path / "one" / "checkpoint"
    assert (saved / "adapter_model.safetensors").is_file()
    assert not (saved / "model.safetensors").exists()
    again, tokenizer = load_pretrained(saved, trainable=True)
    trainable = {n for n, p in again.named_parameters() if p.requires_grad}
    assert trainable
    assert all("lora" in n for n in trainable)
    before = {n: p.detach().clone() for n, p in again.named_parameters()}
    fine_tune(again, tokenizer, rows, settings, tmp_path / "two", progress=False)
    changed = {n for n, p in again.named_parameters() if not before[n].equal(p)}
    assert changed
    assert changed <= trainable
    policy = CausalLMPolicy.load(str(tmp_path / "two" / "checkpoint"))
    assert any("lora" in n for n, _ in policy.model.named_parameters())
    weights = saved / "adapter_model.safetensors"
    torch.save(load_file(weights), saved / "adapter_model.bin")
    weights.unlink()
    for trainable in (True, False):
        with pytest.raises(CheckpointProblem, match=r"without adapter_model\.safetensors, and pickled weights are not"):
            load_pretrained(saved, trainable=trainable)


def test_the_base_of_an_adapter_is_not_read_from_pickles_either(base: Path, tmp_path: Path) -> None:
    model, tokenizer = load_model(ModelSettings(path=str(base), lora_rank=2))
    model.save_pretrained(tmp_path / "adapter")
    tokenizer.save_pretrained(tmp_path / "adapter")
    weights = base / "model.safetensors"
    torch.save(load_file(weights), base / "pytorch_model.bin")
    weights.unlink()
    for trainable in (True, False):
        with pytest.raises(CheckpointProblem, match="safetensors"):
            load_pretrained(tmp_path / "adapter", trainable=trainable)


def test_what_is_no_checkpoint_is_one_line(base: Path, tmp_path: Path) -> None:
    (base / "model.safetensors").write_bytes(b"damaged")
    for path in (tmp_path / "nothing", base):
        with pytest.raises(CheckpointProblem, match="cannot be loaded") as caught:
            load_pretrained(path)
        assert "\n" not in str(caught.value)
