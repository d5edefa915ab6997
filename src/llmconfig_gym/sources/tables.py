"""Reading the public CSV tables: the columns a source was written for, or a clear refusal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.errors import SourceFormatError
from llmconfig_gym.parameter import FloatArray

Texts: TypeAlias = NDArray[np.str_]


def read_csv(path: Path, numbers: Sequence[str], texts: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """Columns of a CSV file, each an array [rows]: `numbers` as float64, `texts` as str.

    Raises:
        SourceFormatError: the file is no table, a column is missing, or a number is not one.
    """
    import pyarrow
    import pyarrow.csv

    wanted = [*numbers, *texts]
    types = {name: pyarrow.float64() for name in numbers} | {name: pyarrow.string() for name in texts}
    options = pyarrow.csv.ConvertOptions(column_types=types, include_columns=wanted, strings_can_be_null=False)
    try:
        table = pyarrow.csv.read_csv(path, convert_options=options)
    except (OSError, pyarrow.ArrowException) as problem:
        line = str(problem).splitlines()[0]
        raise SourceFormatError(f"{path} is not the table this version was made for: {line}") from None
    columns: dict[str, NDArray[Any]] = {}
    for name in wanted:
        column = table.column(name).to_numpy()
        columns[name] = column.astype(str) if name in texts else column
    for name in numbers:
        if not np.isfinite(columns[name]).all():
            raise SourceFormatError(f"{path}: column {name!r} has empty cells; expected a number in every row")
    return columns


def stack(columns: dict[str, NDArray[Any]], names: Sequence[str]) -> FloatArray:
    """Several number columns side by side, [rows, names]."""
    return np.stack([columns[name] for name in names], axis=1)
