"""The restricted unpickler of the public tables."""

from __future__ import annotations

import pickle
import pickletools
import re

import numpy as np

from llmconfig_gym.sources.unpickle import loads

RUNS, LONGEST = 6_500_000, 900
WORDS = (
    *(b"cnumpy\ndtype\n", b"cnumpy._core.multiarray\nscalar\n", b"cos\nsystem\n", b"c__builtin__\neval\n"),
    *(b"R.", b"(", b"t", b"}", b"]", b"e", b"u", b"b", b"\x8c\x05numpy", b"\x8c\x05dtype", b"\x93", b"\x81", b"\x92"),
    *(
        b"\x8b\xff\xff\xff\x7f",
        b"X\x04\x00\x00\x00",
        b"r\x00\x01\x00\x00",
        b"\x80\x04",
        b"\x95",
        b"i",
        b"o",
        b"\x82\x01",
    ),
)


def seeds() -> list[bytes]:
    values = (
        {"a": [1, 2.5, None, True, "x", b"y", (1, 2), {"b": -3}]},
        [np.float64(1.5), np.float32(2.5), np.int64(7), np.int32(-1)],
        {f"layer{i}": {"latency": [i * 0.5], "mean": np.float64(i)} for i in range(4)},
        [10**30, -(10**30), set(), frozenset((1,)), bytearray(b"z")],
    )
    made = [pickle.dumps(v, protocol) for v in values for protocol in (0, 2, 4, 5)]
    return made + [re.sub(rb"\x95.{8}", b"", m, count=1, flags=re.DOTALL) for m in made if b"\x95" in m]  # frameless


def read(data: bytes) -> object:
    return None if _greedy(data) else loads(data)


_LARGE = re.compile(
    rb"r(?!ray\x94)(?:[\s\S]{2}[^\x00]|[\s\S]{3}[^\x00])|p[^\n]{5,20}\n|\x96(?:[\s\S]{2}[^\x00]|[\s\S]{3,7}[^\x00])"
)
"""What may be a place in the memo, or the size of a byte array, of 65,536 or more (`rray` with its next opcode would be
40 GB, which no system gives)."""


def _greedy(data: bytes) -> bool:
    """Whether a pickle asks for that much memory: `pickle` takes it before it looks whether anything goes in there.

    docs/security.md says why this is no matter where the product reads pickles.
    """
    framed = b"\x95" in data  # where a frame ends in the middle of an opcode, what Python reads is not what follows
    if not framed and _LARGE.search(data) is None:
        return False
    try:
        for code, argument, at in pickletools.genops(data):
            if code.name in ("PUT", "LONG_BINPUT") and isinstance(argument, int) and argument >= 1 << 16:
                return True
            if code.name == "BYTEARRAY8":
                return True
            if code.name == "FRAME" and (at or 0) + 9 + (argument or 0) != len(data):
                return True
    except Exception:  # it is broken there, and what comes before has been looked at
        return framed or b"\x96" in data
    return False
