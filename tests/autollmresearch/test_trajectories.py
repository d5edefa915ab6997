"""Files of trajectories: what was saved comes back, and a killed process loses at most the line it was writing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from autollmresearch.episode import Trajectory, Turn, run_episodes
from autollmresearch.errors import TrajectoryProblem
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Candidate, Policy, Proposal, Tokens, Usage
from autollmresearch.trajectories import append_trajectories, read_trajectories
from llmconfig_gym.experiment import Experiment, Outcome


@pytest.fixture
def played(
    line: Callable[..., Experiment], lonely: Callable[..., Problem], scripted: Callable[..., Policy]
) -> Trajectory:
    e = line([3.0, 2.0, 1.0])
    return run_episodes(scripted({"x": 2}, "nothing", {"x": 2}, object()), [e], [lonely(e, 4)], [7])[0]


LIKELY = (Candidate({"x": 1}, 0.75), Candidate({"x": 2}, 0.25))


def spoken(seed: int) -> Trajectory:
    tokens = Tokens((1, 2, 3), (4, 5), (-0.5, -0.25))
    words = "<think>because</think><config>{}</config>"
    said = Proposal(words, "because", prompt="Task", tokens=tokens, usage=Usage(3, 2, 0.5), candidates=LIKELY)
    silent = Proposal("", prompt="Read on")
    turns = (
        Turn(said, Outcome("measured", {"x": 1}, 2.0, {"kl": 0.1}), 0.5, 0.25),
        Turn(silent, Outcome("invalid"), 0.0),
    )
    return Trajectory("lines/x", 2, seed, turns)


def test_what_was_saved_comes_back(tmp_path: Path, played: Trajectory) -> None:
    path = tmp_path / "deep" / "t.jsonl"
    append_trajectories(path, [spoken(1)])
    append_trajectories(path, [spoken(2), played])
    first, second, third = read_trajectories(path)
    assert [first, second] == [spoken(1), spoken(2)]
    assert third.outcomes == played.outcomes
    assert third.reward == played.reward
    assert isinstance(third.turns[3].proposal.config, str), "whatever it was, it is shown in words"


def test_tokens_follow_each_other_with_their_mask_and_log_probabilities() -> None:
    both = replace(spoken(0), turns=spoken(0).turns * 2)
    assert both.ids() == [1, 2, 3, 4, 5] * 2
    assert both.own() == [False, False, False, True, True] * 2
    assert both.logprobs() == [0.0, 0.0, 0.0, -0.5, -0.25] * 2


def test_a_line_is_for_people_too(tmp_path: Path) -> None:
    append_trajectories(tmp_path / "t.jsonl", [spoken(3)])
    data = json.loads((tmp_path / "t.jsonl").read_text())
    assert data["turns"][0]["read"] == "Task"
    assert data["turns"][0]["wrote"].startswith("<think>because")
    assert data["turns"][0]["outcome"]["value"] == 2.0
    assert data["reward"] == 0.5


@pytest.mark.parametrize("torn", ["{", '{"experiment": "x"}', "x" * 200_000, "\ufffd"])
def test_a_line_that_was_being_written_is_dropped_and_written_over(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "t.jsonl"
    append_trajectories(path, [spoken(1)])
    with path.open("ab") as file:
        file.write(torn.encode()[:-1])
    assert list(read_trajectories(path)) == [spoken(1)]
    append_trajectories(path, [spoken(2)])
    assert list(read_trajectories(path)) == [spoken(1), spoken(2)]


@pytest.mark.parametrize(
    "bad", ["not JSON", "[]", "{}", "null", '{"experiment": 1, "budget": 1, "seed": 0, "turns": [{}]}']
)
def test_a_damaged_line_is_named(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "t.jsonl"
    append_trajectories(path, [spoken(1)])
    path.write_text(path.read_text() + bad + "\n")
    with pytest.raises(TrajectoryProblem, match="line 2 is no trajectory"):
        list(read_trajectories(path))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(TrajectoryProblem, match="cannot be read"):
        list(read_trajectories(tmp_path / "none.jsonl"))
