"""The command: what it shows, what it writes, and what it refuses."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmconfig_gym.catalog import load_experiment
from llmconfig_gym.cli import import_command
from llmconfig_gym.cli.common import Parser, run_command
from llmconfig_gym.errors import GymError
from llmconfig_gym.suite import Suite

Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `import` as the program does, in a directory of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(*argv: object) -> int:
        parser = Parser(prog="llmconfig-gym")
        commands: Any = parser.add_subparsers(parser_class=Parser)
        import_command.register(commands)
        return run_command(parser, ["import", *map(str, argv)], (GymError,))

    return run


def test_the_table_shows_guess_bad_rows_and_what_to_do_next(
    run: Run, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(sweep, "--name", "mine") == 0
    out = capsys.readouterr().out
    for shown in (
        "it never varies: always adamw",
        "line 8: the metric val_loss is NaN",
        "line 10: lr is 'auto', not a number",
        "70 of 72 rows are used; 2 are not",
        "lr: grid, 5 levels from 1.0e-4 to 0.01, log",
        "mine/N400M-tokens8B",
        "written to mine",
        "llmconfig-gym list mine",
        "autollmresearch benchmark --suite mine",
    ):
        assert shown in out
    assert Suite.load(Path("mine")).ids[-1] == "mine/N400M-tokens8B"


def test_json_is_one_document_and_nothing_else(run: Run, sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sweep, "--name", "mine", "--out", "made", "--format", "json") == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out, parse_constant=lambda c: pytest.fail(f"{c} is not JSON"))
    assert document["path"] == "made"
    assert document["roles"]["parameters"] == ["lr", "batch_size"]
    assert {"column": "seed", "role": "ignored"}.items() <= document["columns"][5].items()
    assert document["report"]["bad"][0] == {"line": 8, "why": "the metric val_loss is NaN"}
    assert document["report"]["used"] + len(document["report"]["bad"]) == document["report"]["read"]
    assert [e["level"] for e in document["experiments"]] == ["low", "medium", "high"]


def test_the_commands_it_advises_name_what_it_wrote(run: Run, sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sweep, "--name", "mine", "--out", "my suites/first", "--format", "json") == 0
    _, show, tell, benchmark = (shlex.split(c) for c in json.loads(capsys.readouterr().out)["next"])
    assert load_experiment(show[2]).id == "mine/N400M-tokens8B"
    assert load_experiment(tell[2]).tell(json.loads(tell[3])).kind == "measured"
    assert benchmark[3] == "my suites/first"


def test_a_dry_run_writes_nothing(run: Run, sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sweep, "--dry-run") == 0
    assert "nothing was written" in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_flags_reach_the_import(run: Run, sweep: Path, mixture: Path) -> None:
    flags = [
        "--parameters",
        "lr, batch_size",
        "--fidelity",
        "N",
        "--metric",
        "train_loss",
        "--minimize",
        "--task",
        "grpo",
    ]
    flags += ["--details", "val_loss", "--ignore", "tokens", "--linear", "lr", "--categorical", "batch_size"]
    assert run(sweep, "--name", "a", *flags, "--levels", "low=2,high=1") == 0
    suite = Suite.load(Path("a"))
    target = suite.experiment(suite.ids[-1])
    assert (target.metric.name, target.task, list(target.details)) == ("train_loss", "grpo", ["val_loss"])
    assert [p.kind for p in target.space.parameters] == ["grid", "categorical"]
    assert [s.level for s in suite.summaries] == ["low", "low", "high"]
    assert (
        run(mixture, "--name", "b", "--simplex", "w=mix_web,mix_code,mix_math", "--maximize", "--cost", "model_size")
        == 0
    )
    target = Suite.load(Path("b")).experiment("b/model_size1B")
    assert target.space["w"].legal().endswith("over web, code, math")
    assert target.space.names == ("w",)
    assert (target.metric.direction, target.fidelity.cost) == ("maximize", 1e9)


def test_no_fidelity(run: Run, shapes: Path) -> None:
    assert run(shapes, "--fidelity", "") == 0
    assert Suite.load(Path("shapes")).ids == ("shapes/all",)


def test_an_existing_suite_is_replaced_only_when_told(
    run: Run, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine").mkdir()
    assert run(sweep, "--name", "mine") == 0  # an empty directory is no loss
    assert run(sweep, "--name", "mine") == 2
    assert "mine exists already; choose another place with --out, or say --replace" in capsys.readouterr().err
    assert run(sweep, "--name", "mine", "--replace", "--metric", "train_loss") == 0
    assert Suite.load(Path("mine")).summaries[0].metric.name == "train_loss"


def test_nothing_but_a_suite_is_ever_replaced(run: Run, sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("full").mkdir()
    Path("full/thesis.tex").write_text("years of work")
    assert run(sweep, "--name", "mine", "--out", "full", "--replace") == 2
    assert "it holds thesis.tex" in capsys.readouterr().err
    assert Path("full/thesis.tex").read_text() == "years of work"
    Path("file").write_text("x")
    assert run(sweep, "--name", "mine", "--out", "file", "--replace") == 2
    assert run(sweep, "--name", "mine", "--out", sweep.parent, "--replace") == 2
    assert sweep.is_file()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--metric", "valloss"], "did you mean 'val_loss'"),
        (["--simplex", "w"], "such as weights=web,code,math"),
        (["--simplex", "w=a", "--simplex", "w=b"], "--simplex w=b: expected a new name"),
        (["--levels", "low=3"], "at least one high"),
        (["--levels", "3"], "such as low=6,medium=4,high=7"),
        (["--name", "a/b"], "cannot be a suite's name"),
        (["--minimize", "--maximize"], "not allowed with"),
        (["--out", "/proc/nowhere/mine"], "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    run: Run, sweep: Path, capsys: pytest.CaptureFixture[str], flags: list[str], says: str
) -> None:
    import re

    try:
        code = run(sweep, *flags)
    except SystemExit as stop:  # argparse's own refusals
        code = int(str(stop.code))
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert re.search(says, captured.err)
    assert captured.err.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_long_lists_are_cut_in_the_table_only(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "many.csv"
    path.write_text("lr,loss\n" + "".join(f"{i},{'' if i > 3 else i}\n" for i in range(1, 60)))
    assert run(path, "--dry-run") == 0
    assert "... and 36 more; --format json lists all" in capsys.readouterr().out
    assert run(path, "--dry-run", "--format", "json") == 0
    assert len(json.loads(capsys.readouterr().out)["report"]["bad"]) == 56


def test_register_sets_run() -> None:
    parser = argparse.ArgumentParser()
    import_command.register(parser.add_subparsers())
    assert parser.parse_args(["import", "x.csv"]).run is import_command.run_import
