"""`show`: a trajectory as a person reads it, or as JSON."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from autollmresearch.cli.main import main
from autollmresearch.dialogue import action
from autollmresearch.episode import run_episodes
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Proposal, State
from autollmresearch.trajectories import append_trajectories, read_trajectories, to_dict
from llmconfig_gym.experiment import Experiment


class Talker:
    """Reads the dialogue and says what it was told to: words, nothing, a mapping."""

    def propose(self, states: list[State]) -> list[Proposal]:
        return [self._one(state, len(state.trials)) for state in states]

    def _one(self, state: State, turn: int) -> Proposal:
        from autollmresearch.dialogue import conversation

        read = conversation(state)[-1]["content"]
        if turn == 0:
            return Proposal(action({"x": 2.4}, "between two\nand three"), "between two\nand three", prompt=read)
        if turn == 1:
            return Proposal("", prompt=read)
        return Proposal({"x": 1}, "the first")


@pytest.fixture
def file(line: Callable[..., Experiment], tmp_path: Path, lonely: Callable[[Experiment, int], Problem]) -> Path:
    """Two episodes of three turns."""
    e = line([3.0, 1.0, 2.0])
    append_trajectories(tmp_path / "t.jsonl", run_episodes(Talker(), [e, e], [lonely(e, 3)] * 2, [4, 5]))
    return tmp_path / "t.jsonl"


def test_a_trajectory_reads_as_a_conversation(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(file)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == "trajectory 1 of 2: lines/high-1, budget 3, seed 4, reward 0.333"
    assert lines[2] == "--- trial 1 of 3 ---"
    assert lines[3].startswith("read     Task: other.")
    assert all(
        not x or x.startswith(("read", "thought", "chose", "outcome", "reward", " " * 9, "---")) for x in lines[1:]
    )
    for piece in (
        "thought  between two\n         and three",
        'chose    <config>{"x": 2.4}</config>',
        "outcome  snapped 1 at x 2\nreward   0.333 of 0.333",
        "chose    (nothing)",
        "outcome  invalid: invalid: ",
        "thought  the first\nchose    x 1\noutcome  measured 3\nreward   0.000 of 0.333",
    ):
        assert piece in out


def test_which_one_is_chosen_by_its_number(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(file), "--index", "2", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == to_dict(list(read_trajectories(file))[1])


@pytest.mark.parametrize("index", ["0", "3", "-1"])
def test_a_number_that_is_none_is_one_line(file: Path, capsys: pytest.CaptureFixture[str], index: str) -> None:
    assert main(["show", str(file), f"--index={index}"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert f"holds 2 trajectories; --index is between 1 and that, found {index}" in err


def test_a_file_that_is_none_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "damaged.jsonl").write_text('{"experiment": 1}\n')
    for name, message in (("nothing.jsonl", "cannot be read"), ("damaged.jsonl", "line 1 is no trajectory")):
        assert main(["show", str(tmp_path / name)]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert message in err
