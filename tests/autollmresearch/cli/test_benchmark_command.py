"""The command line: one line for what is wrong, JSON alone on standard output, and a start without heavy imports."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from autollmresearch.cli.main import main

HEAVY = ("torch", "sklearn", "optuna", "matplotlib", "pandas", "plotly")


@pytest.fixture
def arguments(small_path: Path, tmp_path: Path) -> list[str]:
    """A benchmark that takes a moment."""
    options = ["--methods", "random,copy", "--budget", "3", "--seeds", "2", "--workers", "1", "--no-progress"]
    return ["benchmark", "--suite", str(small_path), *options, "--out", str(tmp_path / "out")]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command with bad input prints."""
    try:
        code: object = main(arguments)
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert err.startswith("autollmresearch")
    return err


def test_a_benchmark_ends_in_a_table_and_the_path_of_its_report(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "toy (pretraining), protocol full" in out
    assert "random" in out
    assert "copy" in out
    assert out.splitlines()[-1] == f"report: {tmp_path / 'out' / 'report.html'}"
    written = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert written == [
        *(
            "episodes.jsonl",
            "regret-toy-pretraining-full.png",
            "report.html",
            "report.md",
            "results.parquet",
            "settings.json",
            "targets.json",
        ),
    ]
    assert len(pd.read_parquet(tmp_path / "out" / "results.parquet")) == 2 * 2 * 2 * 3


def test_json_is_one_document_alone_on_standard_output(
    arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments.remove("--no-progress")
    assert main([*arguments, "--format", "json"]) == 0
    out, err = capfd.readouterr()
    data = json.loads(out)
    assert list(data) == ["report", "results", "groups", "standings"]
    assert Path(data["report"]).is_file()
    assert Path(data["results"]).is_file()
    (group,) = data["groups"]
    assert [m["method"] for m in group["methods"]] == ["random", "copy"]
    assert "benchmark" in err  # the progress bar
    assert main(["report", str(tmp_path / "out"), "--format", "json"]) == 0
    assert json.loads(capfd.readouterr().out) == data


def test_the_report_command_makes_the_same_report_again(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(arguments)
    first = capsys.readouterr().out
    made = {n: (tmp_path / "out" / n).read_bytes() for n in ("report.md", "report.html")}
    for name in made:
        (tmp_path / "out" / name).unlink()
    assert main(["report", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == first
    assert {n: (tmp_path / "out" / n).read_bytes() for n in made} == made


def test_all_stands_for_every_method_and_may_be_joined(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autollmresearch.methods.ALL", ("random", "copy", "sha"))
    arguments[arguments.index("random,copy")] = "all,pooled-quadratic"
    assert main(arguments) == 0
    frame = pd.read_parquet(arguments[arguments.index("--out") + 1] + "/results.parquet")
    assert list(dict.fromkeys(frame["method"])) == ["random", "copy", "sha", "pooled-quadratic"]
    assert set(frame[frame["method"] == "sha"]["outcome"]) == {"not applicable"}, "it serves another protocol"


def test_methods_with_options_may_be_listed_or_repeated(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = arguments.index("--methods")
    arguments[at : at + 2] = ["--methods", "pooled-gp:points=20,random", "--methods", "copy"]
    assert main([*arguments, "--protocol", "metered:2,full"]) == 0
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())["settings"]
    assert settings["methods"] == ["pooled-gp:points=20", "random", "copy"]
    assert settings["protocols"] == ["metered:2", "full"]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--methods", "randm", "no method is called 'randm'; did you mean 'random'?"),
        ("--methods", "random,tpe:start=3", "no option is called 'start'; legal options with their defaults: startup"),
        ("--protocol", "ful", "'ful' is not a protocol; did you mean 'full'?"),
        ("--protocol", "full,metred:5", "'metred:5' is not a protocol; did you mean 'metered:10'?"),
        ("--protocol", "full,active:0", "'active:0' is not a protocol; did you mean 'active:1'?"),
        ("--suite", "micr", "no suite is called 'micr'; did you mean 'micro'"),
        ("--budget", "0", "budget must be at least 1, found 0"),
        ("--budget", "two", "argument --budget: invalid int value: 'two'"),
        ("--seeds", "-1", "seeds must be at least 1, found -1"),
        ("--workers", "0", "--workers must be at least 1, found 0"),
        ("--level", "low", "argument --level: invalid choice: 'low'"),
        ("--budgets", "3", "unrecognized arguments: --budgets 3"),
    ],
)
def test_bad_input_is_one_line_and_nothing_written(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    value: str,
    expected: str,
) -> None:
    if option in arguments:
        at = arguments.index(option)
        del arguments[at : at + 2]
    assert expected in refused([*arguments, option, value], capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_place_to_write_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert "the following arguments are required: --out" in refused(["benchmark"], capsys)


def test_other_settings_in_the_same_place_are_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(arguments)
    capsys.readouterr()
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    line = refused([*arguments, "--level", "medium"], capsys)
    assert "holds results of other settings, tables, models or another version" in line
    assert "choose another --out, or remove it to start over" in line
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before


def test_a_place_that_cannot_be_written_to_is_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("a file")
    assert str(tmp_path / "out") in refused(arguments, capsys)


def test_damaged_results_are_one_line(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(arguments)
    capsys.readouterr()
    (tmp_path / "out" / "results.parquet").write_bytes(b"PAR1")
    for command in (arguments, ["report", str(tmp_path / "out")]):
        assert "results.parquet is damaged; remove" in refused(command, capsys)
    (tmp_path / "out" / "settings.json").write_text("{")
    assert "settings.json is missing or damaged" in refused(arguments, capsys)


def test_a_report_of_nothing_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds no results.parquet; run: autollmresearch benchmark" in refused(["report", str(tmp_path)], capsys)


@pytest.mark.parametrize(
    "program",
    [
        "import autollmresearch",
        "import autollmresearch.cli.main",
        "import autollmresearch.methods; autollmresearch.methods.make_policy('gp')",
        "from autollmresearch.cli.main import main\ntry: main(['--help'])\nexcept SystemExit as e: assert not e.code",
        "from autollmresearch.cli.main import main\ntry: main(['benchmark', '--help'])\nexcept SystemExit: pass",
    ],
    ids=["package", "command line", "methods", "help", "help of a command"],
)
def test_nothing_heavy_is_imported_before_it_is_needed(program: str, tmp_path: Path) -> None:
    look = f"\nimport sys; print('loaded:', *sorted(set({HEAVY!r}) & set(sys.modules)))"
    command = [sys.executable, "-c", program + look]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "loaded:"
    assert list(tmp_path.iterdir()) == []
