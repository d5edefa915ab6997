"""A project's database of trackio, by itself or in its folder, made into a suite."""

from __future__ import annotations

import json

from fuzz.databases import database
from fuzz.scratch import put
from fuzz.tables import RUNS as ROWS
from llmconfig_gym.importing import import_table

RUNS, LONGEST = 25_000, 8000
WORDS = (b"SQLite format 3\x00", b"metrics", b"configs", b"run_id", b"run_name", b'{"loss":', b"\xff" * 8, b"\x00" * 8)


def seeds() -> list[bytes]:
    rows = ROWS[:6]
    ids = [r["name"] for r in rows]
    configs = [json.dumps({k: r[k] for k in ("N", "tokens", "lr", "batch_size")}) for r in rows]
    steps = [json.dumps({"val_loss": r["val_loss"] + late, "_step": late}) for late in (1, 0) for r in rows]
    new = {
        "configs": {"id": list(range(6)), "run_id": ids, "run_name": ids, "config": configs},
        "metrics": {"id": list(range(12)), "run_id": ids * 2, "step": [0] * 6 + [1] * 6, "metrics": steps},
    }
    old = {table: {k: v for k, v in columns.items() if k != "run_id"} for table, columns in new.items()}
    old["metrics"]["run_name"] = ids * 2
    blobs = {**new, "configs": {**new["configs"], "config": [list(c.encode()) for c in configs]}}
    described = [json.dumps(tables).encode() for tables in (new, old, blobs)]
    made = database(described[0])
    assert made is not None
    return [*described, made]


def read(data: bytes) -> object:
    made = database(data)
    if made is None:
        return None
    path = put("trackio/cheap.db", made)
    return import_table(path.parent if len(data) % 3 == 0 else path, "mine")
