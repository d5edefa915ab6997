"""What a training step reads of the steps before it: samples, simulated episodes, metrics, manifests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from autollmresearch.training.curate import read_samples
from autollmresearch.training.step import read_manifest
from fuzz.scratch import put
from fuzz.tables import as_lines

RUNS, LONGEST = 150_000, 1000
WORDS = (
    b'"target":',
    b'"cheaper":',
    b'"budget":',
    b'"metered:3"',
    b'"seed":',
    b"null",
    b"NaN",
    b"[]",
    b"{}",
    b"\n",
    b"1e999",
)


def seeds() -> list[bytes]:
    sample = {"target": "micro/none", "cheaper": ["micro/nothing"], "protocol": "metered:3", "budget": 3, "seed": 0}
    manifest = {
        "step": "curate",
        "seed": 0,
        "settings": {},
        "inputs": {"suite": {"path": "a", "sha256": "b"}},
        "counts": {},
    }
    return [as_lines([sample, sample]), json.dumps(manifest).encode()]


def read(data: bytes) -> object:
    readers: tuple[Callable[[Path], object], str] = (
        (lambda path: read_manifest(path.parent), "step/manifest.json")
        if b"inputs" in data
        else (read_samples, "samples.jsonl")
    )
    reader, name = readers
    return reader(put(name, data))
