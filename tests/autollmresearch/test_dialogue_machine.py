"""The dialogue as a state machine: what is written, piece by piece, is read as a small model of the rules reads it.

An answer grows from pieces (prose, tags, configurations in several spellings, damage) and is committed to an
environment at any moment. The model knows pieces, not text: closed blocks count before bare configurations, what stands
after the thoughts before the whole, and one answer holds one configuration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from autollmresearch.dialogue import Messages, conversation, observation
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Proposal, State
from llmconfig_gym.action import read_action
from llmconfig_gym.env import ConfigEnv
from llmconfig_gym.experiment import Experiment, Fidelity, Metric, Outcome
from llmconfig_gym.parameter import Categorical, Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

SPACE = Space((Grid("lr", (1e-4, 1e-3, 1e-2), log=True), Categorical("way", ("plain", "1"))))
CONFIGS = [{"lr": lr, "way": way} for lr in (1e-4, 1e-3, 1e-2) for way in ("plain", "1")]
EXPERIMENT = Experiment(
    "made/line",
    "made",
    "other",
    "line",
    "high",
    Fidelity({"parameters": 1e6}, 1.0),
    Metric("loss", "minimize"),
    Pool.from_configs(SPACE, CONFIGS),
    np.array([3.1, 3.2, np.nan, 2.9, 2.8, 3.3]),
)
PROBLEM = Problem("other", EXPERIMENT.fidelity, EXPERIMENT.metric, EXPERIMENT.pool, (), 4)
OTHER = ({"lr": 1e-3}, {"lr": 7e-3, "way": "1"}, {"lr": -1.0, "way": "plain"}, {"lr": 1e-3, "way": "other"}, {})

PROSE = st.text("abc .,;:!?0123456789-+\n\t()<>=/\u00e9`", max_size=12).filter(lambda t: "think" not in t)
SPELLINGS = (
    json.dumps,
    lambda c: json.dumps(c, indent=1),
    lambda c: json.dumps(c)[:-1] + (",}" if c else "}"),
    lambda c: json.dumps(c).replace('"', "'"),
    lambda c: json.dumps({k: str(v) for k, v in c.items()}),
)


@dataclass(frozen=True)
class Piece:
    """A piece of an answer: its text, and the configuration that it spells (`TWICE`: one that says two things)."""

    text: str
    config: Mapping[str, Any] | None = None


OPEN, CLOSE, THINK, THOUGHT = Piece("<config>"), Piece("</config>"), Piece("<think>"), Piece("</think>")
TWICE = Piece('{"lr": 0.001, "lr": 0.01, "way": "plain"}', {"two": "values"})
DAMAGED = ("{1, 2}", "{lr: 0.001}", "{x}}", '{"lr": 0.001 "way"}')


def meant(pieces: list[Piece]) -> Mapping[str, Any] | None:
    """The configuration that the pieces commit to; None if it is not exactly one."""
    last = max((i for i, p in enumerate(pieces) if p is THOUGHT), default=-1)
    for part in (pieces[last + 1 :], pieces):
        blocks: list[list[Piece]] = []
        inside: list[Piece] | None = None
        for piece in part:
            if piece is OPEN:
                inside = []
            elif piece is CLOSE and inside is not None:
                blocks.append(inside)
                inside = None
            elif inside is not None:
                inside.append(piece)
        found = [p for block in (blocks or [part]) for p in block if p.config is not None]
        if TWICE in found:
            return None
        distinct = [dict(t) for t in {tuple((p.config or {}).items()) for p in found}]
        if distinct:
            return distinct[0] if len(distinct) == 1 else None
    return None


class Answers(RuleBasedStateMachine):
    """An agent that writes, and commits what it wrote when it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.env = ConfigEnv(EXPERIMENT, PROBLEM.budget)
        self.env.reset(seed=0)
        self.pieces: list[Piece] = []
        self.said: tuple[Proposal, ...] = ()
        self.talk: Messages = conversation(State(PROBLEM))

    @property
    def text(self) -> str:
        return "".join(p.text for p in self.pieces)

    @rule(text=PROSE)
    def write(self, text: str) -> None:
        self.pieces.append(Piece(text))

    @rule(tag=st.sampled_from([OPEN, CLOSE, CLOSE, THINK, THOUGHT]))
    def tag(self, tag: Piece) -> None:
        self.pieces.append(tag)

    @rule(config=st.sampled_from([*CONFIGS, *OTHER]), spelling=st.sampled_from(SPELLINGS), block=st.booleans())
    def configure(self, config: dict[str, Any], spelling: Any, block: bool) -> None:
        piece = Piece(spelling(config), config)
        self.pieces += [OPEN, piece, CLOSE] if block else [piece]

    @rule(text=st.sampled_from(DAMAGED))
    def damage(self, text: str) -> None:
        self.pieces.append(Piece(text))

    @rule()
    def say_two_things_at_once(self) -> None:
        self.pieces.append(TWICE)

    @rule(share=st.floats(0, 1))
    def be_cut_off(self, share: float) -> None:
        """Reading any beginning of an answer raises nothing (what it means, the pieces do not say)."""
        found = read_action(self.text[: int(share * len(self.text))], SPACE)
        assert isinstance(found, Mapping) or found.kind == "invalid"

    @precondition(lambda self: len(self.env.history) < PROBLEM.budget)
    @rule()
    def commit(self) -> None:
        """The environment answers what the model expects; the transcript has grown, and is otherwise as it was."""
        config, told = meant(self.pieces), self.env.history
        _, reward, _, _, info = self.env.step(self.text)
        outcome = self.env.history[-1]
        expected = Outcome("invalid") if config is None else EXPERIMENT.tell(config)
        if expected.config is not None and expected.config in [t.config for t in told]:
            assert (outcome.kind, outcome.value, reward) == ("duplicate", None, 0)
        else:
            assert (outcome.kind, outcome.config, outcome.value) == (expected.kind, expected.config, expected.value)
        assert info["trials_left"] == PROBLEM.budget - len(told) - 1
        self.said = (*self.said, Proposal(self.text))
        talk = conversation(State(PROBLEM, self.env.history, proposals=self.said))
        assert talk[:-2] == self.talk
        assert talk[-2]["content"] == self.text
        assert talk[-1]["content"] == observation(PROBLEM, outcome, info["trials_left"])
        self.talk, self.pieces = talk, []

    @precondition(lambda self: len(self.env.history) == PROBLEM.budget)
    @rule()
    def commit_too_late(self) -> None:
        _, reward, terminated, _, info = self.env.step(self.text)
        assert (info["outcome"]["kind"], reward, terminated) == ("over_budget", 0, True)
        self.env.reset(seed=0)
        self.pieces, self.said, self.talk = [], (), conversation(State(PROBLEM))

    @invariant()
    def what_is_read_is_what_is_meant(self) -> None:
        found, expected = read_action(self.text, SPACE), meant(self.pieces)
        if expected is None:
            assert isinstance(found, Outcome)
            assert found.kind == "invalid"
            assert found.message.isascii()
        else:
            assert found == expected


TestAnswers = Answers.TestCase
TestAnswers.settings = settings(max_examples=settings.default.max_examples, stateful_step_count=20)
