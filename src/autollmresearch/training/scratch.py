"""From scratch: a tokenizer that keeps digits apart, and a causal language model small enough for a processor.

The tokenizer is a byte-level BPE: any text encodes and decodes exactly. Every digit is a token and so is an exponent
(`e-3`), so that a small model can see sizes; sentences that stand in many prompts are one token each, so that a prompt
is mostly numbers and names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from autollmresearch.dialogue import Style, action, observation, prompt
from autollmresearch.errors import CheckpointProblem
from autollmresearch.policies.pretrained import load_pretrained
from autollmresearch.thoughts import PHRASES
from llmconfig_gym.description import require

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

USER, ASSISTANT, END, PAD = "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>"

TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}<|assistant|>"
    "{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}<|user|>{{ message['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""What stands between two answers is one user token, the observation and one assistant token."""

PIECES = r"(?<=[0-9])e-?[0-9]+(?![0-9A-Za-z_]|[.][0-9])|[0-9]|[A-Za-z_]+ ?|[^0-9A-Za-z_]+"
"""Merges stay within an exponent, a word with the space after it, or the signs between two words."""

SENTENCE = re.compile(r"[^0-9\n]*?(?:[.:;](?: |(?=\n)|$)|\n+)")
"""Candidates for one token: text without digits up to a full stop, a colon, a semicolon or the end of a line."""


@dataclass(frozen=True)
class ModelSettings:
    """The model of the agent.

    Attributes:
        path: a causal language model with a chat template, by directory or hub id; empty: one from scratch.
        family: architecture of a model from scratch.
        layers, width, heads, key_heads, mlp: its sizes; `mlp` is the inner width of a feed-forward layer.
        vocabulary: most tokens of its tokenizer.
        sentences: of these, at most so many are whole sentences.
        context: most tokens of an episode.
        suites: whose low and medium experiments' prompts the tokenizer is trained on, too (words only, no outcomes
            are learned).
        dtype: of the weights.
        lora_rank: rank of LoRA adapters on all linear layers of a model of `path`; 0 trains all weights.
        lora_alpha: their scale.
    """

    path: str = ""
    family: Literal["llama", "qwen3"] = "llama"
    layers: int = 4
    width: int = 128
    heads: int = 4
    key_heads: int = 4
    mlp: int = 384
    vocabulary: int = 1536
    sentences: int = 256
    context: int = 8192
    suites: tuple[str, ...] = ()
    dtype: Literal["float32", "bfloat16"] = "float32"
    lora_rank: int = 0
    lora_alpha: int = 32

    def __post_init__(self) -> None:
        for name in ("layers", "width", "heads", "key_heads", "mlp", "context"):
            require(getattr(self, name) >= 1, f"{name} is at least 1", getattr(self, name))
        require(self.vocabulary >= 512, "vocabulary is at least 512 (256 of them are bytes)", self.vocabulary)
        require(self.family in ("llama", "qwen3"), "family is llama or qwen3", self.family)
        require(self.width % self.heads == 0, "width is a multiple of heads", (self.width, self.heads))
        require(self.heads % self.key_heads == 0, "heads is a multiple of key_heads", (self.heads, self.key_heads))
        require(self.lora_rank == 0 or self.path, "lora_rank needs a model in path", self.lora_rank)


def make_tokenizer(texts: Sequence[str], settings: ModelSettings, real: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """A tokenizer for dialogues like these.

    Args:
        real: further texts that count as much as a fifth of the first, however few they are.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    texts = [*texts, *list(real) * max(1, len(texts) // (4 * max(1, len(real))))]
    special = [USER, ASSISTANT, END, PAD]
    phrases = [*PHRASES, *frequent_sentences(texts, settings.sentences)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocabulary - len(phrases),
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_plain(texts, phrases), trainer)
    tokenizer.add_tokens([AddedToken(p, normalized=False) for p in phrases])
    fast: Any = PreTrainedTokenizerFast  # untyped
    return fast(  # type: ignore[no-any-return]
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        extra_special_tokens=[USER, ASSISTANT],
        chat_template=TEMPLATE,
        model_max_length=settings.context,
        clean_up_tokenization_spaces=False,
    )


def frequent_sentences(texts: Sequence[str], most: int) -> list[str]:
    """The sentences that save the most tokens: in one of two hundred texts at least, and of five words at least."""
    count: Counter[str] = Counter()
    for text in texts:
        count.update({s for s in SENTENCE.findall(text) if s.count(" ") >= 4})
    least = max(2, len(texts) // 200)
    gain = {s: n * s.count(" ") for s, n in count.items() if n >= least}
    return sorted(gain, key=lambda s: (-gain[s], s))[:most]


def _plain(texts: Iterable[str], phrases: Sequence[str]) -> Iterable[str]:
    """The texts without the phrases, whose words need no tokens of their own beyond a few; and every exponent."""
    pattern = re.compile("|".join(re.escape(p) for p in sorted(phrases, key=len, reverse=True)) or r"(?!)")
    for text in texts:
        yield pattern.sub("\n", text)
    yield from phrases
    yield " ".join(f"1e{power}" for power in range(-12, 26)) * 1000


def suite_texts(suites: Sequence[str], style: Style) -> list[str]:
    """What would be read on the low and medium experiments of these suites: prompts, and one observation each."""
    from autollmresearch.evidence.records import Problem
    from autollmresearch.training.unlocked import open_experiment, unlocked

    texts = []
    for suite in suites:
        for id_, _ in unlocked(suite):
            e = open_experiment(id_)
            problem = Problem(e.task, e.fidelity, e.metric, e.pool, (), 5, e.clip)
            texts.append(
                f"{prompt(problem, style)}\n{observation(problem, e.outcome(0), 4)}\n{action(e.pool.config(0))}"
            )
    return texts


def make_model(settings: ModelSettings, tokenizer: PreTrainedTokenizerFast, seed: int) -> PreTrainedModel:
    """A causal language model with random weights."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3Config

    torch.manual_seed(seed)
    config = (LlamaConfig if settings.family == "llama" else Qwen3Config)(
        vocab_size=len(tokenizer),
        hidden_size=settings.width,
        intermediate_size=settings.mlp,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.key_heads,
        head_dim=settings.width // settings.heads,
        max_position_embeddings=settings.context,
        tie_word_embeddings=True,
        initializer_range=0.5 / settings.width**0.5,  # 0.02 at 625, as usual; small models learn sooner with more
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    auto: Any = AutoModelForCausalLM  # untyped
    return auto.from_config(config, dtype=getattr(torch, settings.dtype))  # type: ignore[no-any-return]


def load_model(settings: ModelSettings) -> tuple[Any, PreTrainedTokenizerBase]:
    """The model at `settings.path`, with fresh LoRA adapters if the settings ask for them, and its tokenizer.

    Raises:
        CheckpointProblem: it cannot be loaded.
    """
    import torch

    model, tokenizer = load_pretrained(settings.path, dtype=getattr(torch, settings.dtype))
    if tokenizer.pad_token_id is None:
        raise CheckpointProblem(f"the tokenizer of {settings.path} has no pad token; choose a model that has one")
    if settings.lora_rank:
        from peft import LoraConfig, get_peft_model

        lora = LoraConfig(
            r=settings.lora_rank, lora_alpha=settings.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        model = get_peft_model(model, lora)
    return model, tokenizer
