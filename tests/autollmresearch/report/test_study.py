"""What is said of a study, and of two: the numbers of its storage, and the optimum only when it is over."""

from collections.abc import Callable
from pathlib import Path

import pytest

from autollmresearch.cli.main import main
from autollmresearch.live.study import LiveStudy
from autollmresearch.report.compare import compare_studies
from autollmresearch.report.study import study_run

Propose = Callable[..., int]


def test_every_trial_is_there_with_its_reason_its_expectation_and_its_outcome(
    study: LiveStudy, hostile: tuple[str, ...]
) -> None:
    run = study_run(study)
    assert [(t["n"], t["value"], t["status"]) for t in run["progress"]["trials"]] == [
        (0, 2.25, "complete"),
        (1, None, "failed"),
        (2, None, "open"),
    ]
    (experiment,) = run["experiments"]
    turns = experiment["episodes"][0]["turns"]
    assert [t["thought"] for t in turns] == list(hostile)
    assert [t["told"] for t in turns] == ["val_loss 2.25", f"failed: {hostile[0]}", "not told yet"]
    assert {t["expected"] for t in turns} == {"2.3 ± 0.1"}
    assert turns[0]["likely"] == ["60 %: lr 1.0e-3, batch 32, act a"]
    assert [layer["label"].split(",")[0] for layer in experiment["layers"]] == ["cheaper runs", "this study's trials"]
    assert [layer["runs"] for layer in experiment["layers"]] == [6, 1]
    assert experiment["tables"][1]["rows"] == (("N 1.0e6 (1.0e6 FLOPs)", "6", "2.4", "lr 1.0e-3, batch 32, act a"),)
    assert run["costs"]["rows"][0][1:4] == ("3", "3", "3.0e9 FLOPs")


def test_the_optimum_is_shown_once_there_will_be_no_better_one(study: LiveStudy) -> None:
    assert study_run(study)["experiments"][0]["optimum"] is None
    study.tell(2, 2.125)
    assert study_run(study)["experiments"][0]["optimum"]["value"] == 2.125


def test_a_study_without_trials_can_be_looked_at(make_study: Callable[..., LiveStudy]) -> None:
    run = study_run(make_study())
    assert run["facts"][-1] == "No trial has a value yet."
    assert [layer["runs"] for layer in run["experiments"][0]["layers"]] == [6]


def test_two_studies_are_put_side_by_side(
    study: LiveStudy, make_study: Callable[..., LiveStudy], propose: Propose
) -> None:
    other = make_study("other", budget=1, policy="copy")
    propose(other, 3e-3)
    other.tell(0, 2.0)
    (table,) = compare_studies([study, other])["tables"]
    shown = {row[0]: row[1:] for row in table["rows"]}
    assert table["headers"] == ("", "big", "other")
    assert shown["best value"] == ("2.25 (trial 0)", "2 (trial 0)")
    assert shown["trials"] == ("3 of 3", "1 of 1")
    assert shown["proposed by"] == ("random", "copy")


def test_the_command_writes_one_file_or_says_in_one_line_why_not(
    study: LiveStudy,
    make_study: Callable[..., LiveStudy],
    small_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    make_study("other")
    assert main(["report", "big", "--storage", study.url]) == 0
    assert main(["report", "big", "other", "--storage", study.url, "--out", "both.html"]) == 0
    assert capsys.readouterr().out == "report: big.html\nreport: both.html\n"
    assert {p.name for p in tmp_path.glob("*.html")} == {"big.html", "both.html"}
    assert main(["report", "bog", "--storage", study.url]) == 2
    assert "did you mean 'big'" in capsys.readouterr().err
    assert main(["report", str(small_path), "big"]) == 2
    assert "are a benchmark and a study; compare two of a kind" in capsys.readouterr().err
