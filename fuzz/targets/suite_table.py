"""The table of one experiment in a suite, a Parquet file."""

from __future__ import annotations

import json

import pyarrow.parquet

from fuzz.suites import saved
from fuzz.tables import parquet
from llmconfig_gym.suite import Suite

RUNS, LONGEST = 50_000, 6000
WORDS = (b"PAR1", b"config.lr", b"value", b"spread", b"detail.", b"replicates", b"\x15\x00", b"\xff\xff\xff\x7f")


def seeds() -> list[bytes]:
    path = saved("suite") / "tables" / "one.parquet"
    return [path.read_bytes(), json.dumps(pyarrow.parquet.read_table(path).to_pydict()).encode()]


def read(data: bytes) -> None:
    made = parquet(data)
    if made is not None:
        (saved("table") / "tables" / "one.parquet").write_bytes(made)
        Suite.load(saved("table")).experiment("fuzz/one").tell({"lr": 1e-3})
