"""Problems: each family's answers are what its text says, the split is fixed and disjoint."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from llmconfig_gym.collect.lab import corpus, problems
from llmconfig_gym.collect.lab.problems import END, FAMILIES, family, split
from llmconfig_gym.errors import CollectError, UnknownName


@pytest.mark.parametrize(
    ("name", "number", "prompt", "answer"),
    [
        ("addition", 3745, "37+45=", "280"),
        ("addition", 9999, "99+99=", "891"),
        ("addition", 0, "00+00=", "000"),
        ("sorting", 3021, "s:dacb>", "abcd"),
        ("sorting", 7727, "s:hhch>", "chhh"),
        ("reversal", 3021, "r:dacb>", "bcad"),
    ],
)
def test_texts(name: str, number: int, prompt: str, answer: str) -> None:
    assert family(name).text(number) == (prompt, answer)
    assert family(name).solve(prompt) == answer


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_answer_is_verified_and_nothing_else(name: str) -> None:
    asked = family(name)
    for number in range(0, asked.size, 97):
        prompt, answer = asked.text(number)
        assert asked.verify(prompt, answer + "\n")
        assert asked.verify(prompt, answer + "\nxyz")  # what follows the end does not count
        assert not asked.verify(prompt, answer)  # it has not ended
        assert not asked.verify(prompt, "x" + answer + "\n")
        assert not asked.verify(prompt, answer[:-1] + "\n")
        assert not asked.verify(prompt, "\n" + answer)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_tokens_are_the_texts(name: str) -> None:
    asked = family(name)
    some = problems.tokens(asked, range(0, asked.size, 501))
    for number, prompt, answer, length in zip(
        range(0, asked.size, 501), some.prompts, some.answers, some.answer_lengths, strict=True
    ):
        assert (corpus.decode(prompt), corpus.decode(answer[: length - 1])) == asked.text(number)
        assert (answer[length - 1 :] == END).all()
    assert some.prompts.shape == (len(some), asked.prompt_length)
    assert some.answers.shape == (len(some), asked.answer_length)


def test_the_split_is_disjoint_complete_and_the_same_everywhere() -> None:
    parts = split(family("addition"), 1000, 500)
    sets = [{corpus.decode(p) for p in part.prompts} for part in (parts.held_out, parts.prompts, parts.examples)]
    assert [len(s) for s in sets] == [1000, 500, 8500]
    assert len(set.union(*sets)) == family("addition").size
    digest = hashlib.sha256(np.concatenate([parts.held_out.prompts, parts.prompts.prompts]).astype("<i8").tobytes())
    assert digest.hexdigest().startswith("3368d225359615cc")


def test_a_larger_training_set_leaves_the_held_out_problems_alone() -> None:
    asked = family("sorting")
    assert np.array_equal(split(asked, 300, 10).held_out.prompts, split(asked, 300, 900).held_out.prompts)


def test_impossible_calls_are_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean 'sorting'"):
        family("sort")
    for held_out, prompts in ((0, 10), (10, 0), (9000, 1000)):
        with pytest.raises(CollectError, match="at least one of each"):
            split(family("sorting"), held_out, prompts)
