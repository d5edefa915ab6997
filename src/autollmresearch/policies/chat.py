"""Chat: a conversation as token ids that only ever grow.

A chat template renders a whole conversation at once, and some templates rewrite earlier turns (Qwen's drops old
thoughts). An agent's transcript is append-only, and its own tokens are never made again from text, so what is asked of
the template here is only what stands *between* two of the agent's turns: it is cut out of a rendering with a marker in
the place of the agent's words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autollmresearch.errors import CheckpointProblem

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from autollmresearch.dialogue import Messages

MARK = "ANSWER"
"""Stands in for the agent's words while the template is asked what comes around them."""


@dataclass(frozen=True)
class Encoded:
    """A conversation as one row: token ids, and for each whether the agent's loss is put on it."""

    ids: list[int]
    own: list[bool]


class Chat:
    """A tokenizer with its chat template.

    Raises:
        CheckpointProblem: it has no chat template, or one that does not end a turn with a token of its own.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        name = getattr(tokenizer, "name_or_path", "") or "the tokenizer"
        if not tokenizer.chat_template:
            raise CheckpointProblem(f"{name} has no chat template; choose a model that is made for chat")
        end = self._ids(self._render(MARK, "?").split(MARK, 1)[1])[:1]
        if not end or end[0] not in tokenizer.all_special_ids:
            raise CheckpointProblem(
                f"{name}: its chat template ends an answer with no special token, so nothing says when one is over"
            )
        self.end_id: int = end[0]

    def start(self, prompt: str) -> list[int]:
        """The first thing read, up to where the agent's answer begins."""
        return self._ids(self._template([{"role": "user", "content": prompt}], add_generation_prompt=True))

    def follow(self, observation: str, finished: bool = True) -> list[int]:
        """What stands between two answers: `observation` as the user's turn, up to where the next answer begins.

        Args:
            finished: whether the answer before ended with the end-of-turn token itself; if it was cut off, the token is
                the first of these.
        """
        between = self._ids(self._render(MARK, observation).split(MARK, 1)[1])
        return between[1:] if finished else between

    def words(self, text: str) -> list[int]:
        """An answer written elsewhere as token ids, the end-of-turn token included."""
        return [*self._ids(text), self.end_id]

    def text(self, ids: Sequence[int]) -> str:
        """The words of an answer, without the end-of-turn token."""
        said = list(ids[:-1] if ids and ids[-1] == self.end_id else ids)
        return str(self.tokenizer.decode(said, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def encode(self, messages: Messages, learned: Sequence[bool] | None = None) -> Encoded:
        """A whole conversation that ends with an answer.

        Args:
            learned: for each answer, whether it counts as the agent's own; all do by default.
        """
        ids = self.start(messages[0]["content"])
        own = [False] * len(ids)
        for turn, answer in enumerate(messages[1::2]):
            said = self.words(answer["content"])
            ids += said
            own += [learned is None or bool(learned[turn])] * len(said)
            if 2 * turn + 2 < len(messages):
                between = self.follow(messages[2 * turn + 2]["content"])
                ids += between
                own += [False] * len(between)
        return Encoded(ids, own)

    def _render(self, answer: str, observation: str) -> str:
        roles = ("user", "assistant", "user")
        messages = [{"role": r, "content": c} for r, c in zip(roles, ("?", answer, observation), strict=True)]
        return self._template(messages, add_generation_prompt=True)

    def _template(self, messages: Messages, **options: Any) -> str:
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False, **options))

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
