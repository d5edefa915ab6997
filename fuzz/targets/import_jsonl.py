"""A user's JSON lines of runs, flat or as W&B nests them, made into a suite."""

from __future__ import annotations

from fuzz.scratch import put
from fuzz.tables import RUNS as ROWS
from fuzz.tables import as_lines, wandb
from llmconfig_gym.importing import import_table

RUNS, LONGEST = 20_000, 2500
WORDS = (b"{", b"}", b'"value":', b'"desc":', b"null", b"NaN", b"1e999", b"\n", b'"config":', b'"summary":', b"[", b"]")


def seeds() -> list[bytes]:
    return [
        as_lines(ROWS),
        as_lines(wandb(ROWS[:6])),
        as_lines([{**r, "mix": {"web": 0.5, "code": 0.5}} for r in ROWS[:4]]),
    ]


def read(data: bytes) -> object:
    return import_table(put("runs.jsonl", data), "mine")
