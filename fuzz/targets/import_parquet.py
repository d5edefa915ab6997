"""A user's Parquet file of runs, made into a suite."""

from __future__ import annotations

from fuzz.scratch import put
from fuzz.tables import RUNS as ROWS
from fuzz.tables import as_columns, parquet
from llmconfig_gym.importing import import_table

RUNS, LONGEST = 25_000, 5000
WORDS = (b"PAR1", b"lr", b"val_loss", b"N", b"\x15\x00", b"\x00\x00\x00\x00", b"\xff\xff\xff\x7f")


def seeds() -> list[bytes]:
    columns = as_columns(ROWS)
    made = parquet(columns)
    assert made is not None
    return [columns, as_columns([{**r, "mix": {"web": 0.5, "code": 0.5}} for r in ROWS]), made]


def read(data: bytes) -> object:
    made = parquet(data)
    return None if made is None else import_table(put("runs.parquet", made), "mine")
