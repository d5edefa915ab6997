"""`play`: an episode as it comes, or as JSON."""

import json
from pathlib import Path

import pytest

from autollmresearch.cli.main import main
from llmconfig_gym.catalog import load_suite


@pytest.fixture
def target(small_path: Path) -> str:
    """A measured experiment by its path."""
    return f"{small_path}/{load_suite(str(small_path)).split('high')[0].id.rpartition('/')[2]}"


def test_an_episode_is_shown_as_it_comes(target: str, shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["play", target, "--protocol", "metered:10", "--budget", "2"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    first, second = out.split("--- trial 2 of 2 ---")
    assert first.startswith("\n--- trial 1 of 2 ---\nread     Task: pretraining.")
    for part in (first, second):
        labels = [line.split(" ")[0] for line in part.splitlines() if line[:1].isalpha()]
        assert labels[:6] == ["read", "thought", "chose", "best", "outcome", "reward"]
    assert out.splitlines()[-1].startswith("researcher-mini on toy/")


def test_as_json_with_the_probabilities(target: str, shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "play",
        target,
        "--policy",
        "researcher-mini:top=1",
        "--decode",
        "score",
        "--budget",
        "2",
        "--seed",
        "1",
    ]
    assert main([*arguments, "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["policy"], told["protocol"]) == ("researcher-mini:top=1,decode=score", "full")
    assert (told["budget"], told["seed"], len(told["turns"])) == (2, 1, 2)
    for turn in told["turns"]:
        chances = [c["probability"] for c in turn["candidates"]]
        assert len(chances) == 5
        assert chances == sorted(chances, reverse=True)
        assert turn["candidates"][0]["config"] == turn["outcome"]["config"]


def test_any_method_plays(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["play", target, "--policy", "copy", "--budget", "1"]) == 0
    out = capsys.readouterr().out
    assert "\nchose    lr " in out
    assert "best" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere/x"], "no suite is called 'nowhere'"),
        (["x"], "no experiment is called 'x'"),
        (["micro/N98k-D1M", "--budget", "0"], "--budget is at least 1 and --seed at least 0, found 0 and 0"),
        (["micro/N98k-D1M", "--seed=-1"], "found 3 and -1"),
        (["micro/N98k-D1M", "--policy", "copy", "--decode", "score"], "'copy' does not decode"),
        (["micro/N98k-D1M", "--policy", "copy", "--protocol", "half"], "'half' is not a protocol"),
    ],
)
def test_what_cannot_be_played_is_one_line(
    arguments: list[str], message: str, shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["play", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
