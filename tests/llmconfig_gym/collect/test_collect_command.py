"""The commands `collect` and `verify`: what they show, what they refuse, and their exit codes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmconfig_gym.cli.main import main
from llmconfig_gym.collect.driver import MANIFEST, RUNS
from llmconfig_gym.collect.embed import CONTENTS
from llmconfig_gym.collect.pretraining import PretrainingRunner, PretrainingSetting
from llmconfig_gym.suite import Suite

pytestmark = pytest.mark.usefixtures("little_validation")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tmp_path: Path,
    tiny: tuple[PretrainingSetting, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs a command in a directory of its own, with a tiny sweep in place of the embedded one: code, out, err."""
    monkeypatch.chdir(tmp_path)
    nothing_else = dict.fromkeys(("architecture", "mixture", "grpo"), ())
    monkeypatch.setattr("llmconfig_gym.collect.runners._MICRO", {"pretraining": tiny, **nothing_else})

    def run(*argv: str) -> tuple[int, str, str]:
        code = main([*argv, "--no-progress"])
        return code, *capsys.readouterr()

    return run


def test_a_sweep_becomes_a_suite_and_is_verified(run: Run) -> None:
    code, out, err = run("collect", "--out", "mine")
    assert code == 0
    assert err == "36 runs, about 1 seconds of one core, on 1 at a time\n"
    assert "mine/N3k-D384" in out
    assert "mine: 36 runs, 0 of them diverged or failed; its card is mine/README.md" in out
    assert {p.name for p in Path("mine").iterdir()} == CONTENTS
    assert Suite.load(Path("mine")).ids == ("mine/N3k-D384", "mine/N3k-D1k")
    card = Path("mine/README.md").read_text()
    assert "llmconfig-gym collect --out mine\n" in card
    assert "`train.py`" in card

    code, out, err = run("verify", "mine", "--rows", "3", "--seed", "5")
    assert code == 0
    assert "3 runs (--seed 5), about 1 seconds on one core" in err
    assert "3 of 3 runs came out as stored" in out

    index = json.loads(Path("mine/suite.json").read_text())
    index["experiments"][0]["noise"] *= 2
    Path("mine/suite.json").write_text(json.dumps(index))
    code, out, err = run("verify", "mine", "--rows", "1")
    assert code == 1
    assert "wrong: mine/N3k-D384 is not what runs.parquet gives" in out
    code, out, err = run("verify", "mine", "--rows", "1", "--format", "json")
    assert code == 1
    assert json.loads(out)["ok"] is False
    assert json.loads(out)["checks"][0]["ok"] is True


def test_json_is_one_document_and_nothing_else(run: Run) -> None:
    code, out, _ = run("collect", "--out", "a/b", "--name", "some", "--experiments", "N3k-D384", "--format", "json")
    assert code == 0
    data = json.loads(out)
    assert (data["suite"], data["path"], data["runs"]) == ("some", "a/b", 18)
    assert [e["id"] for e in data["experiments"]] == ["some/N3k-D384"]
    assert "--experiments N3k-D384" in Path("a/b/README.md").read_text()


def test_it_resumes_and_replaces(run: Run) -> None:
    assert run("collect", "--out", "mine")[0] == 0
    tables = {p.name: p.read_bytes() for p in Path("mine/tables").iterdir()}
    lines = Path("mine.work", RUNS).read_text().splitlines(keepends=True)
    Path("mine.work", RUNS).write_text("".join(lines[:12]))
    code, _, err = run("collect", "--out", "mine", "--replace")
    assert code == 0
    assert "24 runs (12 of 36 are measured already)" in err
    assert {p.name: p.read_bytes() for p in Path("mine/tables").iterdir()} == tables
    assert "all 36 runs are measured already" in run("collect", "--out", "mine", "--replace")[2]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--runner", "pretaining"], "did you mean 'pretraining'"),
        (["--experiments", "N3k-D1M"], "did you mean 'N3k-D1k'"),
        (["--workers", "0"], "--workers must be at least 1"),
        (["--name", "two words"], "cannot be the suite's name"),
        (["--name", "steplaw"], "cannot be the suite's name"),
        (["--command", "train {lr}"], "--command and --space go together"),
        (["--space", "space.yaml"], "--command and --space go together"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(run: Run, argv: list[str], message: str) -> None:
    code, out, err = run("collect", "--out", "mine", *argv)
    assert (code, out) == (2, "")
    assert message in err
    assert not list(Path().iterdir())


def test_a_device_that_is_not_there_is_one_line(run: Run) -> None:
    code, _, err = run("collect", "--out", "mine", "--device", "abacus")
    assert code == 2
    assert "device 'abacus' cannot be used here" in err


def test_what_is_there_is_not_overwritten(run: Run) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("years of work")
    for argv in ([], ["--replace"]):
        code, _, err = run("collect", "--out", "mine", *argv)
        assert code == 2
        assert "it holds thesis.tex" in err
    assert run("collect", "--out", "other", "--experiments", "N3k-D384")[0] == 0
    shutil.rmtree("other.work")
    assert "say --replace" in run("collect", "--out", "other")[2]
    assert not Path("other.work").exists()


def test_ctrl_c_says_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = PretrainingRunner.measure

    def interrupted(self: PretrainingRunner, group: Any) -> Any:
        if group.name.endswith("-b4"):
            raise KeyboardInterrupt
        return measure(self, group)

    monkeypatch.setattr(PretrainingRunner, "measure", interrupted)
    code, out, err = run("collect", "--out", "mine")
    assert (code, out) == (130, "")
    assert "run the same command again" in err
    assert len(Path("mine.work", RUNS).read_text().splitlines()) == 6
    assert not Path("mine").exists()


def test_verify_refuses_what_was_not_collected(run: Run, tmp_path: Path) -> None:
    assert run("collect", "--out", "mine", "--experiments", "N3k-D384")[0] == 0
    Path("mine", MANIFEST).unlink()
    for argv, message in (
        (["mine"], "only suites made by"),
        (["micor"], "did you mean 'micro'"),
        (["micro", "--rows", "0"], "found a wish to verify 0"),
    ):
        code, out, err = run("verify", *argv)
        assert (code, out) == (2, "")
        assert message in err
