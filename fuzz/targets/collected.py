"""What `collect` keeps: the journal of runs, the manifest, and the runs of a finished suite."""

from __future__ import annotations

import json

from fuzz.scratch import put, scratch
from fuzz.tables import as_columns, as_lines, parquet
from llmconfig_gym.collect.driver import Group, Run, _read
from llmconfig_gym.collect.embed import read_manifest
from llmconfig_gym.collect.raw_runs import read_runs
from llmconfig_gym.collect.runners import runner_of

RUNS, LONGEST = 80_000, 1500
WORDS = (
    b'"group":',
    b'"config":',
    b'"status":',
    b'"value":',
    b"null",
    b"NaN",
    b"[]",
    b"{}",
    b"\n",
    b'"runner":',
    b'"grpo"',
)
ROW = {
    "group": "g",
    "experiment": "e",
    "config": {"lr": 0.1},
    "seed": 0,
    "value": 1.5,
    "status": "ok",
    "details": {"a": 1.0},
}
GROUPS = [Group("g", (Run("e", {"lr": 0.1}, 0), Run("e", {"lr": 0.1}, 0)))]


def seeds() -> list[bytes]:
    row = {**ROW, "seconds": 0.5, "device": "cpu"}
    flat = {k: v for k, v in row.items() if k != "details"} | {"config": '{"lr": 0.1}', "detail.a": 1.0}
    part = {"runner": "mixture", "settings": [{}], "device": "cpu"}
    return [
        as_lines([row, row]),
        as_columns([flat, flat]),
        json.dumps({"runner": "composite", "parts": [part]}).encode(),
    ]


def read(data: bytes) -> object:
    if b'"runner"' in data:
        put("suite-made/sweep.json", data)
        return runner_of(read_manifest(scratch() / "suite-made"))
    if data.startswith(b'{"group": [') or data.startswith(b"PAR1"):
        made = parquet(data)
        return None if made is None else read_runs(put("raw.parquet", made))
    return _read(put("runs.jsonl", data), GROUPS)
