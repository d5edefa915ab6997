"""Questions: what counts as the answer, and the score against one computed by hand."""

from __future__ import annotations

import pytest
import torch

from llmconfig_gym.collect.lab import corpus
from llmconfig_gym.collect.lab.answers import MARKS, accuracy, questions
from llmconfig_gym.collect.lab.decoder import StackedDecoder
from llmconfig_gym.collect.lab.shape import DecoderShape
from llmconfig_gym.errors import CollectError

CONTEXT = 32
SHAPE = DecoderShape(1, 16, 2, 2, CONTEXT, corpus.VOCABULARY)


@pytest.mark.parametrize("domain", list(MARKS))
def test_the_answer_is_what_follows_the_last_mark(domain: str) -> None:
    asked = questions(domain, 40, CONTEXT)
    assert asked.sequences.shape == (40, CONTEXT + 1)
    for sequence, weights in zip(asked.sequences, asked.answer, strict=True):
        text = corpus.decode(sequence)
        assert text[0] == "\n"
        line = text[1:].split("\n")[0]
        answer = line[line.rindex(MARKS[domain]) + 1 :].rstrip(".")
        assert answer
        marked = "".join(text[1:][i] for i in torch.nonzero(weights).flatten().tolist())  # weight i is of text[i + 1]
        assert marked == answer
        assert weights[weights > 0].tolist() == pytest.approx([1 / len(answer)] * len(answer))


def test_what_is_asked_is_right() -> None:
    for sequence in questions("arithmetic", 20, CONTEXT).sequences:
        problem, answer = corpus.decode(sequence).strip("\n").split("=")
        for sign, apply in (("+", int.__add__), ("*", int.__mul__), ("-", int.__sub__)):
            if sign in problem:
                a, b = problem.split(sign)
                assert apply(int(a), int(b)) == int(answer)


def test_the_same_questions_every_time_and_more_are_more() -> None:
    few, many = questions("lists", 10, CONTEXT), questions("lists", 10, CONTEXT)
    assert torch.equal(few.sequences, many.sequences)
    assert len(torch.unique(questions("lists", 200, CONTEXT).sequences, dim=0)) > 150


def test_a_domain_that_asks_nothing_is_refused() -> None:
    with pytest.raises(CollectError, match="'nesting' has no questions; these have: prose"):
        questions("nesting", 1, CONTEXT)


def test_accuracy_is_the_probability_of_each_correct_symbol() -> None:
    torch.manual_seed(0)
    decoder = StackedDecoder(SHAPE, 2)
    decoder.initialise([3, 4])
    with torch.no_grad():
        decoder.output.mul_(20)  # far from uniform, so that the symbols differ
    asked = questions("copying", 7, CONTEXT)
    found = accuracy(decoder, asked, batch=3)
    for replica in range(2):
        shares = []
        for sequence in asked.sequences:
            line = corpus.decode(sequence).strip("\n")
            start = line.rindex("|") + 1
            logits = decoder.logits(sequence[None, None, :-1].expand(2, -1, -1))[replica, 0].double()
            chances = logits.detach().softmax(dim=1)
            each = [float(chances[p, sequence[p + 1]]) for p in range(start, len(line))]
            shares.append(sum(each) / len(each))
        assert found[replica] == pytest.approx(sum(shares) / len(shares), rel=1e-4)
    assert found[0] != pytest.approx(found[1], rel=1e-3)


def test_an_untrained_decoder_guesses() -> None:
    decoder = StackedDecoder(SHAPE, 1)
    decoder.initialise([0])
    assert accuracy(decoder, questions("lists", 50, CONTEXT))[0] == pytest.approx(1 / corpus.VOCABULARY, rel=0.2)
