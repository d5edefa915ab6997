"""A user's JSON document of runs, such as W&B's client gives them, made into a suite."""

from __future__ import annotations

import json

from fuzz.scratch import put
from fuzz.tables import RUNS as ROWS
from fuzz.tables import wandb
from llmconfig_gym.importing import import_table

RUNS, LONGEST = 20_000, 3500
WORDS = (b"{", b"}", b'"value":', b'"desc":', b"null", b"NaN", b"1e999", b'"config":', b'"summary":', b"[", b"]", b", ")


def seeds() -> list[bytes]:
    odd = [{**r, "summary": {**r["summary"], "val_loss": "NaN"}} for r in wandb(ROWS[:1])]
    return [json.dumps(rows).encode() for rows in (ROWS, wandb(ROWS[:6]), odd + wandb(ROWS[4:8]))]


def read(data: bytes) -> object:
    return import_table(put("runs.json", data), "mine")
