"""Conversations as token ids: they only grow, and the mask covers the agent's own tokens exactly."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from autollmresearch.errors import CheckpointProblem
from autollmresearch.policies.chat import Chat

THOUGHTLESS = (  # drops the thoughts of all answers but the last, as some models' templates do
    "{% for m in messages %}<|{{ 'user' if m.role == 'user' else 'agent' }}|>"
    "{{ m.content.split('</think>')[-1] if m.role != 'user' and not loop.last else m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|agent|>{% endif %}"
)
ANSWERS = ("<think>smaller</think>\n<config>{}</config>", "2")
TALK = [
    {"role": "user", "content": "Task: pretraining."},
    {"role": "assistant", "content": ANSWERS[0]},
    {"role": "user", "content": "loss 2.31. 1 trial left."},
    {"role": "assistant", "content": ANSWERS[1]},
]


def with_template(tokenizer: Any, template: str) -> Any:
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = template
    return changed


def test_pieces_make_what_the_template_makes_of_the_whole(tiny_tokenizer: Any) -> None:
    chat = Chat(tiny_tokenizer)
    whole = tiny_tokenizer.apply_chat_template(TALK, return_dict=True, return_assistant_tokens_mask=True)
    encoded = chat.encode(TALK)
    assert encoded.ids == whole["input_ids"]
    assert encoded.own == [bool(m) for m in whole["assistant_masks"]]


def test_the_mask_covers_answers_and_their_end_token_and_nothing_else(tiny_tokenizer: Any) -> None:
    chat = Chat(tiny_tokenizer)
    encoded = chat.encode(TALK)
    runs, last = [], False
    for id_, own in zip(encoded.ids, encoded.own, strict=True):
        if own and not last:
            runs.append([])
        if own:
            runs[-1].append(id_)
        last = own
    assert [tiny_tokenizer.decode(run) for run in runs] == [a + "<|end|>" for a in ANSWERS]
    assert tiny_tokenizer.pad_token_id == chat.end_id - 1, "neighbours, so that an off-by-one would show"
    assert encoded.ids[0] != chat.end_id
    assert encoded.own[-1]


def test_answers_that_are_not_learned_are_read_but_not_own(tiny_tokenizer: Any) -> None:
    chat = Chat(tiny_tokenizer)
    half = chat.encode(TALK, learned=[False, True])
    assert half.ids == chat.encode(TALK).ids
    own = [i for i, o in zip(half.ids, half.own, strict=True) if o]
    assert tiny_tokenizer.decode(own) == ANSWERS[1] + "<|end|>"


@pytest.mark.parametrize("finished", [True, False])
def test_what_follows_an_answer_ends_it_only_if_it_did_not_end_itself(tiny_tokenizer: Any, finished: bool) -> None:
    chat = Chat(tiny_tokenizer)
    text = tiny_tokenizer.decode(chat.follow("2 trials left.", finished))
    assert text == ("" if finished else "<|end|>") + "<|user|>2 trials left.<|end|><|agent|>"


def test_a_template_that_rewrites_history_does_not_rewrite_a_transcript(tiny_tokenizer: Any) -> None:
    chat = Chat(with_template(tiny_tokenizer, THOUGHTLESS))
    text = tiny_tokenizer.decode(chat.encode(TALK).ids)
    assert all(answer in text for answer in ANSWERS)
    assert text.count("<|end|>\n<|user|>loss 2.31. 1 trial left.<|end|>\n<|agent|>") == 1


def test_words_come_back_as_they_were(tiny_tokenizer: Any) -> None:
    chat = Chat(tiny_tokenizer)
    for text in (*ANSWERS, "", "λ = 1e-3 <|user|>", "  two  spaces ,and\n\nlines"):
        assert chat.text(chat.words(text)) == text
        assert chat.text(chat.words(text)[:-1]) == text, "cut off before its end"


@pytest.mark.parametrize(
    ("template", "said"),
    [(None, "no chat template"), ("{% for m in messages %}{{ m.content }}; {% endfor %}", "no special token")],
)
def test_a_template_that_cannot_hold_a_dialogue_is_refused(tiny_tokenizer: Any, template: Any, said: str) -> None:
    with pytest.raises(CheckpointProblem, match=said):
        Chat(with_template(tiny_tokenizer, template))
