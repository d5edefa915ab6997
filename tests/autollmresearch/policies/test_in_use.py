"""Language models where methods are taken by name: the benchmark, `suggest`, the Optuna sampler."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from autollmresearch.cli.main import main
from autollmresearch.live import AutoLLMSampler

Says = Callable[..., dict[str, Any]]
THOUGHT = "Larger models want smaller steps."
SPACE = """
parameters:
  - {kind: real, name: lr, low: 1e-5, high: 1e-2, log: true}
  - {kind: grid, name: batch_size, levels: [64, 128, 256], log: true}
"""
RUNS = """N,tokens,lr,batch_size,val_loss
25M,5e8,1e-4,64,3.91
25M,5e8,1e-3,128,3.52
25M,5e8,1e-2,64,3.80
100M,2B,1e-3,128,3.21
100M,2B,3e-3,64,3.28
"""
SUGGEST = "suggest --from runs.csv --target N=7e9,tokens=2e10 --space space.yaml --budget 3 --policy endpoint:m"


def answer(lr: str, batch: int, thought: str = THOUGHT) -> str:
    return f'<think>{thought}</think>\n<config>{{"lr": {lr}, "batch_size": {batch}}}</config>'


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which everything is typed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs.csv").write_text(RUNS)
    (tmp_path / "space.yaml").write_text(SPACE)
    return tmp_path


def typed(command: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    """What a command prints."""
    assert main(shlex.split(command)) == code
    out, err = capsys.readouterr()
    return str(err if code else out)


def test_a_benchmark_cut_off_by_its_server_goes_on_where_it_stopped(
    server: Any, says: Says, small_path: Path, place: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    """Two targets, one cell each: in the second the server fails; asked again, it answers with the key itself."""
    methods = "random,endpoint:m:4b,retries=0,read_price=2,write_price=4"
    command = f"benchmark --suite {small_path} --methods {methods} --budget 2 --seeds 2 --out out --workers 1"
    good, wrong = says(answer("0.003", 16)), (401, {"error": {"message": f"wrong key: {key}"}}, {})
    server.script = [good] * 4 + [wrong]
    error = typed(f"{command} --no-progress", capsys, code=4)
    assert "m:4b at 127.0.0.1:" in error
    assert "wrong key: [key]" in error
    assert "repeat the command" in error
    server.script = [says(f"You are Bearer {key}.")]
    before = len(server.seen)
    typed(f"{command} --no-progress", capsys)
    late = 1  # the failed cell's other request, on its way when the first one failed, may be read only now
    assert before + 4 <= len(server.seen) <= before + 4 + late
    frame = pd.read_parquet(place / "out" / "results.parquet")
    mine = frame[frame["method"] == "endpoint:m:4b,retries=0,read_price=2,write_price=4"]
    assert mine["read_tokens"].tolist() == [10] * 8
    assert mine["written_tokens"].tolist() == [5] * 8
    assert mine["cost"].tolist() == pytest.approx([4e-5] * 8)
    others = frame[frame["method"] == "random"]
    assert (others[["read_tokens", "written_tokens", "cost"]] == 0).all(axis=None)
    assert [*mine["outcome"]][1::2] == ["duplicate", "duplicate", "invalid", "invalid"]
    assert key not in frame.to_json()
    assert "Bearer [key]" in frame.to_json(), "what the server repeated is in the rows"
    for path in place.rglob("*"):
        assert path.is_dir() or key.encode() not in path.read_bytes(), path


def test_another_server_under_the_same_results_is_refused(
    server: Any, says: Says, small_path: Path, place: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script = [says(answer("0.003", 16))]
    command = (
        f"benchmark --suite {small_path} --methods endpoint:m --budget 1 --seeds 1 --out out --workers 1 --no-progress"
    )
    typed(command, capsys)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v1")
    assert "holds results of other settings, tables, models" in typed(command, capsys, code=2)


def test_suggest_asks_the_model_and_keeps_what_it_thought(
    server: Any, says: Says, place: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    server.script = [says(answer("2.7e-4", 128)), says(answer("0.5", 256, "Go up.")), says("no idea", finish="length")]
    out = typed(f"{SUGGEST} --study big", capsys)
    assert "lr          0.00027" in out, "the model's own number, though no candidate is exactly there"
    assert f"why:      {THOUGHT}" in out
    assert "by:       endpoint:m" in out
    typed("tell big 0 2.31", capsys)
    second = json.loads(typed("suggest --study big --format json", capsys))
    assert second["config"] == {"lr": 0.01, "batch_size": 256}, "moved to the end of the range"
    assert second["reasoning"] == "Go up."
    heard = server.seen[1]["messages"]
    assert [m["role"] for m in heard] == ["user", "assistant", "user"]
    assert heard[1]["content"] == answer("2.7e-4", 128)
    assert "2.31" in heard[2]["content"]
    typed("tell big 1 2.4", capsys)
    third = json.loads(typed("suggest --study big --format json", capsys))
    assert "drawn at random: what was proposed is no configuration" in third["reasoning"]
    assert (
        THOUGHT in typed("status big", capsys) + typed("export big --out big.csv", capsys) + Path("big.csv").read_text()
    )
    for path in place.iterdir():
        assert key.encode() not in path.read_bytes(), path


def test_a_server_that_fails_spends_no_trial(
    server: Any, says: Says, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.script = [(404, {"error": {"message": "no model m"}}, {}), says(answer("1e-3", 64))]
    assert "no model m" in typed(f"{SUGGEST} --study big", capsys, code=4)
    assert "trial 0 of big (1 of 3 used" in typed(f"{SUGGEST} --study big", capsys)


def test_what_was_tried_is_not_tried_again(
    server: Any, says: Says, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.script = [says(answer("2.7e-4", 128))]
    first = json.loads(typed(f"{SUGGEST} --study big --format json", capsys))
    typed("tell big 0 2.31", capsys)
    again = json.loads(typed("suggest --study big --format json", capsys))
    assert first["config"] != again["config"]
    assert "(the nearest configuration that was not tried yet)" in again["reasoning"]


@pytest.mark.parametrize("step", [None, 0.001])
def test_the_sampler_asks_the_model_and_keeps_what_it_thought(server: Any, says: Says, step: float | None) -> None:
    space = {"lr": FloatDistribution(0.001, 0.101, step=step), "layers": IntDistribution(1, 40)}

    def text(lr: float, layers: int) -> dict[str, Any]:
        return says(f'<think>{THOUGHT}</think><config>{{"lr": {lr}, "layers": {layers}}}</config>')

    server.script = [text(0.0123, 7), text(0.0123, 7), text(0.0567, 9), says("I give up")]
    study = optuna.create_study(sampler=AutoLLMSampler(policy="endpoint:m,retries=0", space=space, seed=0))
    for value in (1.0, 2.0, 3.0, 4.0):
        study.tell(study.ask(space), value)
    first, repeated, other, lost = study.trials
    assert first.params == {"lr": pytest.approx(0.0123 if step is None else 0.012), "layers": 7}
    assert first.user_attrs["reasoning"] == THOUGHT
    assert first.user_attrs["policy"] == "endpoint:m,retries=0"
    assert repeated.params != first.params
    assert other.params == {"lr": pytest.approx(0.0567 if step is None else 0.057), "layers": 9}
    assert "drawn at random: what was proposed is no configuration" in lost.user_attrs["reasoning"]
    assert len(server.seen) == 4


def test_the_sampler_takes_a_checkpoint(checkpoint: Path) -> None:
    """Random weights write no configuration; each trial has one all the same."""
    space = {"lr": FloatDistribution(1e-5, 1e-1, log=True)}
    study = optuna.create_study(sampler=AutoLLMSampler(policy=f"agent:{checkpoint}", space=space, seed=0))
    study.optimize(lambda trial: trial.suggest_float("lr", 1e-5, 1e-1, log=True), n_trials=2)
    assert all("drawn at random" in t.user_attrs["reasoning"] for t in study.trials)
