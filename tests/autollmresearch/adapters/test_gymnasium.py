"""The dialogue as a Gymnasium environment: its own checker, and what a seed decides."""

from __future__ import annotations

from typing import Any

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from autollmresearch.adapters.dialogue_env import DialogueEnv
from autollmresearch.errors import InvalidProtocol
from llmconfig_gym.errors import EpisodeOver, UnknownName

NAME = "autollmresearch.adapters.dialogue_env:LLMDialogue-v0"
TARGETS = ("micro/N25k-D1M", "micro/mixture-N25k-D524k-loss", "micro/grpo-addition-n13824-a3072")


@pytest.mark.parametrize("experiment", TARGETS)
def test_gymnasiums_own_checker_is_content(experiment: str) -> None:
    check_env(gymnasium.make(NAME, experiment=experiment, budget=2, render_mode="ansi").unwrapped)


def test_a_seed_draws_what_is_known_of_cheaper_runs_and_none_draws_anew() -> None:
    env = DialogueEnv("micro/N25k-D1M")
    assert env.reset(seed=1)[0] == env.reset(seed=1)[0] != env.reset(seed=2)[0]
    assert env.reset()[0] != env.reset()[0]
    full = DialogueEnv("micro/N25k-D1M", protocol="full")
    assert full.reset(seed=1)[0] == full.reset(seed=2)[0]


def test_a_sampled_action_is_a_configuration_that_can_be_told() -> None:
    env = DialogueEnv("micro/mixture-N25k-D524k-loss", budget=2)
    env.reset(seed=0)
    env.action_space.seed(0)
    kinds = [env.step(env.action_space.sample())[4]["outcome"]["kind"] for _ in range(2)]
    assert set(kinds) <= {"measured", "snapped"}


@pytest.mark.parametrize(
    "garbage", [None, float("nan"), {("a", "tuple"): object()}, {"lr": float("nan")}, "\ud800", b"{}"]
)
def test_whatever_is_answered_costs_a_trial_and_raises_nothing(garbage: Any) -> None:
    env = DialogueEnv("micro/N25k-D1M", budget=2)
    env.reset(seed=0)
    for left in (1, 0):
        text, reward, _, _, info = env.step(garbage)
        assert (float(reward), info["outcome"]["kind"], info["trials_left"]) == (0.0, "invalid", left)
        assert text.endswith("left.")


def test_what_comes_after_the_last_trial_earns_nothing_and_counts_for_nothing() -> None:
    env = DialogueEnv("micro/N25k-D1M", budget=1, evidence=True, render_mode="ansi")
    assert "Expected:" in env.reset(seed=0)[0]
    text, reward, over, _, info = env.step('<config>{"lr": 0.0078, "batch_size": 4}</config>')
    assert (over, info["trials_left"]) == (True, 0)
    assert float(reward) > 0
    assert text.endswith("0 trials left.")
    text, reward, over, _, info = env.step('<config>{"lr": 0.0078, "batch_size": 8}</config>')
    assert (float(reward), over, info["outcome"]["kind"]) == (0.0, True, "over_budget")
    assert env.render() == text


def test_what_cannot_be_played_says_so() -> None:
    with pytest.raises(EpisodeOver, match="call reset first"):
        DialogueEnv("micro/N25k-D1M").step("{}")
    with pytest.raises(InvalidProtocol):
        DialogueEnv("micro/N25k-D1M", protocol="active:3")
    with pytest.raises(UnknownName, match="did you mean"):
        DialogueEnv("micro/N25k-D1")
