"""A seeded, procedurally generated character corpus with seven domains.

What it promises: `tokens(weights, count, seed)` is the same array on every machine and with every
NumPy version. Only the raw 64-bit stream of PCG64, which NumPy keeps stable for ever, and integer
arithmetic are used; `tests/llmconfig_gym/collect/lab/test_corpus.py` pins a digest of it.

Every document is one line. A domain writes all its documents at once as a matrix with one row per
document, in which `_PAD` cells, wherever they are, are dropped in the end: so text of varying length
needs no loop over documents. What there is to learn differs by domain:

==========  ============================  ==========================================================
domain      example                       what lowers the loss
==========  ============================  ==========================================================
prose       `tamo re bika sulo.`          word forms, then word-to-word transitions (a Zipf lexicon)
facts       `kobaru eats plum.`           remembering a fixed, Zipf-drawn table of 8,192 facts
arithmetic  `37+45=82`                    carrying; addition, subtraction, multiplication
code        `a=3;b=a+4;a=b+b;a?14`        variable binding and addition
nesting     `([]{<>})`                    a stack of open brackets
copying     `qxjz|qxjz`                   looking back by content (an induction circuit)
lists       `s:cab>abc`, `r:cab>bac`      sorting and reversing
==========  ============================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from llmconfig_gym.errors import CollectError

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

# `,` and `!` are in no domain: they are left for later tasks to mark something with.
ALPHABET: Final = "\n abcdefghijklmnopqrstuvwxyz0123456789+-*=()[]{}<>:;,.?!|"
VOCABULARY: Final = len(ALPHABET)

# Pretraining's shares of tokens. Prose and facts, of which there is always more to learn, carry most.
DEFAULT_WEIGHTS: Final[Mapping[str, float]] = {
    "prose": 0.25,
    "facts": 0.25,
    "arithmetic": 0.12,
    "code": 0.12,
    "nesting": 0.08,
    "copying": 0.08,
    "lists": 0.10,
}

_PAD: Final = 255
_CODE: Final = {symbol: code for code, symbol in enumerate(ALPHABET)}
_A: Final = _CODE["a"]
_ZERO: Final = _CODE["0"]


def encode(text: str) -> Bytes:
    """The token codes of `text`. Raises CollectError for a symbol outside `ALPHABET`."""
    unknown = sorted(set(text) - set(ALPHABET))
    if unknown:
        raise CollectError(f"the corpus has no symbol {unknown[0]!r}; it knows {ALPHABET!r}.")
    return np.array([_CODE[symbol] for symbol in text], dtype=np.uint8)


def decode(codes: npt.ArrayLike) -> str:
    """The text of token codes."""
    return "".join(ALPHABET[int(code)] for code in np.asarray(codes).ravel())


def tokens(domain_weights: Mapping[str, float], count: int, seed: int) -> Bytes:
    """`count` tokens of shuffled documents, [count], uint8 codes below `VOCABULARY`.

    `domain_weights` are relative shares of tokens, so they need not sum to one. Another `count` or
    `seed` is another corpus, not a prefix of the same one.
    Raises CollectError for an unknown domain, a negative weight, no weight at all, or no token asked for.
    """
    unknown = sorted(set(domain_weights) - set(_DOMAINS))
    if unknown:
        raise CollectError(f"the corpus has no domain {unknown[0]!r}; it has {', '.join(_DOMAINS)}.")
    weights = {name: float(domain_weights.get(name, 0.0)) for name in _DOMAINS}
    total = sum(weights.values())
    if not (all(weight >= 0 for weight in weights.values()) and 0 < total < float("inf")):
        raise CollectError(f"domain weights must be non-negative and finite with a positive sum, found {weights}.")
    if count < 1:
        raise CollectError(f"a corpus needs at least one token, found count={count}.")
    parts = [
        _documents(name, int(np.ceil(count * weight / total)), seed) for name, weight in weights.items() if weight > 0
    ]
    width = max(part.shape[1] for part in parts)
    rows = np.full((sum(len(part) for part in parts), width), _PAD, dtype=np.uint8)
    start = 0
    for part in parts:
        rows[start : start + len(part), : part.shape[1]] = part
        start += len(part)
    order = np.argsort(_Draws(seed, len(_DOMAINS)).raw(len(rows)), kind="stable")
    rows = rows[order]
    flat: Bytes = rows[rows != _PAD]
    return flat[:count]


def _documents(name: str, count: int, seed: int) -> Bytes:
    """Just enough documents of one domain for `count` tokens, and a few tokens more, [documents, width]."""
    draws = _Draws(seed, list(_DOMAINS).index(name))
    blocks: list[Bytes] = []
    have = 0
    while have < count:
        block = _DOMAINS[name](draws, max(64, (count - have) // 8))
        lengths = np.cumsum((block != _PAD).sum(axis=1))
        keep = int(np.searchsorted(lengths, count - have)) + 1
        blocks.append(block[:keep])
        have += int(lengths[min(keep, len(lengths)) - 1])
    return np.concatenate(blocks)


class _Draws:
    """Integer draws from the raw PCG64 stream of (seed, stream)."""

    def __init__(self, seed: int, stream: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence([seed, stream]))

    def raw(self, size: int) -> npt.NDArray[np.uint64]:
        """[size] 64-bit words."""
        return np.asarray(self._bits.random_raw(size), dtype=np.uint64)

    def below(self, high: int, *shape: int) -> Ints:
        """Uniform integers in [0, high), of the given shape (multiply-shift on the top 32 bits)."""
        words = self.raw(int(np.prod(shape))) >> np.uint64(32)
        return ((words * np.uint64(high)) >> np.uint64(32)).astype(np.int64).reshape(shape)

    def zipf(self, size: int, *shape: int) -> Ints:
        """Integers in [0, size) with probability proportional to 1 / (rank + 4)."""
        cumulative = np.cumsum((1 << 24) // (np.arange(size, dtype=np.int64) + 4))
        return np.searchsorted(cumulative, self.below(int(cumulative[-1]), *shape), side="right").astype(np.int64)


def _column(symbol: str, rows: int) -> Bytes:
    """The same text in every row, [rows, len(symbol)]."""
    return np.broadcast_to(encode(symbol), (rows, len(symbol)))


def _digits(values: Ints, width: int) -> Bytes:
    """Decimal digits of non-negative `values` [rows], leading zeros as pads, [rows, width]."""
    powers = 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    digits = (values[:, None] // powers) % 10 + _ZERO
    leading = (values[:, None] < powers) & (powers > 1)
    return np.where(leading, _PAD, digits).astype(np.uint8)


def _letters(codes: Ints, lengths: Ints) -> Bytes:
    """Letters of `codes` [rows, width] as far as `lengths` [rows], pads after, [rows, width]."""
    inside = np.arange(codes.shape[1]) < lengths[:, None]
    return np.where(inside, codes + _A, _PAD).astype(np.uint8)


def _where(condition: npt.NDArray[np.bool_], text: Bytes) -> Bytes:
    """`text` [rows, width] in the rows where `condition` [rows] holds, pads elsewhere."""
    return np.where(condition[:, None], text, _PAD).astype(np.uint8)


@cache
def _lexicon(size: int, least: int, most: int, stream: int) -> Bytes:
    """`size` made-up words of `least` to `most` consonant-vowel syllables, [size, 2 * most], some repeated."""
    draws = _Draws(0, 1000 + stream)
    syllables = least + draws.below(most - least + 1, size)
    consonants = encode("bdfgklmnprstvz")[draws.below(14, size, most)]
    vowels = encode("aeiou")[draws.below(5, size, most)]
    words = np.stack([consonants, vowels], axis=2).reshape(size, 2 * most)
    return np.where(np.arange(2 * most) < 2 * syllables[:, None], words, _PAD).astype(np.uint8)


def _prose(draws: _Draws, rows: int) -> Bytes:
    """Three to six words; each follows one of 8 successors of the word before, or is drawn afresh."""
    size, most = 1024, 6
    lexicon = _lexicon(size, 1, 3, 0)
    successors = _Draws(0, 2000).zipf(size, size, 8)
    lengths = 3 + draws.below(most - 2, rows)
    blocks: list[Bytes] = []
    word = draws.zipf(size, rows)
    for place in range(most):
        inside = place < lengths
        blocks.append(_where(inside, lexicon[word]))
        blocks.append(_where(inside & (place + 1 < lengths), _column(" ", rows)))
        follow = successors[word, draws.zipf(8, rows)]
        word = np.where(draws.below(8, rows) < 7, follow, draws.zipf(size, rows))
    return np.concatenate([*blocks, _column(".\n", rows)], axis=1)


def _facts(draws: _Draws, rows: int) -> Bytes:
    """Name, relation, value: the value is a fixed function of name and relation."""
    people, relations, values = 2048, ("eats", "owns", "likes", "fears"), 64
    verbs = np.full((len(relations), 5), _PAD, dtype=np.uint8)
    for number, verb in enumerate(relations):
        verbs[number, : len(verb)] = encode(verb)
    table = _Draws(0, 2001).below(values, people, len(relations))
    person, relation = draws.zipf(people, rows), draws.below(len(relations), rows)
    name = _lexicon(people, 2, 3, 1)[person]
    value = _lexicon(values, 2, 2, 2)[table[person, relation]]
    space = _column(" ", rows)
    return np.concatenate([name, space, verbs[relation], space, value, _column(".\n", rows)], axis=1)


def _arithmetic(draws: _Draws, rows: int) -> Bytes:
    """Addition and subtraction (never below zero) to two digits, multiplication of a digit by two digits."""
    operation = draws.below(3, rows)
    limit = np.where(draws.below(2, rows) == 0, 10, 100)
    a, b = draws.below(1 << 20, rows) % limit, draws.below(1 << 20, rows) % limit
    high, low = np.maximum(a, b), np.minimum(a, b)
    first = np.where(operation == 1, high, a)
    second = np.select([operation == 1, operation == 2], [low, b % 10], default=b)
    answer = np.select([operation == 0, operation == 1], [first + second, first - second], default=first * second)
    sign = encode("+-*")[operation][:, None]
    parts = [_digits(first, 2), sign, _digits(second, 2), _column("=", rows), _digits(answer, 3), _column("\n", rows)]
    return np.concatenate(parts, axis=1)


def _code(draws: _Draws, rows: int) -> Bytes:
    """A number, then one to three sums of known variables or digits, then a question about the last."""
    names, most = 6, 3
    sums = 1 + draws.below(most, rows)
    every = np.arange(rows)
    variable, number = draws.below(names, rows), draws.below(10, rows)
    known = np.full((rows, names), -1, dtype=np.int64)
    known[every, variable] = number
    blocks = [_letters(variable[:, None], sums), _column("=", rows), _digits(number, 1), _column(";", rows)]
    for place in range(most):
        inside = place < sums
        target, digit = draws.below(names, rows), draws.below(10, rows)
        other = draws.below(names, rows)
        use_other = known[every, other] >= 0
        value = (known[every, variable] + np.where(use_other, known[every, other], digit)) % 100
        second = np.where(use_other, other + _A, digit + _ZERO)
        text = np.stack([target + _A, np.full(rows, _CODE["="]), variable + _A, np.full(rows, _CODE["+"]), second], 1)
        blocks += [_where(inside, text.astype(np.uint8)), _where(inside, _column(";", rows))]
        known[every[inside], target[inside]] = value[inside]
        variable = np.where(inside, target, variable)
    answer = known[every, variable]
    return np.concatenate(
        [*blocks, _letters(variable[:, None], sums), _column("?", rows), _digits(answer, 2), _column("\n", rows)],
        axis=1,
    )


def _nesting(draws: _Draws, rows: int) -> Bytes:
    """A balanced word of 2 to 10 pairs over four kinds of brackets."""
    most = 10
    opening, closing = encode("([{<"), encode(")]}>")
    pairs = 2 + draws.below(most - 1, rows)
    every = np.arange(rows)
    stack = np.zeros((rows, most + 1), dtype=np.int64)
    depth, opened = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
    out = np.full((rows, 2 * most + 1), _PAD, dtype=np.uint8)
    for place in range(2 * most):
        inside = place < 2 * pairs
        wish = draws.below(2, rows) == 0
        opens = inside & (opened < pairs) & (wish | (depth == 0))
        kind = np.where(opens, draws.below(4, rows), stack[every, depth])
        out[:, place] = np.where(inside, np.where(opens, opening[kind], closing[kind]), _PAD)
        depth += np.where(inside, np.where(opens, 1, -1), 0)
        opened += opens
        stack[every[opens], depth[opens]] = kind[opens]
    out[:, -1] = _CODE["\n"]
    return out


def _copying(draws: _Draws, rows: int) -> Bytes:
    """Two to ten random letters, a bar, the same letters."""
    most = 10
    text = _letters(draws.below(26, rows, most), 2 + draws.below(most - 1, rows))
    return np.concatenate([text, _column("|", rows), text, _column("\n", rows)], axis=1)


def _lists(draws: _Draws, rows: int) -> Bytes:
    """Two to six letters, sorted or reversed."""
    most = 6
    lengths = 2 + draws.below(most - 1, rows)
    codes = draws.below(26, rows, most)
    inside = np.arange(most) < lengths[:, None]
    ordered = np.sort(np.where(inside, codes, 99), axis=1)
    backward = np.take_along_axis(codes, np.maximum(lengths[:, None] - 1 - np.arange(most), 0), axis=1)
    sorts = draws.below(2, rows) == 0
    head = np.where(sorts, _CODE["s"], _CODE["r"]).astype(np.uint8)[:, None]
    answer = _letters(np.where(sorts[:, None], ordered, backward), lengths)
    question = _letters(codes, lengths)
    parts = [head, _column(":", rows), question, _column(">", rows), answer, _column("\n", rows)]
    return np.concatenate(parts, axis=1)


_DOMAINS: Final[Mapping[str, Callable[[_Draws, int], Bytes]]] = {
    "prose": _prose,
    "facts": _facts,
    "arithmetic": _arithmetic,
    "code": _code,
    "nesting": _nesting,
    "copying": _copying,
    "lists": _lists,
}
DOMAINS: Final = tuple(_DOMAINS)
