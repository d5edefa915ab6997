"""Problems with verifiable answers, for reinforcement learning on the character vocabulary of the corpus.

What it promises: a family is a finite, numbered set of problems, each with one correct answer. `split` deals them,
by a fixed shuffle that is the same on every machine, into three disjoint sets: held-out problems, training prompts
for reinforcement learning, and examples for the supervised pretraining of a base policy.

=========  =============  =========  =========================================
family     prompt         answer     what must be learnt
=========  =============  =========  =========================================
addition   `37+45=`       `280`      carrying; the sum's three digits, the last one first
sorting    `s:dacb>`      `abcd`     the alphabet's order, counting repeats
reversal   `r:dacb>`      `bcad`     looking back by position
=========  =============  =========  =========================================

A prompt has a fixed number of characters. An answer ends with a newline, as every document of the corpus does
(`END`); an answer that has not ended within the tokens allowed is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from llmconfig_gym.collect.lab import corpus
from llmconfig_gym.errors import CollectError, unknown_name

Ints: TypeAlias = npt.NDArray[np.int64]
Texts: TypeAlias = Callable[[int], tuple[str, str]]

END: Final = corpus.ALPHABET.index("\n")
"""The token that ends an answer."""

_SPLIT_SEED: Final = 40_000


@dataclass(frozen=True)
class Family:
    """A numbered set of problems.

    Attributes:
        name: what it is called in tables.
        about: what is asked, in a researcher's words.
        size: number of problems.
        prompt_length: tokens of a prompt.
        answer_length: tokens of the longest correct answer with its end.
        text: prompt and correct answer (without its end) of problem 0 <= number < size.
        solve: the correct answer to a prompt, worked out from the prompt's text alone.
    """

    name: str
    about: str
    size: int
    prompt_length: int
    answer_length: int
    text: Texts
    solve: Callable[[str], str]

    def verify(self, prompt: str, answer: str) -> bool:
        """Whether `answer`, with its end and with whatever follows the end, is the correct one."""
        given, ended, _ = answer.partition("\n")
        return bool(ended) and given == self.solve(prompt)


@dataclass(frozen=True)
class Problems:
    """`n` problems as tokens: prompts [n, prompt_length] and correct answers [n, answer_length], padded with `END`."""

    prompts: Ints
    answers: Ints

    @property
    def answer_lengths(self) -> Ints:
        """Tokens of each correct answer with its end, [n]."""
        return np.asarray(np.argmax(self.answers == END, axis=1) + 1, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.prompts)


@dataclass(frozen=True)
class Split:
    """The three disjoint sets of a family."""

    held_out: Problems
    prompts: Problems
    examples: Problems


def _addition(number: int) -> tuple[str, str]:
    a, b = divmod(number, 100)
    return f"{a:02d}+{b:02d}=", f"{a + b:03d}"[::-1]


def _add(prompt: str) -> str:
    a, b = prompt.rstrip("=").split("+")
    return f"{int(a) + int(b):03d}"[::-1]


def _letters(number: int, count: int, alphabet: int) -> str:
    digits = [number // alphabet**place % alphabet for place in reversed(range(count))]
    return "".join(chr(ord("a") + digit) for digit in digits)


def _sorting(number: int) -> tuple[str, str]:
    letters = _letters(number, 4, 10)
    return f"s:{letters}>", "".join(sorted(letters))


def _reversal(number: int) -> tuple[str, str]:
    letters = _letters(number, 4, 10)
    return f"r:{letters}>", letters[::-1]


FAMILIES: Final[Mapping[str, Family]] = {
    family.name: family
    for family in (
        Family(
            "addition",
            "add two numbers of two digits and write the three digits of the sum from the last to the first",
            10_000,
            6,
            4,
            _addition,
            _add,
        ),
        Family("sorting", "sort four letters", 10_000, 7, 5, _sorting, lambda p: "".join(sorted(p[2:-1]))),
        Family("reversal", "reverse four letters", 10_000, 7, 5, _reversal, lambda p: p[2:-1][::-1]),
    )
}


def family(name: str) -> Family:
    """The family of this name. Raises UnknownName."""
    if name not in FAMILIES:
        raise unknown_name("problem family", name, FAMILIES)
    return FAMILIES[name]


def tokens(problems: Family, numbers: npt.ArrayLike) -> Problems:
    """The problems with these numbers as tokens."""
    texts = [problems.text(int(number)) for number in np.asarray(numbers).ravel()]
    prompts = np.stack([corpus.encode(prompt) for prompt, _ in texts]).astype(np.int64)
    answers = np.full((len(texts), problems.answer_length), END, dtype=np.int64)
    for row, (_, answer) in zip(answers, texts, strict=True):
        row[: len(answer)] = corpus.encode(answer)
    return Problems(prompts, answers)


def split(problems: Family, held_out: int, prompts: int) -> Split:
    """The first `held_out` of the shuffled problems, the next `prompts`, and all others as examples.

    Raises CollectError if a set would be empty.
    """
    if held_out < 1 or prompts < 1 or held_out + prompts >= problems.size:
        raise CollectError(
            f"{problems.name} has {problems.size} problems for held-out ones, prompts and examples, at least one of "
            f"each; found {held_out} held-out ones and {prompts} prompts."
        )
    words = np.random.PCG64(np.random.SeedSequence([_SPLIT_SEED])).random_raw(problems.size)
    order = np.argsort(words, kind="stable")
    ends = (held_out, held_out + prompts)
    parts = (order[: ends[0]], order[ends[0] : ends[1]], order[ends[1] :])
    return Split(*(tokens(problems, part) for part in parts))
