"""The corpus is the same for ever, is text of its domains, and its claims (sums, copies, brackets) are true."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest

from llmconfig_gym.collect.lab import corpus
from llmconfig_gym.errors import CollectError

# The first 20,000 tokens of seed 7. If this changes, every number of the embedded suite is of another corpus.
DIGEST = "a43b58c4a92e70f4c48eda3828e7439d3aba056b8f7d946d4f851461528c2e69"


def _documents(domain: str, count: int = 20_000, seed: int = 3) -> list[str]:
    return corpus.decode(corpus.tokens({domain: 1.0}, count, seed)).split("\n")[:-1]


def test_the_corpus_has_not_drifted() -> None:
    sample = corpus.tokens(corpus.DEFAULT_WEIGHTS, 20_000, 7)
    assert hashlib.sha256(sample.tobytes()).hexdigest() == DIGEST


def test_shape_type_and_range() -> None:
    sample = corpus.tokens(corpus.DEFAULT_WEIGHTS, 12_345, 1)
    assert sample.shape == (12_345,)
    assert sample.dtype == np.uint8
    assert set(corpus.ALPHABET) - set(corpus.decode(sample)) == {",", "!"}  # left for later tasks; none is a pad


def test_a_seed_is_repeatable_and_another_seed_is_other_text() -> None:
    first, again, other = (corpus.tokens(corpus.DEFAULT_WEIGHTS, 5_000, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).mean() > 0.5


def test_text_and_codes_round_trip() -> None:
    assert corpus.decode(corpus.encode(corpus.ALPHABET)) == corpus.ALPHABET
    with pytest.raises(CollectError, match="no symbol 'A'"):
        corpus.encode("A")


@pytest.mark.parametrize("domain", corpus.DOMAINS)
def test_weights_are_shares_of_tokens(domain: str) -> None:
    others = {name: 1.0 for name in corpus.DOMAINS if name != domain}
    patterns = {
        "prose": r"[a-z]+( [a-z]+){2,5}\.",
        "facts": r"[a-z]+ (eats|owns|likes|fears) [a-z]+\.",
        "arithmetic": r"\d+[-+*]\d+=\d+",
        "code": r"[a-f]=.*",
        "nesting": r"[][(){}<>]+",
        "copying": r"[a-z]+\|[a-z]+",
        "lists": r"[sr]:[a-z]+>[a-z]+",
    }
    documents = corpus.decode(corpus.tokens({**others, domain: 6.0}, 100_000, 5)).split("\n")[:-1]
    mine = [
        line
        for line in documents
        if re.fullmatch(patterns[domain], line) and not (domain == "prose" and re.fullmatch(patterns["facts"], line))
    ]
    assert sum(len(line) + 1 for line in mine) / 100_000 == pytest.approx(0.5, abs=0.01)


def test_arithmetic_is_true() -> None:
    for line in _documents("arithmetic"):
        a, sign, b, answer = re.fullmatch(r"(\d+)([-+*])(\d+)=(\d+)", line).groups()  # type: ignore[union-attr]
        result = {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[sign]
        assert str(result) == answer


def test_code_computes_what_it_says() -> None:
    for line in _documents("code"):
        program, answer = line.split("?")
        *statements, question = program.split(";")
        known: dict[str, int] = {}
        for statement in statements:
            target, expression = statement.split("=")
            known[target] = sum(int(t) if t.isdigit() else known[t] for t in expression.split("+")) % 100
        assert str(known[question]) == answer


def test_brackets_balance() -> None:
    for line in _documents("nesting"):
        stack: list[str] = []
        for symbol in line:
            if symbol in "([{<":
                stack.append(symbol)
            else:
                assert stack.pop() + symbol in ("()", "[]", "{}", "<>")
        assert not stack


def test_copies_and_lists_are_right() -> None:
    for line in _documents("copying"):
        left, right = line.split("|")
        assert left == right
    for line in _documents("lists"):
        question, answer = line[2:].split(">")
        assert answer == ("".join(sorted(question)) if line[0] == "s" else question[::-1])


def test_facts_never_contradict_one_another() -> None:
    said: dict[tuple[str, str], set[str]] = {}
    for line in _documents("facts", 200_000):
        name, relation, value = line[:-1].split(" ")
        said.setdefault((name, relation), set()).add(value)
    # A few names stand for two people (the name is drawn, and may be drawn twice), so not all are single.
    assert np.mean([len(values) == 1 for values in said.values()]) > 0.7


@pytest.mark.parametrize(
    ("weights", "count", "message"),
    [
        ({"poetry": 1.0}, 10, "no domain 'poetry'"),
        ({"prose": -1.0, "facts": 2.0}, 10, "non-negative"),
        ({"prose": 0.0}, 10, "positive sum"),
        ({"prose": float("nan")}, 10, "non-negative"),
        ({"prose": float("inf")}, 10, "finite"),
        ({"prose": 1.0}, 0, "at least one token"),
    ],
)
def test_nonsense_is_refused(weights: dict[str, float], count: int, message: str) -> None:
    with pytest.raises(CollectError, match=message):
        corpus.tokens(weights, count, 0)
