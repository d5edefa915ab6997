"""Files become tables that remember their lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.importing.read import BadRow, Table, read_table


def write(tmp_path: Path, text: str | bytes, name: str = "runs.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_lines_survive_blank_lines_and_quoted_newlines(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, '\nlr,notes,loss\n1,"two\nlines",3\n\n2,x,4\n'))
    assert table.columns == ["lr", "notes", "loss"]
    assert table.lines == [3, 6]
    assert table.cells("notes") == ["two\nlines", "x"]
    assert table.unit == "line"


def test_torn_rows_are_kept(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a,b\n1,2\n1\n,\n1,2,3\n4,5\n"))
    assert table.lines == [2, 6]
    assert table.torn == (
        BadRow(3, "it has 1 fields where the header has 2"),
        BadRow(4, "every cell is empty"),
        BadRow(5, "it has 3 fields where the header has 2"),
    )
    assert table.rows == 5


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.csv", "a;b\n1;2\n"), ("a.csv", "a\tb\n1\t2\n"), ("a.tsv", "a\tb\n1\t2\n"), ("a.CSV", "a,b\n1,2\n")],
)
def test_delimiters(tmp_path: Path, name: str, text: str) -> None:
    table = read_table(write(tmp_path, text, name))
    assert table.cells("b") == ["2"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, b"\xef\xbb\xbflr,loss\n1,2\n")).columns == ["lr", "loss"]


def test_an_unnamed_column_gets_a_name(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, ",loss\n0,2\n")).columns == ["column 1", "loss"]


def test_jsonl_is_flattened_and_missing_keys_are_empty(tmp_path: Path) -> None:
    text = '{"config": {"lr": 1}, "loss": 2}\n\n{"config": null, "loss": NaN}\n'
    table = read_table(write(tmp_path, text, "r.jsonl"))
    assert table.columns == ["config.lr", "loss"]
    assert table.lines == [1, 3]
    assert table.cells("config.lr") == [1, None]


def test_mapping_columns_are_opened_and_their_torn_cells_reported(tmp_path: Path) -> None:
    text = 'config,loss\n"{""lr"": 0.1, ""x"": {""y"": 2}}",1\n"{\'lr\': 0.2}",2\n"{\'lr\': ",3\n,4\n'
    table = read_table(write(tmp_path, text))
    assert table.columns == ["config.lr", "config.x.y", "loss"]
    assert table.cells("config.lr") == [0.1, 0.2, None]
    assert [b.line for b in table.torn] == [4]
    assert "config cannot be read as JSON" in table.torn[0].why


def test_parquet_counts_rows_from_one(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "r.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"lr": [0.1, None], "c": [{"a": 1}, {"a": 2}]}), path)
    table = read_table(path)
    assert (table.unit, table.lines, table.columns) == ("row", [1, 2], ["lr", "c.a"])


def duplicated_parquet(path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([("lr", pyarrow.int64()), ("lr", pyarrow.int64())])
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays([[1], [2]], schema=schema), path)


def test_parquet_with_two_columns_of_one_name(tmp_path: Path) -> None:
    duplicated_parquet(tmp_path / "r.parquet")
    with pytest.raises(ImportProblem, match="two columns called 'lr'"):
        read_table(tmp_path / "r.parquet")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("r.csv", b"", "is empty"),
        ("r.csv", b" \n\n", "is empty"),
        ("r.csv", b"lr,loss\n", "holds no run"),
        ("r.csv", b"lr,loss\n1\n", "holds no run"),
        ("r.csv", b"lr,loss,lr\n1,2,3\n", "two columns called 'lr'"),
        ("r.csv", b"lr,loss\n1,\xff\n", r"not UTF-8 text \(line 2\)"),
        ("r.csv", b'lr,loss\n1,"2\n', "line 2: .*check the quotes"),
        ("r.csv", b"config,config.lr\n{'lr': 1},2\n", "'config.lr' is given twice"),
        ("r.jsonl", b'{"a": 1}\n{"a": \n', "line 2: not JSON"),
        ("r.jsonl", b'{"a": 1}\n[1]\n', "line 2: found a list"),
        ("r.jsonl", b'{"a": 1, "a": 2}\n', "line 1: .*'a' appears twice"),
        ("r.jsonl", b'{"a": ' + b"9" * 5000 + b"}\n", "line 1: not JSON"),
        ("r.jsonl", b'{"a": ' + b"[" * 100000 + b"\n", "line 1: not JSON"),
        ("r.jsonl", b"{}\n", "holds no run"),
        ("r.parquet", b"PAR1 not really", "cannot be read as Parquet"),
        ("r.xlsx", b"x", "ends in '.xlsx'; expected .csv"),
        ("runs", b"x", "has no ending"),
    ],
)
def test_problems_are_one_clear_line(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    with pytest.raises(ImportProblem, match=says) as caught:
        read_table(write(tmp_path, content, name))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ImportProblem, match="does not exist; expected"):
        read_table(tmp_path / "no.csv")
    with pytest.raises(ImportProblem, match="is a directory"):
        read_table(tmp_path)


def one_line(problem: ImportProblem) -> None:
    assert "\n" not in str(problem)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    content=st.binary(max_size=60) | st.text('ab,;"\n{}:1\t', max_size=60),
    ending=st.sampled_from(["csv", "tsv", "jsonl", "parquet"]),
)
def test_any_content_is_a_table_or_one_clear_line(tmp_path: Path, content: bytes | str, ending: str) -> None:
    path = write(tmp_path, content, f"r.{ending}")
    try:
        assert isinstance(read_table(path), Table)
    except ImportProblem as problem:
        one_line(problem)
