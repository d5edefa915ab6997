"""`train`: one line per step or one JSON document, one line for what is wrong, and a way on after Ctrl-C."""

import json
from pathlib import Path
from typing import Any

import pytest

from autollmresearch.cli.main import main
from autollmresearch.training import curate, prior


@pytest.fixture
def arguments(tmp_path: Path, small_path: Path) -> list[str]:
    """A step that takes a moment."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"curate: {{suites: [{small_path}], budgets: [2, 3]}}\n")
    return ["train", "curate", "--recipe", str(recipe), "--out", str(tmp_path / "run"), "--no-progress"]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command with bad input prints."""
    try:
        code: object = main(arguments)
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    return err


def test_a_step_ends_in_a_line_or_in_json(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr() == ("curate     0 s: samples 2\n", "")
    assert main([*arguments, "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "run": str(tmp_path / "run"),
        "steps": [json.loads((tmp_path / "run" / "curate" / "manifest.json").read_text())],
    }
    assert told["steps"][0]["counts"] == {"samples": 2, "by_task": {"pretraining": 2}}


def test_other_settings_in_the_same_place_are_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(arguments)
    capsys.readouterr()
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("[2, 3]", "[2]"))
    assert "was made with another curate.budgets (then [2, 3], now [2]); choose another --out" in refused(
        arguments, capsys
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("curat: {}", "recipe.yaml: did you mean 'curate'? the keys are seed, model, agent, prior"),
        ("curate: {budget: [1]}", "recipe.yaml: curate has no 'budget'; did you mean 'budgets'?"),
        ("curate: {budgets: [0]}", "recipe.yaml: curate: budgets are at least 1 trial; found [0]"),
        ("curate: {suites: [nowhere]}", "no suite is called 'nowhere'"),
        ("distill: {sft: {precision: fp8}}", "recipe.yaml: distill.sft.precision is bf16 or fp32; found 'fp8'"),
        ("curate: [", "recipe.yaml cannot be read as YAML"),
    ],
)
def test_a_bad_recipe_is_one_line_and_nothing_written(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    assert message in refused(arguments, capsys)
    assert not (tmp_path / "run").exists()


def test_what_is_missing_is_asked_for(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "the following arguments are required: --recipe, --out" in refused(["train", "all"], capsys)
    assert "invalid choice: 'distil'" in refused(["train", "distil", *arguments[2:]], capsys)
    assert "recipe.yml cannot be read: No such file" in refused([*arguments, "--recipe", "recipe.yml"], capsys)
    assert "prior/checkpoint does not exist; make it first: autollmresearch train prior" in refused(
        ["train", "simulate", *arguments[2:]], capsys
    )


def test_ctrl_c_says_how_to_go_on(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []

    def stopped(*_: Any, **__: Any) -> None:
        ran.append("prior")
        raise KeyboardInterrupt

    monkeypatch.setattr(prior, "prior", stopped)
    monkeypatch.setattr(curate, "curate", lambda *_, **__: ran.append("curate"))
    arguments[1] = "all"
    assert main(arguments) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("interrupted. What was finished is kept: run the same command again to go on.\n")
    assert ran == ["prior"]


def test_only_the_first_of_many_processes_speaks(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    for extra in ([], ["--format", "json"]):
        assert main([*arguments, *extra]) == 0
        assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("step", ["curate", "simulate", "all"])
def test_what_runs_in_one_process_says_so(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    arguments[1] = step
    assert f"{step} runs in one process, found 2; run it without accelerate launch" in refused(arguments, capsys)


@pytest.mark.parametrize("variable", ["ACCELERATE_USE_FSDP=true", "ACCELERATE_DEEPSPEED_ZERO_STAGE=3"])
def test_episodes_of_a_model_whose_weights_are_shared_need_an_engine(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    monkeypatch.setenv(*variable.split("="))
    arguments[1] = "reinforce"
    assert "set reinforce.vllm: true" in refused(arguments, capsys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "2"], "--workers goes with --backend ray"),
        (["--backend", "ray", "--workers", "0"], "--workers must be at least 1, found 0"),
        (["--gpus", "1"], "--gpus is a number of at least 0 and goes with --backend ray, found 1"),
        (
            ["--backend", "ray", "--gpus", "-1"],
            "--gpus is a number of at least 0 and goes with --backend ray, found -1",
        ),
        (["--backend", "ray"], "--backend ray is for simulate, not for prior"),
    ],
)
def test_where_to_run_is_checked_first(
    arguments: list[str], capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    arguments[1] = "prior"
    assert message in refused([*arguments, *options], capsys)


def test_help_teaches_the_steps_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    out = capsys.readouterr().out
    for step in ("prior", "curate", "simulate", "distill", "reinforce"):
        assert f"  {step} " in out
    assert "autollmresearch train all --recipe recipes/cpu-smoke.yaml --out runs/smoke" in out
    assert "accelerate launch -m autollmresearch train" in out
