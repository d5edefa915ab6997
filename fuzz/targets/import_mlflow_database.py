"""MLflow's SQLite database, made into a suite."""

from __future__ import annotations

import json

from fuzz.databases import database, imported
from fuzz.tables import RUNS as ROWS

RUNS, LONGEST = 25_000, 8000
WORDS = (b"SQLite format 3\x00", b"experiments", b"latest_metrics", b"is_nan", b"active", b"\xff" * 8, b"\x00" * 8)
SETTINGS = ("N", "tokens", "lr")


def seeds() -> list[bytes]:
    rows = ROWS[:8]
    ids = [r["name"] for r in rows]
    tables = {
        "experiments": {"experiment_id": [0, 1], "name": ["Default", "cheap"], "lifecycle_stage": ["active"] * 2},
        "runs": {
            "run_uuid": ids,
            "name": ids,
            "status": ["FINISHED", "FAILED", *["FINISHED"] * 6],
            "start_time": list(range(8)),
            "lifecycle_stage": ["active"] * 7 + ["deleted"],
            "experiment_id": [1] * 8,
        },
        "params": {
            "run_uuid": ids * len(SETTINGS),
            "key": [k for k in SETTINGS for _ in rows],
            "value": [str(r[k]) for k in SETTINGS for r in rows],
        },
        "latest_metrics": {
            "run_uuid": ids,
            "key": ["val_loss"] * 8,
            "value": [r["val_loss"] for r in rows[:-1]] + [1.7976931348623157e308],
            "is_nan": [0, 1, *[0] * 6],
        },
    }
    data = json.dumps(tables).encode()
    made = database(data)
    assert made is not None
    return [data, made]


def read(data: bytes) -> object:
    return imported("mlflow.db", data)
