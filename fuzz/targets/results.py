"""What a benchmark keeps: the resolved settings, and the rows of its results."""

from __future__ import annotations

import json
from contextlib import suppress

from autollmresearch.benchmark.leaderboard import read_rows
from autollmresearch.benchmark.runner import COLUMNS, read_manifest, read_results
from autollmresearch.errors import ResultsMismatch
from fuzz.scratch import put
from fuzz.tables import parquet

RUNS, LONGEST = 60_000, 16_000
WORDS = (b'"settings":', b'"suites":', b'"methods":', b"null", b"NaN", b"[]", b"{}", b"PAR1", b'"trial":', b'"regret":')


def seeds() -> list[bytes]:
    settings = {
        "suites": ["micro"],
        "protocols": ["full"],
        "methods": ["random"],
        "budget": 2,
        "seeds": 2,
        "level": "medium",
    }
    manifest = {"settings": settings, "version": "0.1.0", "digest": "0"}
    rows = {
        c: ["a", "b"] if c in ("method", "suite", "task", "experiment", "protocol", "config", "outcome") else [0, 1]
        for c in COLUMNS
    }
    made = parquet(json.dumps(rows).encode())
    assert made is not None
    return [json.dumps(manifest).encode(), json.dumps(rows).encode(), made]


def read(data: bytes) -> object:
    if b"digest" in data:
        return read_manifest(put("results/settings.json", data).parent)
    made = parquet(data)
    if made is None:
        return None
    place = put("results/results.parquet", made)
    with suppress(ResultsMismatch):  # what its own rows have in common is another question
        read_rows([place])
    return read_results(place.parent)
