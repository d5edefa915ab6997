"""One episode, and how it is played directly and through each adapter.

An adapter's player sees only what the other side's interface gives it: the texts, the rewards and the outcomes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from autollmresearch.dialogue import reasoning
from autollmresearch.episode import Trajectory, Turn
from autollmresearch.policy import Proposal
from llmconfig_gym.experiment import Outcome

ROOT = Path(__file__).parents[3]
APART = os.environ.get("AUTOLLMRESEARCH_APART", "")
"""The adapter whose library has an environment of its own (`.ci/adapters`); empty in the project's environment."""

collect_ignore = [f"test_{name}.py" for name in ("openenv", "verifiers") if name != APART]
if APART:
    collect_ignore += [f"test_{name}.py" for name in ("gymnasium", "trl", "skyrl", "optunahub")]


@dataclass(frozen=True)
class Episode:
    """Which episode, and what the agent answers: something measured, nothing, something snapped, and a repetition."""

    experiment: str = "micro/N25k-D1M"
    seed: int = 7
    protocol: str = "metered:10"
    budget: int = 4
    evidence: bool = True
    answers: tuple[str, ...] = (
        '<think>The best rate falls with size — so less.</think>\n<config>{"lr": 0.0078, "batch_size": 4}</config>',
        "I would take a learning rate of 3e-3.",
        '<think>Larger batch, larger rate?</think>\n<config>{"lr": 0.02, "batch_size": 8}</config>',
        '<think></think>\n<config>{"batch_size": 4, "lr": 7.81e-3}</config>',
    )

    @property
    def options(self) -> dict[str, Any]:
        """How adapters are told."""
        return {"protocol": self.protocol, "budget": self.budget, "evidence": self.evidence}

    def seen(self, read: Sequence[str], outcomes: Sequence[Mapping[str, Any]], rewards: Sequence[float]) -> Trajectory:
        """The trajectory, from what was read before each answer, and what came of it."""
        assert len(read) == len(outcomes) == len(rewards) == self.budget
        proposals = [Proposal(a, reasoning(a), prompt=r) for a, r in zip(self.answers, read, strict=True)]
        turns = (Turn(p, Outcome(**o), r) for p, o, r in zip(proposals, outcomes, rewards, strict=True))
        return Trajectory(self.experiment, self.budget, self.seed, tuple(turns))


Play: TypeAlias = Callable[[Episode], Trajectory]


@pytest.fixture(scope="session")
def episode() -> Episode:
    return Episode()


def through_gymnasium(e: Episode) -> Trajectory:
    import gymnasium

    name = "autollmresearch.adapters.dialogue_env:LLMDialogue-v0"
    env = gymnasium.make(name, experiment=e.experiment, **e.options)
    read, rewards, outcomes = [env.reset(seed=e.seed)[0]], [], []
    for answer in e.answers:
        text, reward, over, _, info = env.step(answer)
        read.append(text)
        rewards.append(float(reward))
        outcomes.append(info["outcome"])
    assert over
    return e.seen(read[:-1], outcomes, rewards)


def through_trl(e: Episode) -> Trajectory:
    from functools import partial

    from autollmresearch.adapters.trl import DialogueTools

    env = partial(DialogueTools, **e.options)()
    read, total, rewards = [env.reset(prompt=[], experiment=e.experiment, seed=e.seed)], 0.0, []
    for answer in e.answers:
        read.append(env.answer(text=answer))
        rewards.append(env.get_reward() - total)
        total = env.get_reward()
    outcomes = [o.to_dict() for o in env._env._env.history]  # type: ignore[union-attr]  # tools return text alone
    return e.seen(read[:-1], outcomes, rewards)


def through_skyrl(e: Episode) -> Trajectory:
    import skyrl_gym

    import autollmresearch.adapters.skyrl as adapter

    row = next(
        r
        for r in adapter.dataset_rows(seeds=e.seed + 1, **e.options)
        if (r["experiment"], r["seed"]) == (e.experiment, e.seed)
    )
    env = skyrl_gym.make(row["env_class"], env_config={}, extras={k: v for k, v in row.items() if k != "prompt"})
    messages, _ = env.init(row["prompt"])
    assert messages == row["prompt"]
    read, rewards, outcomes = [], [], []
    for answer in e.answers:
        read.append(messages[-1]["content"])
        out = env.step(answer)
        messages = out["observations"]
        rewards.append(out["reward"])
        outcomes.append(out["metadata"]["outcome"])
    assert out["done"]
    return e.seen(read, outcomes, rewards)


PLAYERS: dict[str, Play] = {"gymnasium": through_gymnasium, "trl": through_trl, "skyrl": through_skyrl}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "play" in metafunc.fixturenames:
        names = [n for n in PLAYERS if (n == APART if APART else n not in ("openenv", "verifiers"))]
        metafunc.parametrize("play", [PLAYERS[n] for n in names], ids=names)
