"""A user's CSV or TSV file of runs, made into a suite."""

from __future__ import annotations

from fuzz.scratch import put
from fuzz.tables import RUNS as ROWS
from fuzz.tables import as_csv, wandb
from llmconfig_gym.importing import import_table

RUNS, LONGEST = 20_000, 1500
WORDS = (
    *(
        b",",
        b"\n",
        b'"',
        b'""',
        b"\t",
        b";",
        b"\r",
        b"\xef\xbb\xbf",
        b"nan",
        b"inf",
        b"7B",
        b"-1",
        b"1e999",
        b"crashed",
        b"",
    ),
    *(
        b"loss",
        b"lr",
        b"N",
        b"tokens",
        b"seed",
        b"cost",
        b"{'a': 1}",
        b'"{""a"": {""value"": 1}}"',
        b"mix.web",
        b"mix.code",
    ),
)


def seeds() -> list[bytes]:
    shares = [
        {"N": n, "mix.web": w, "mix.code": 1 - w, "loss": w + 1e6 / n} for n in (10**6, 10**7) for w in (0.25, 0.5)
    ]
    return [
        as_csv(ROWS),
        as_csv(ROWS[:6], "\t"),
        as_csv(shares),
        as_csv([{k: str(v) for k, v in r.items()} for r in wandb(ROWS[:4])]),
    ]


def read(data: bytes) -> object:
    return import_table(put("runs.tsv" if b"\t" in data[:200] else "runs.csv", data), "mine")
