"""The leaderboard: made from rows alone, with those of a method of one's own; rows that do not compare are refused."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pandas as pd
import pytest

from autollmresearch.benchmark.leaderboard import read_rows, tables, write_leaderboard
from autollmresearch.benchmark.standing import Standing, duels, standings
from autollmresearch.benchmark.tables import overall
from autollmresearch.cli.main import main
from autollmresearch.errors import ResultsMismatch

ROOT = Path(__file__).parents[3]
METHODS = {"copy": 0.1, "random": 0.6, "<b>mine</b>": 0.3}


def rows(methods: dict[str, float], seeds: int = 4, trials: int = 2, suite: str = "micro") -> pd.DataFrame:
    """Rows of methods whose regret is this much, and a little more with each seed."""
    return pd.DataFrame(
        {
            "method": method,
            "suite": suite,
            "task": "grpo",
            "experiment": f"{suite}/e{e}",
            "protocol": "full",
            "seed": seed,
            "trial": trial,
            "simple_regret": regret + 0.01 * seed,
            "cumulative_regret": (regret + 0.01 * seed) * trial,
            "seconds": 0.0,
        }
        for method, regret in methods.items()
        for e in range(3)
        for seed in range(seeds)
        for trial in range(1, trials + 1)
    )


def saved(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_parquet(path)
    return path


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """A file of rows, alone in its directory."""
    (tmp_path / "rows").mkdir()
    return saved(rows(METHODS), tmp_path / "rows/known.parquet")


def test_the_page_is_made_from_rows_alone(known: Path, tmp_path: Path) -> None:
    frame = read_rows([known])
    page = write_leaderboard(tmp_path / "page.html", frame, tables(frame)).read_text()
    assert [p.name for p in known.parent.iterdir()] == [known.name]
    assert "&lt;b&gt;mine&lt;/b&gt;" in page
    assert "<b>" not in page
    assert "<svg" in page
    for cell in ("3 / 0 / 0", "0 / 0 / 3", ".115", "4 seeds"):
        assert cell in page, cell
    assert "://" not in page.partition("<svg")[0]


def test_the_numbers_are_those_of_a_benchmarks_own_report(known: Path) -> None:
    frame = pd.read_parquet(known)
    assert [t for _, t in tables(read_rows([known]))] == [overall(s) for s in standings(frame)]


def test_rows_of_a_method_of_ones_own_join_on_the_seeds_that_all_have(known: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    saved(rows({"python:mine.py:Best": 0.0}, seeds=2), tmp_path / "mine/results.parquet")
    frame = read_rows([known, tmp_path / "mine"])
    assert {*frame["seed"]} == {0, 1}
    ((standing, table),) = tables(frame, against="copy")
    assert [p.method for p in standing.places] == ["python:mine.py:Best", "copy", "<b>mine</b>", "random"]
    assert (standing.places[0].won, standing.places[3].lost) == (3, 3)
    assert "behind copy" in table.headers
    assert dict(zip(table.headers, table.rows[1], strict=True))["behind copy"] == "-"


def test_the_example_is_a_method_in_ten_lines() -> None:
    text = (ROOT / "examples/my_method.py").read_text()
    (method,) = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    assert method.end_lineno is not None
    assert method.end_lineno - method.lineno + 1 <= 10


def test_every_method_is_held_against_every_other(known: Path) -> None:
    found = {(a, b): counts for a, b, counts in duels(read_rows([known]), [*METHODS])}
    assert len(found) == 6
    assert found["copy", "random"] == (3, 0, 0)
    assert all(found[b, a] == counts[::-1] for (a, b), counts in found.items())


def test_the_kept_rows_of_the_repository_make_a_leaderboard() -> None:
    found: list[tuple[Standing, object]] = tables(read_rows([ROOT / "benchmarks/kept.parquet"], ["micro"]))
    assert {"full", "metered:10"} <= {standing.protocol for standing, _ in found}
    assert all("random" in {p.method for p in standing.places} for standing, _ in found)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (rows({"copy": 0.2}), "more than once"),
        (rows({"other": 0.2}, trials=3), "different numbers of trials"),
        (rows({"other": 0.2}, seeds=1).assign(seed=77), "no seed in common"),
        (rows({"other": 0.2}).drop(columns="seconds"), "no column seconds"),
    ],
)
def test_rows_that_do_not_compare_are_refused(
    known: Path, tmp_path: Path, more: pd.DataFrame, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = saved(more, tmp_path / "other.parquet")
    assert main(["leaderboard", str(known), str(other)]) != 0
    with pytest.raises(ResultsMismatch, match=message):
        read_rows([known, other])
    assert message in capsys.readouterr().err


def test_what_is_no_file_of_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_text("no")
    for path in (tmp_path / "rows.parquet", tmp_path):
        with pytest.raises(ResultsMismatch, match="no rows of a benchmark"):
            read_rows([path])


def test_the_command(known: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", str(known), "--out", str(tmp_path / "page.html")]) == 0
    out = capsys.readouterr().out
    assert "All 3 experiments, protocol full" in out
    assert (tmp_path / "page.html").is_file()
    assert main(["leaderboard", str(known), "--format", "json"]) == 0
    (standing,) = json.loads(capsys.readouterr().out)["standings"]
    assert standing["against"] == "copy"
    assert main(["leaderboard", str(known), "--against", "cpy"]) != 0
    assert "did you mean 'copy'" in capsys.readouterr().err
    assert main(["leaderboard", str(known), "--suite", "steplaw"]) != 0
    assert "no rows of steplaw" in capsys.readouterr().err
