"""A step that is killed outright, at whatever moment, goes on and ends with the weights of one that was not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autollmresearch.cli.main import main
from autollmresearch.dialogue import action
from autollmresearch.episode import Trajectory, Turn
from autollmresearch.policies.causal_lm import AgentSettings
from autollmresearch.policy import Proposal
from autollmresearch.training.reporting import read_metrics
from autollmresearch.trajectories import append_trajectories
from llmconfig_gym.experiment import Outcome

RECIPE = "distill: {sft: {epochs: 60, batch_size: 4, learning_rate: 1e-3, log_every: 4, save_every: 4}}\n"


@pytest.fixture
def arguments(
    tiny_tokenizer: Callable[..., Any], tiny_model: Callable[..., Any], tmp_path: Path
) -> Callable[[str], Any]:
    """The command that distills a run of this name."""
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    tokenizer = tiny_tokenizer()
    turns = [Turn(Proposal(action({"x": x}), prompt="read"), Outcome("measured", {"x": x}, 1.0), 0.5) for x in range(8)]

    def make(name: str) -> list[str]:
        checkpoint = tmp_path / name / "prior" / "checkpoint"
        tokenizer.save_pretrained(checkpoint)
        tiny_model(tokenizer).save_pretrained(checkpoint)
        AgentSettings().save(checkpoint)
        trajectories = [Trajectory("lines/x", 1, 0, (turn,)) for turn in turns]
        append_trajectories(tmp_path / name / "simulate" / "trajectories.jsonl", trajectories)
        options = ["--recipe", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / name), "--no-progress"]
        return ["train", "distill", *options]

    return make


def test_killed_and_finished(arguments: Callable[[str], Any], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    command = arguments("killed")
    out = tmp_path / "killed" / "distill"
    # a checkpoint is written every few milliseconds: any moment may be in the middle of one
    process = subprocess.Popen([sys.executable, "-m", "autollmresearch", *command], cwd=tmp_path)
    while process.poll() is None and not any(m["step"] >= 30 for m in read_metrics(out / "metrics.jsonl")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (out / "manifest.json").exists()
    assert main(command) == 0
    assert main(arguments("whole")) == 0
    ours, theirs = (load_file(tmp_path / n / "distill/checkpoint/model.safetensors") for n in ("killed", "whole"))
    assert ours.keys() == theirs.keys()
    assert all(ours[k].equal(theirs[k]) for k in ours)
    logged = [
        [m["loss"] for m in read_metrics(tmp_path / n / "distill/metrics.jsonl") if "loss" in m]
        for n in ("killed", "whole")
    ]
    assert logged[0] == logged[1]
    assert len(logged[0]) == 30
