"""A user's own command: how it is filled in, what its failures become, and the example from YAML to benchmark."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from autollmresearch.cli.main import main as autollmresearch
from llmconfig_gym.cli.main import main as llmconfig_gym
from llmconfig_gym.collect.command import CommandRunner
from llmconfig_gym.collect.driver import Measurement, Run, collect
from llmconfig_gym.collect.sweep_file import Sweep
from llmconfig_gym.errors import CollectError, InvalidCommand
from llmconfig_gym.experiment import Fidelity, Metric
from llmconfig_gym.parameter import Categorical, Grid
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Suite

EXAMPLE = Path(__file__).parents[3] / "examples" / "command_runner"
SWEEP = Sweep(
    "other",
    Metric("loss", "minimize", details={"kl": "divergence"}),
    Space((Grid("lr", (0.1, 0.2)), Categorical("way", ("a b", "$(touch pwned); x")))),
    (("low", Fidelity({"steps": 1}, 1.0)), ("high", Fidelity({"steps": 2}, 2.0))),
)


def runner(tmp_path: Path, code: str, timeout: float | None = None) -> CommandRunner:
    """Runs Python code with lr, way, steps and seed as its arguments."""
    script = tmp_path / "script.py"
    script.write_text(code)
    template = f"'{sys.executable}' '{script}' {{lr}} {{way}} --steps={{steps}} {{seed}}"
    return CommandRunner(template, SWEEP, tmp_path / "logs", timeout)


def measured(tmp_path: Path, code: str, timeout: float | None = None) -> Measurement:
    chosen = runner(tmp_path, code, timeout)
    (measurement,) = chosen.measure(chosen.groups()[0])
    return measurement


def test_the_template_is_filled_in_and_meets_no_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = runner(tmp_path, "import sys, json; print(json.dumps(sys.argv[1:])); print('loss=1')")
    runs = [group for group in chosen.groups() if group.runs[0].config == {"lr": 0.2, "way": "$(touch pwned); x"}]
    chosen.measure(runs[-1])
    log = (tmp_path / "logs" / f"{runs[-1].name}.log").read_text().splitlines()
    assert json.loads(log[1]) == ["0.2", "$(touch pwned); x", "--steps=2", "2"]
    assert not (tmp_path / "pwned").exists()


def test_every_combination_is_run_and_some_with_more_seeds(tmp_path: Path) -> None:
    runs = [run for group in runner(tmp_path, "").groups() for run in group.runs]
    assert len({json.dumps([r.experiment, r.config]) for r in runs}) == 8
    assert Run("steps1", {"lr": 0.2, "way": "a b"}, 2) in runs
    assert len(runs) == 2 * (4 + 3 * 2)
    unseeded = CommandRunner("x {lr} {way} {steps}", SWEEP, tmp_path)
    assert len(unseeded.groups()) == 8


@pytest.mark.parametrize(
    ("code", "status", "value"),
    [
        ("print('loss=7.5')", "ok", 7.5),
        ("print('loss: 3, kl=0.5'); print('loss: 2e-1')", "ok", 0.2),
        ("print('loss=nan')", "diverged", None),
        ("print('loss=-inf')", "diverged", None),
        ("print('no such thing')", "failed", None),
        ("print('loss=1'); raise SystemExit(3)", "failed", None),
        ("import os; print('loss=1', flush=True); os.kill(os.getpid(), 9)", "failed", None),
    ],
)
def test_what_becomes_of_a_run(tmp_path: Path, code: str, status: str, value: float | None) -> None:
    found = measured(tmp_path, code)
    assert (found.status, found.value) == (status, value)
    assert set(found.details) == {"kl"}


def test_a_run_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    code = f"""
import pathlib, subprocess, sys, time
child = "import time, pathlib; time.sleep(1.2); pathlib.Path({str(tmp_path / "late")!r}).touch()"
subprocess.Popen([sys.executable, "-c", child])
print("loss=1", flush=True)
time.sleep(30)
"""
    start = time.monotonic()
    found = measured(tmp_path, code, timeout=0.6)
    assert (found.status, found.value) == ("failed", None)
    assert time.monotonic() - start < 10
    time.sleep(1.0)
    assert not (tmp_path / "late").exists()
    assert "ended after 0.6 s" in (tmp_path / "logs" / "steps1-0-0.log").read_text()


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("", "is empty"),
        ("train '{lr} {way}", "cannot be split"),
        ("train {lr}", "has no {way}"),
        ("train {lr} {way} {sede}", "asks for {sede}; known: lr, seed, steps, way"),
    ],
)
def test_templates_that_cannot_work(tmp_path: Path, template: str, message: str) -> None:
    with pytest.raises(InvalidCommand, match=message):
        CommandRunner(template, SWEEP, tmp_path)


def test_fidelities_that_the_command_is_not_told_are_refused_unless_there_is_one(tmp_path: Path) -> None:
    two = replace(SWEEP, fidelities=(*SWEEP.fidelities[:1], ("high", Fidelity({"steps": 99}, 99.0))))
    with pytest.raises(InvalidCommand, match=r"none of \{steps\}: it would run the same thing at all 2 fidelities"):
        CommandRunner("train {lr} {way}", two, tmp_path)
    assert CommandRunner("train {lr} {way}", replace(SWEEP, fidelities=SWEEP.fidelities[:1]), tmp_path).groups()


def test_a_program_that_does_not_exist_stops_the_sweep(tmp_path: Path) -> None:
    chosen = CommandRunner("no-such-program {lr} {way} {steps}", SWEEP, tmp_path / "logs")
    with pytest.raises(CollectError, match="no-such-program cannot be run"):
        collect(chosen, tmp_path / "work", progress=False)


def test_a_sweep_without_any_value_points_at_the_logs(tmp_path: Path) -> None:
    chosen = runner(tmp_path, "raise SystemExit('out of luck')")
    rows = collect(chosen, tmp_path / "work", progress=False)
    with pytest.raises(CollectError, match="logs"):
        chosen.suite("mine", rows)


def test_the_example_from_yaml_to_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = f"'{sys.executable}' -S '{EXAMPLE / 'train.py'}'"
    command += " --lr {lr} --batch-size {batch_size} --examples {examples} --seed {seed}"
    argv = ["collect", "--out", "lines", "--command", command, "--space", str(EXAMPLE / "space.yaml")]
    assert llmconfig_gym([*argv, "--no-progress"]) == 0
    suite = Suite.load(Path("lines"))
    assert suite.ids == ("lines/examples64", "lines/examples256", "lines/examples1024")
    low, high = suite.experiment("lines/examples64"), suite.experiment("lines/examples1024")
    assert len(high.pool) == 30
    assert low.regret(low.best) == 0 < low.noise
    shown = capsys.readouterr().out
    assert "lines/examples1024" in shown
    benchmark = ["benchmark", "--suite", "lines", "--methods", "random,copy", "--budget", "2", "--seeds", "2"]
    assert autollmresearch([*benchmark, "--out", "benchmark", "--workers", "1", "--no-progress"]) == 0
    assert "copy" in capsys.readouterr().out
    assert llmconfig_gym(["verify", "lines"]) == 2
    assert "collect it again" in capsys.readouterr().err
