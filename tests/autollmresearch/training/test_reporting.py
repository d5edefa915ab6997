"""What a trainer says: lines of a file that a resumed run goes on with, and nothing on standard output."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autollmresearch.errors import InvalidRecipe
from autollmresearch.policies.chat import Chat
from autollmresearch.training.reporting import Bar, MetricsFile, check_reporter, read_metrics
from autollmresearch.training.sft import SftSettings, fine_tune


def state(step: int, first: bool = True) -> SimpleNamespace:
    """A trainer's state as callbacks see it."""
    return SimpleNamespace(global_step=step, max_steps=10, is_world_process_zero=first)


def test_a_resumed_run_cuts_off_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": s, "loss": 1.0}) + "\n" for s in (2, 4, 6)) + '{"step": 8, "lo')
    assert [m["step"] for m in read_metrics(path)] == [2, 4, 6]
    metrics = MetricsFile(path)
    metrics.on_train_begin(None, state(4), None)
    metrics.on_log(None, state(6), None, {"loss": 0.5, "num_tokens": 7.0})
    assert [(m["step"], m["loss"]) for m in read_metrics(path)] == [(2, 1.0), (4, 1.0), (6, 0.5)]
    assert "num_tokens" not in path.read_text()
    metrics.on_train_begin(None, state(0), None)  # a run from the beginning
    assert read_metrics(path) == []
    assert read_metrics(tmp_path / "nothing.jsonl") == []


def test_only_the_first_of_many_processes_writes_and_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics, bar = MetricsFile(tmp_path / "metrics.jsonl"), Bar("title")
    for callback in (metrics, bar):
        callback.on_train_begin(None, state(0, first=False), None)
        callback.on_log(None, state(1, first=False), None, {"loss": 1.0})
    bar.on_step_end(None, state(1, first=False), None)
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


def test_the_bar_goes_on_where_the_run_does(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar("title")
    bar.on_train_begin(None, state(4), None)
    bar.on_log(None, state(5), None, {"loss": 0.25, "epoch": 1.0})
    bar.on_step_end(None, state(5), None)
    bar.close()
    out, err = capsys.readouterr()
    assert out == ""
    assert "title:  40%" in err
    assert "5/10" in err
    assert "loss=0.25" in err
    assert "epoch" not in err


def test_a_reporter_of_the_trainers_follows_live_and_keeps_its_files(
    tiny_tokenizer: Callable[..., Any], tiny_model: Callable[..., Any], tmp_path: Path
) -> None:
    """TensorBoard, as the one that needs no account: the same numbers as in metrics.jsonl."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tokenizer = tiny_tokenizer()
    row = Chat(tokenizer).encode([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])
    settings = SftSettings(epochs=3, batch_size=2, log_every=1, report_to="tensorboard")
    fine_tune(tiny_model(tokenizer), tokenizer, [row] * 2, settings, tmp_path, progress=False)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    told = [m["loss"] for m in read_metrics(tmp_path / "metrics.jsonl") if "loss" in m]
    assert [e.value for e in events.Scalars("train/loss")] == pytest.approx(told)
    assert len(told) == 3


@pytest.mark.parametrize("name", ["nothing-of-the-kind", "swanlab"])
def test_a_reporter_that_is_unknown_or_missing_is_refused(name: str) -> None:
    with pytest.raises(InvalidRecipe, match="report_to"):
        check_reporter(name)
