"""One cell of a user's table: a quantity, a JSON object, a printed dictionary, or text."""

from __future__ import annotations

from llmconfig_gym.importing.nested import flatten, parse_mapping
from llmconfig_gym.importing.units import size_in_name, try_quantity

RUNS, LONGEST = 2_000_000, 300
WORDS = (
    *(
        b"{",
        b"}",
        b"'a'",
        b'"a"',
        b": ",
        b", ",
        b"nan",
        b"inf",
        b"None",
        b"True",
        b"-",
        b"(",
        b")",
        b"[",
        b"]",
        b"lambda:",
    ),
    *(b"1e400", b"7B", b"512k", b"45%", b"1_000", b"__import__('os')", b"0x", b"\\N{", b"\\x00", b"f'{a}'", b"{**a}"),
)


def seeds() -> list[bytes]:
    return [
        *(b"7B", b"1.4T", b"512k", b"45%", b"1_000_000", b"-2e-5", b"some-model-0.5B-chat", b"inf", b"text"),
        b'{"optimizer": {"lr": {"value": 0.001, "desc": null}, "betas": [0.9, 0.95]}, "_wandb": {}}',
        b"{'lr': 0.001, 'nested': {'a': (1, 2), 'b': {'c': None}}, 'bad': nan, 'n': -inf, 't': True}",
    ]


def read(data: bytes) -> object:
    text = data.decode("utf-8", "replace")
    found: list[object] = [try_quantity(text), size_in_name(text)]
    try:
        return found + list(flatten(parse_mapping(text)))
    except ValueError:  # what it promises
        return found
