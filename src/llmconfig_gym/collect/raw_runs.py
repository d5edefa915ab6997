"""`runs.parquet`: every run of a suite as it was measured, so that any number in the suite can be computed again.

One row per run: `group`, `experiment`, `config` (JSON), `seed`, `value` and `detail.*` (empty where the run gave no
finite number), `status`, `seconds`, `device`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from llmconfig_gym.collect.driver import Row
from llmconfig_gym.errors import CollectError

RAW_RUNS = "runs.parquet"
_DETAIL = "detail."


def write_runs(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows, in their order."""
    import pyarrow
    import pyarrow.parquet

    names = dict.fromkeys(name for row in rows for name in row.measurement.details)
    columns = {
        "group": pyarrow.array([r.group for r in rows], pyarrow.string()),
        "experiment": pyarrow.array([r.run.experiment for r in rows], pyarrow.string()),
        "config": pyarrow.array([json.dumps(r.run.config) for r in rows], pyarrow.string()),
        "seed": pyarrow.array([r.run.seed for r in rows], pyarrow.int64()),
        "value": pyarrow.array([r.measurement.value for r in rows], pyarrow.float64()),
        "status": pyarrow.array([r.measurement.status for r in rows], pyarrow.string()),
        **{_DETAIL + n: pyarrow.array([r.measurement.details.get(n) for r in rows], pyarrow.float64()) for n in names},
        "seconds": pyarrow.array([r.measurement.seconds for r in rows], pyarrow.float64()),
        "device": pyarrow.array([r.measurement.device for r in rows], pyarrow.string()),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), path, compression="zstd")


def read_runs(path: Path) -> list[Row]:
    """The rows that `write_runs` wrote.

    Raises:
        CollectError: there is no such file, or it holds something else.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            return [_row(data) for data in file.read().to_pylist()]
    except FileNotFoundError:
        raise CollectError(f"{path} is missing; only a suite made by `collect` keeps the runs it was made of") from None
    except (OSError, KeyError, ValueError, TypeError, pyarrow.ArrowException) as problem:
        raise CollectError(f"{path} cannot be read as runs: {problem}") from None


def _row(data: dict[str, object]) -> Row:
    return Row.from_json(
        json.dumps(
            {
                **data,
                "config": json.loads(str(data["config"])),
                "details": {k.removeprefix(_DETAIL): v for k, v in data.items() if k.startswith(_DETAIL)},
            }
        )
    )
