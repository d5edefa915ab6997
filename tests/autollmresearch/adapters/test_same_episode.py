"""An episode through an adapter is the episode played directly, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.dialogue import Style, conversation, reasoning
from autollmresearch.episode import Trajectory, run_episodes
from autollmresearch.policy import Proposal, State
from autollmresearch.trajectories import to_dict
from llmconfig_gym.catalog import load_suite


@dataclass(frozen=True)
class Answers:
    """A language model that gives these answers, whatever it reads."""

    words: tuple[str, ...]
    style: Style

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._answer(state, self.words[len(state.trials)]) for state in states]

    def _answer(self, state: State, words: str) -> Proposal:
        return Proposal(words, reasoning(words), prompt=conversation(state, self.style)[-1]["content"])


def directly(episode: Any) -> Trajectory:
    suite = load_suite("micro")
    target = suite.experiment(episode.experiment)
    problems = Protocol.parse(episode.protocol).problems(
        target, suite.cheaper(target.id), episode.budget, [episode.seed]
    )
    policy = Answers(episode.answers, Style(evidence=episode.evidence))
    return run_episodes(policy, [target], problems, [episode.seed])[0]


def as_bytes(trajectory: Trajectory) -> bytes:
    """The line that a file of trajectories holds, without the time that it took."""
    timeless = replace(trajectory, turns=tuple(replace(turn, seconds=0.0) for turn in trajectory.turns))
    return json.dumps(to_dict(timeless)).encode()


def test_an_episode_through_an_adapter_is_the_same_byte_for_byte(
    play: Callable[..., Trajectory], episode: Any, request: pytest.FixtureRequest
) -> None:
    expected = directly(episode)
    assert [t.outcome.kind for t in expected.turns] == list(episode.kinds)
    assert as_bytes(play(episode, request)) == as_bytes(expected)
