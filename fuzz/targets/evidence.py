"""A file of cheaper runs, read towards the target of a study."""

from __future__ import annotations

from autollmresearch.live.runs_file import read_evidence
from fuzz.scratch import put
from fuzz.tables import RUNS as ROWS
from fuzz.tables import as_csv, as_lines, wandb
from llmconfig_gym.parameter import Grid, Real
from llmconfig_gym.space import Space

RUNS, LONGEST = 15_000, 4500
WORDS = (b",", b"\n", b'"', b"N", b"tokens", b"lr", b"val_loss", b"7B", b"nan", b"1e999", b"-1", b"{", b"}", b"seed")
SPACE = Space((Real("lr", 1e-4, 1e-2, log=True), Grid("batch_size", (8, 16, 32), log=True)))


def seeds() -> list[bytes]:
    return [as_csv(ROWS), as_csv(ROWS[:6]), as_lines(ROWS), as_lines(wandb(ROWS))]


def read(data: bytes) -> object:
    path = put("runs.jsonl" if data.startswith(b"{") else "runs.csv", data)
    return read_evidence(path, {"N": 7e9, "tokens": 1.4e11}, SPACE if len(data) % 2 else None)
