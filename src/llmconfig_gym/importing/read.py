"""Reading a user's runs into one flat table that remembers where each row came from.

CSV, TSV, JSON, JSONL and Parquet files, and what other programs keep (`trackers`). Nested objects, and columns whose
cells all hold a JSON object or a printed dictionary (W&B's `config` and `summary`), become dotted columns. A row that
cannot be read is kept as a `BadRow`, never lost.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.experiment import Direction
from llmconfig_gym.importing.nested import Cell, flatten, loads, parse_mapping
from llmconfig_gym.importing.source import Source
from llmconfig_gym.importing.trackers import read_tracker
from llmconfig_gym.parameter import shown

if TYPE_CHECKING:
    import pandas as pd

Records: TypeAlias = list[tuple[int, dict[str, Any]]]
_MAX_CELL = 10_000_000


@dataclass(frozen=True)
class BadRow:
    """One row that is not used. `line` is its line in the file (its number from 1 where there are no lines)."""

    line: int
    why: str


@dataclass(frozen=True, eq=False)
class Table:
    """A file of runs, as it was read.

    Attributes:
        path: where it came from.
        frame: cells as read (None, bool, int, float or str; text stripped), indexed by line; columns in file order.
        unit: what the index counts: `line` of a text file, `row` or `run` of anything else.
        torn: rows that could not be read at all.
        objectives: the columns that the source itself says are optimised, and which way is better.
    """

    path: Path
    frame: pd.DataFrame
    unit: Literal["line", "row", "run"]
    torn: tuple[BadRow, ...] = ()
    objectives: Mapping[str, Direction] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows the file has, unreadable ones included."""
        return len(self.frame) + len(self.torn)

    @property
    def columns(self) -> list[str]:
        """Column names, in file order."""
        return [str(c) for c in self.frame.columns]

    def cells(self, column: str) -> list[Cell]:
        """One column's cells, in file order."""
        return list(self.frame[column])

    @property
    def lines(self) -> list[int]:
        """For each row of the frame its line."""
        return [int(i) for i in self.frame.index]


def read_table(source: Path | Source) -> Table:
    """Read runs: a file, whose ending says how (.csv, .tsv, .json, .jsonl, .parquet), or what a tracker keeps.

    Raises:
        ImportProblem: it is missing, of another kind, not UTF-8, damaged, empty, or has two columns of one name.
        MissingExtra: it needs a package that is not installed.
    """
    source = source if isinstance(source, Source) else Source(str(source), str(source))
    path = source.path
    if (runs := read_tracker(source)) is not None:
        frame = _frame(path, list(enumerate((dict(r) for r in runs.records), start=1)))
        if frame.empty:
            raise ImportProblem(f"{source.name} holds no run")
        return Table(path, frame, "run", (), runs.objectives)
    readers: dict[str, Callable[[Path], tuple[Records, list[BadRow]]]] = {
        ".csv": _read_delimited,
        ".tsv": _read_delimited,
        ".json": _read_json,
        ".jsonl": _read_jsonl,
        ".ndjson": _read_jsonl,
        ".parquet": _read_parquet,
        ".pq": _read_parquet,
    }
    if not path.is_file():
        if (path / "suite.json").is_file():
            raise ImportProblem(f"{path} is a suite already; say its path where a suite is asked for")
        what = "is a directory" if path.is_dir() else "does not exist"
        raise ImportProblem(f"{path} {what}; expected a file of runs (.csv, .tsv, .json, .jsonl or .parquet)")
    reader = readers.get(path.suffix.lower())
    if reader is None:
        ending = f"ends in {path.suffix!r}" if path.suffix else "has no ending"
        raise ImportProblem(
            f"{path.name} {ending}; expected .csv, .tsv, .json, .jsonl or .parquet, so export it as one of these"
        )
    try:
        records, torn = reader(path)
        torn += _open_mappings(records)
        frame = _frame(path, records)
    except OSError as problem:
        raise ImportProblem(f"{path} cannot be read: {problem.strerror or problem}") from None
    except RecursionError:
        raise ImportProblem(f"{path.name} holds a record that is nested too deeply; flatten it first") from None
    if frame.empty:
        raise ImportProblem(f"{path.name} holds no run that can be read; expected a header and one row per run")
    return Table(path, frame, "row" if reader in (_read_parquet, _read_json) else "line", tuple(torn))


def _text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw[: problem.start].count(b"\n") + 1
        raise ImportProblem(f"{path.name} is not UTF-8 text (line {line}); save it again as UTF-8") from None
    if not text.strip():
        raise ImportProblem(f"{path.name} is empty; expected a header and one row per run")
    return text


def _read_delimited(path: Path) -> tuple[Records, list[BadRow]]:
    text = _text(path)
    first = next(line for line in text.splitlines() if line.strip())
    marks = "\t" if path.suffix.lower() == ".tsv" else ",;\t"
    delimiter = max(marks, key=first.count)
    before = csv.field_size_limit(_MAX_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    records: Records = []
    torn: list[BadRow] = []
    start = 1
    try:
        for fields in reader:
            line, start = start, reader.line_num + 1
            if not any(f.strip() for f in fields):
                if len(fields) > 1 and header is not None:
                    torn.append(BadRow(line, "every cell is empty"))
            elif header is None:
                header = _header(path, fields)
            elif len(fields) != len(header):
                torn.append(BadRow(line, f"it has {len(fields)} fields where the header has {len(header)}"))
            else:
                records.append((line, dict(zip(header, fields, strict=True))))
    except csv.Error as problem:
        raise ImportProblem(f"{path.name}, line {start}: {problem}; check the quotes there") from None
    finally:
        csv.field_size_limit(before)
    return records, torn


def _header(path: Path, fields: Sequence[str]) -> list[str]:
    names = [" ".join(f.split()) or f"column {i}" for i, f in enumerate(fields, start=1)]
    _refuse_repeated(path, names)
    return names


def _refuse_repeated(path: Path, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ImportProblem(f"{path.name} has two columns called {shown(name)}; rename or remove one of them")
        seen.add(name)


def _read_jsonl(path: Path) -> tuple[Records, list[BadRow]]:
    records: Records = []
    for line, text in enumerate(_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            value = loads(text)
        except ValueError as problem:
            why = str(problem).split("; use sys.set_int_max_str_digits")[0]  # Python's advice, not ours
            raise ImportProblem(f"{path.name}, line {line}: not JSON ({why}); expected one object per line") from None
        if not isinstance(value, dict):
            found = type(value).__name__
            raise ImportProblem(f"{path.name}, line {line}: found a {found}, expected one JSON object per line")
        records.append((line, value))
    return records, []


def _read_json(path: Path) -> tuple[Records, list[BadRow]]:
    """One JSON document: a list of runs."""
    try:
        value = loads(_text(path))
    except ValueError as problem:
        why = str(problem).split("; use sys.set_int_max_str_digits")[0]  # Python's advice, not ours
        raise ImportProblem(f"{path.name} is not JSON ({why}); expected a list of objects, one per run") from None
    if not isinstance(value, list) or not all(isinstance(r, dict) for r in value):
        raise ImportProblem(f"{path.name} holds no list of objects; expected one object per run")
    return list(enumerate(value, start=1)), []


def _read_parquet(path: Path) -> tuple[Records, list[BadRow]]:
    import pyarrow
    import pyarrow.parquet

    try:
        _refuse_repeated(path, pyarrow.parquet.read_schema(path).names)
        rows = pyarrow.parquet.read_table(path, partitioning=None).to_pylist()
        return list(enumerate(rows, start=1)), []
    except (pyarrow.ArrowException, ValueError, OverflowError) as problem:
        first = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise ImportProblem(f"{path.name} cannot be read as Parquet: {first}; write it again or use CSV") from None


def _open_mappings(records: Records) -> list[BadRow]:
    """Replace, in place, cells of mapping columns by their mappings; rows whose mapping is torn are taken out."""
    candidates = {k for _, r in records for k, v in r.items() if isinstance(v, str) and v.lstrip().startswith("{")}
    texts = {k: [v.strip() for _, r in records if isinstance(v := r.get(k), str) and v.strip()] for k in candidates}
    mappings = {k for k, cells in texts.items() if all(c.startswith("{") for c in cells)}
    torn: dict[int, BadRow] = {}
    for line, record in records:
        for name in sorted(mappings & record.keys()):
            if isinstance(text := record[name], str) and text.strip():
                try:
                    record[name] = parse_mapping(text)
                except ValueError as problem:
                    torn[line] = BadRow(line, f"{name} cannot be read as JSON: {problem}")
            elif isinstance(text, str):
                record[name] = None
    records[:] = [(line, record) for line, record in records if line not in torn]
    return list(torn.values())


def _refuse_half_characters(path: Path, line: int, name: str, cell: Cell) -> None:
    """JSON can spell half a character (\\ud800), which no text may hold."""
    for text in (name, cell):
        if isinstance(text, str) and not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
            raise ImportProblem(f"{path.name}, line {line}: {shown(text)} holds half a character; remove it")


def _frame(path: Path, records: Records) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, list[Cell]] = {}
    nested: set[str] = set()  # columns that are a mapping in some row; where it is missing they are no cell
    for i, (line, record) in enumerate(records):
        nested.update(k for k, v in record.items() if isinstance(v, dict) and v)
        for name, cell in flatten(record):
            _refuse_half_characters(path, line, name, cell)
            column = columns.get(name)
            if column is None:
                column = columns[name] = [None] * len(records)
            if column[i] is not None:
                raise ImportProblem(
                    f"{path.name}, line {line}: {shown(name)} is given twice; rename or remove one of them"
                )
            column[i] = cell
    kept = {k: c for k, c in columns.items() if k not in nested or any(v is not None for v in c)}
    index = pd.Index([line for line, _ in records], name="line", dtype="int64")
    return pd.DataFrame(kept, index=index, dtype=object)
