"""A trackio project's export: its metrics and its configurations, two Parquet files, made into a suite.

An input is `{"metrics": columns, "configs": columns}`, or the bytes of the file with the metrics.
"""

from __future__ import annotations

import json
from functools import cache

from fuzz.scratch import put
from fuzz.tables import RUNS as ROWS
from fuzz.tables import parquet
from llmconfig_gym.importing import import_table

RUNS, LONGEST = 25_000, 4000
WORDS = (b"PAR1", b"run_name", b"run_id", b"step", b"val_loss", b"\x15\x00", b"\x00\x00\x00\x00", b"\xff\xff\xff\x7f")


@cache
def _whole() -> tuple[bytes, bytes]:
    """The export of a project: metrics, configurations."""
    rows = ROWS[:6]
    ids = [r["name"] for r in rows]
    configs = {"run_id": ids, "run_name": ids, **{k: [r[k] for r in rows] for k in ("N", "tokens", "lr")}}
    losses = [r["val_loss"] + late for late in (1, 0) for r in rows]
    metrics = {"run_id": ids * 2, "run_name": ids * 2, "step": [0] * 6 + [1] * 6, "val_loss": losses}
    return json.dumps(metrics).encode(), json.dumps(configs).encode()


def seeds() -> list[bytes]:
    metrics, configs = _whole()
    made = parquet(metrics)
    assert made is not None
    return [b'{"metrics": ' + metrics + b', "configs": ' + configs + b"}", made]


def read(data: bytes) -> object:
    metrics, configs = data, _whole()[1]
    if data.startswith(b"{"):
        try:
            both = json.loads(data)
            metrics, configs = (json.dumps(both[k]).encode() for k in ("metrics", "configs"))
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
    made = [parquet(part) for part in (metrics, configs)]
    if made[0] is None or made[1] is None:
        return None
    put("cheap_configs.parquet", made[1])
    return import_table(put("cheap.parquet", made[0]), "mine")
