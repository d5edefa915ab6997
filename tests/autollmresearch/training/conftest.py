"""A tokenizer of a few words, a model of a few thousand weights, and a policy that only pretends to be one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from autollmresearch.dialogue import action, conversation
from autollmresearch.policy import Proposal, State, Tokens
from llmconfig_gym.experiment import Experiment

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


@dataclass
class Learner:
    """Writes a configuration: the best with some luck, else one of the worse half; the best when it is shown.

    Attributes:
        luck: chance of the best without a hint.
        obeys: chance of the best with one.
        says: what it thinks when it is shown something.
        asked: the prompts and hints of every turn it was asked for.
    """

    best: dict[int, int]
    luck: float = 0.0
    obeys: float = 1.0
    says: str = "so it goes"
    asked: list[State] = field(default_factory=list)

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        self.asked += states
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        pool, rng = state.problem.pool, state.rng()
        best = self.best[id(pool)]
        chance = self.obeys if state.hint else self.luck
        others = [row for row in range(len(pool)) if row != best]
        row = best if rng.random() < chance else int(rng.choice(others))
        thought = self.says if state.hint else "let me see"
        text = action(pool.config(row), thought)
        return Proposal(text, thought, prompt=conversation(state)[-1]["content"], tokens=Tokens((1,), (2,), (0.0,)))


@pytest.fixture(scope="session")
def learner_of() -> Callable[..., Learner]:
    """A policy for these targets: `learner_of(targets, luck=0.5, obeys=1.0, says="...")`."""

    def make(targets: Sequence[Experiment], **options: Any) -> Learner:
        return Learner({id(e.pool): int(np.argmin(e.losses)) for e in targets}, **options)

    return make
