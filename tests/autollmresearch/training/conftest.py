"""A tokenizer of a few words and a model of a few thousand weights."""

from collections.abc import Callable
from typing import Any

import pytest

TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m.role + '|>' }}"
    "{% if m.role == 'assistant' %}{% generation %}{{ m.content + '<|end|>' }}{% endgeneration %}"
    "{% else %}{{ m.content + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
SPECIAL = ("<|user|>", "<|assistant|>", "<|end|>", "<|pad|>")


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Callable[..., Any]:
    """A tokenizer of characters with a chat template: `tiny_tokenizer(pad="<|pad|>")`.

    The pad token's id is the neighbour of the end token's; the words `pad` may name any token of it.
    """

    def make(pad: str = "<|pad|>") -> Any:
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast

        letters = [chr(c) for c in range(32, 127)] + ["\n"]
        vocabulary = {t: i for i, t in enumerate([*SPECIAL, *letters])}
        raw = Tokenizer(models.WordLevel(vocabulary, unk_token=" "))
        raw.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        raw.decoder = decoders.Fuse()
        raw.add_special_tokens(list(SPECIAL))
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|end|>", pad_token=pad, unk_token=" ")
        tokenizer.chat_template = TEMPLATE
        return tokenizer

    return make


@pytest.fixture(scope="session")
def tiny_model() -> Callable[..., Any]:
    """A model of one layer for that tokenizer: `tiny_model(tokenizer, seed=0)`."""

    def make(tokenizer: Any, seed: int = 0) -> Any:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=1024,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
        return LlamaForCausalLM(config)

    return make
