"""Results as data frames, in one call: the rows of a benchmark, or the trials of a live study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from autollmresearch.errors import InvalidSettings
from llmconfig_gym.errors import missing_extra

if TYPE_CHECKING:
    import pandas as pd


@overload
def results(place: str | Path, *, storage: str | None = ..., as_: Literal["pandas"] = ...) -> pd.DataFrame: ...
@overload
def results(place: str | Path, *, storage: str | None = ..., as_: Literal["polars"]) -> Any: ...


def results(place: str | Path, *, storage: str | None = None, as_: Literal["pandas", "polars"] = "pandas") -> Any:
    """What a benchmark or a live study has found, one row per trial.

    Args:
        place: the directory of a benchmark (its `--out`), or a study: by its name, or the directory it is run in.
        storage: the URL of the study's storage; by default as the command line has it.
        as_: which library's frame: `pandas.DataFrame`, or `polars.DataFrame`.

    Returns:
        A benchmark's rows (columns: docs/benchmark.md), or a study's trials as `autollmresearch export` writes them,
        cheap phases first. Trials that are open or failed are there, with their state and without a value.

    Raises:
        ResultsMismatch: the benchmark is not finished, or its rows are damaged.
        StudyProblem, StorageProblem: there is no such study.
        MissingExtra: polars is not installed.
        InvalidSettings: `as_` is something else.
    """
    if as_ not in ("pandas", "polars"):
        raise InvalidSettings(f"results are given as_='pandas' or as_='polars', found {as_!r}")
    frame = _frame(Path(place), storage)
    if as_ == "pandas":
        return frame
    try:
        import polars
    except ImportError:
        raise missing_extra("polars", "polars", "a polars frame") from None
    return polars.from_pandas(frame)


def _frame(place: Path, storage: str | None) -> pd.DataFrame:
    import pandas as pd

    from autollmresearch.benchmark.runner import holds_results, read_results
    from autollmresearch.live.export import rows_of
    from autollmresearch.live.reach import reach_study

    if storage is None and holds_results(place):
        return read_results(place)
    return pd.DataFrame(rows_of(reach_study(str(place), storage)))
