"""Tables as the seeds of several targets: runs as people export them, and columns as a Parquet file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

RUNS: list[dict[str, Any]] = [
    {
        "name": f"run-{i}",
        "state": "finished",
        "N": n,
        "tokens": 20 * n,
        "lr": lr,
        "batch_size": b,
        "val_loss": 9.0 / n**0.08 + lr,
    }
    for i, (n, lr, b) in enumerate((n, lr, b) for n in (10**6, 10**7, 10**8) for lr in (1e-3, 3e-3) for b in (16, 32))
]


def as_csv(rows: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    """Comma- or tab-separated, with a header."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def as_lines(rows: list[dict[str, Any]]) -> bytes:
    """JSON lines."""
    return "".join(json.dumps(r) + "\n" for r in rows).encode()


def wandb(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As W&B exports them: the settings in `config`, each with a description, the results in `summary`."""
    settings = ("N", "tokens", "lr", "batch_size")
    return [
        {
            "name": r["name"],
            "state": r["state"],
            "config": {
                **{k: {"value": r[k], "desc": None} for k in settings},
                "_wandb": {"value": {"cli_version": "1"}},
            },
            "summary": {"val_loss": r["val_loss"], "_runtime": 12.5, "_step": 100},
        }
        for r in rows
    ]


def as_columns(rows: list[dict[str, Any]]) -> bytes:
    """`{"column": [cells]}` in JSON: what `parquet` makes a file of."""
    return json.dumps({k: [r[k] for r in rows] for k in rows[0]}).encode()


def parquet(data: bytes) -> bytes | None:
    """The bytes of a Parquet file: `data` itself, or, where it is JSON, the columns that it describes.

    So the bytes of a file and the kinds of its columns are both changed. None for JSON of which no file can be made.
    """
    if not data.startswith(b"{"):
        return data
    import pyarrow
    import pyarrow.parquet

    sink = io.BytesIO()
    try:
        columns = json.loads(data)
        assert isinstance(columns, Mapping)
        pyarrow.parquet.write_table(pyarrow.table(dict(columns)), sink)
    except (
        ValueError,
        TypeError,
        RecursionError,
        OverflowError,
        AssertionError,
        AttributeError,
        KeyError,
        pyarrow.ArrowException,
    ):
        return None
    return sink.getvalue()
