"""SQLite files as inputs: the bytes of one, or JSON that says what stands in its tables.

Bytes alone seldom get past SQLite's own checks. What a reader has to bear is a sound database with odd cells in it: an
input may be `{"table": {"column": [cells]}}`. No column has a type, so every cell stays what it is.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from itertools import zip_longest
from typing import Any

from fuzz.scratch import put
from llmconfig_gym.importing import Source, import_table


def database(data: bytes) -> bytes | None:
    """The bytes of a SQLite file: `data` itself, or, where it is JSON, the tables that it describes.

    None for JSON of which no file can be made.
    """
    if not data.startswith(b"{"):
        return data
    try:
        tables = json.loads(data)
        with closing(sqlite3.connect(":memory:")) as made:
            made.execute("PRAGMA page_size = 512")  # as many bytes as there is content, for the fuzzer to change
            for table, columns in tables.items():
                _fill(made, table, columns)
            made.commit()
            return made.serialize()
    except (sqlite3.Error, ValueError, TypeError, AttributeError, RecursionError):
        return None


def imported(name: str, data: bytes) -> object:
    """What `import` makes of the database under this name: of all of it, or of what is called `cheap` in it."""
    made = database(data)
    if made is None:
        return None
    path = str(put(name, made))
    return import_table(Source(path, path, ("cheap",) if len(data) % 2 else ()), "mine")


def described(file: bytes) -> bytes:
    """The JSON of which `database` makes a file with the same tables."""
    tables: dict[str, dict[str, list[Any]]] = {}
    with closing(sqlite3.connect(":memory:")) as made:
        made.deserialize(file)
        for (table,) in made.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            rows = made.execute(f"SELECT * FROM {_quoted(table)}")
            names, cells = [d[0] for d in rows.description], rows.fetchall()
            tables[table] = {name: [row[i] for row in cells] for i, name in enumerate(names)}
    return json.dumps(tables).encode()


def _fill(made: sqlite3.Connection, table: str, columns: Mapping[str, list[Any]]) -> None:
    made.execute(f"CREATE TABLE {_quoted(table)} ({', '.join(map(_quoted, columns))})")
    for row in zip_longest(*columns.values()):
        places, cells = zip(*map(_cell, row), strict=True)
        made.execute(f"INSERT INTO {_quoted(table)} VALUES ({', '.join(places)})", cells)


def _cell(value: Any) -> tuple[str, Any]:
    """How SQL names a cell, and its value: a list of bytes is a blob; half a character makes text that is no UTF-8."""
    if isinstance(value, list) and all(isinstance(v, int) and 0 <= v < 256 for v in value):
        return "?", bytes(value)
    if isinstance(value, dict | list):
        return "?", json.dumps(value)
    if isinstance(value, int) and abs(value) >= 2**63:
        return "?", str(value)
    if isinstance(value, str) and not value.isascii():
        return "CAST(? AS TEXT)", value.encode("utf-8", "surrogatepass")
    return "?", value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
