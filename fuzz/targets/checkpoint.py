"""A whole checkpoint: config.json, safetensors, tokenizer, each damaged in turn, loaded as `agent:PATH` does."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

from autollmresearch.errors import CheckpointProblem
from autollmresearch.policies.causal_lm import CausalLMPolicy
from fuzz.scratch import scratch

RUNS, LONGEST = 15_000, 40_000
FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "agent.json",
    "generation_config.json",
)
WORDS = (
    *(
        b'"model_type":',
        b'"architectures":',
        b'"auto_map":',
        b'"trust_remote_code": true',
        b'"dtype":',
        b'"hidden_size":',
    ),
    *(
        b'"F32"',
        b'"data_offsets":',
        b'"shape":',
        b"null",
        b"-1",
        b"1e999",
        b"[]",
        b"{}",
        b'"chat_template":',
        b"{{ 1/0 }}",
    ),
)


@cache
def _made() -> Path:
    """A model of a few thousand random weights."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from autollmresearch.policies.causal_lm import AgentSettings

    path = scratch() / "whole"
    words = {w: i for i, w in enumerate(["<pad>", "<end>", "<user>", "<agent>", *"abcdefgh"])}
    inner = Tokenizer(models.WordLevel(words, unk_token="a"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="<end>")
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'assistant' %}<agent>{% generation %}{{ m.content }}<end>"
        "{% endgeneration %}{% else %}<user>{{ m.content }}<end>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<agent>{% endif %}"
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        max_position_embeddings=64,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    AgentSettings().save(path)
    return path


def seeds() -> list[bytes]:
    """The name of a file, a line break, and its content."""
    return [f"{name}\n".encode() + (_made() / name).read_bytes() for name in FILES if (_made() / name).is_file()]


def read(data: bytes) -> object:
    name, _, content = data.partition(b"\n")
    if name.decode("ascii", "replace") not in FILES:
        return None
    broken = scratch() / "broken"
    shutil.rmtree(broken, ignore_errors=True)
    shutil.copytree(_made(), broken)
    (broken / name.decode()).write_bytes(content)
    if name == b"config.json" and _huge(content):  # a model that would not fit this machine is not this test's question
        return None
    try:
        return CausalLMPolicy.load(str(broken))
    except CheckpointProblem:
        return None


def _huge(content: bytes) -> bool:
    try:
        sizes = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(sizes, dict) and any(isinstance(v, int) and abs(v) > 4096 for v in sizes.values())
