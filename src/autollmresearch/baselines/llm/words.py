"""Words that the optimisers share: how trials are told to a model, and how its answers are read.

A legal answer moves to the nearest configuration not told yet, as every numeric method's proposal does. An answer that
is no legal configuration goes to the environment as it is, where it costs the trial, and what was wrong with it is told
in the next prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autollmresearch.dialogue import values
from autollmresearch.policy import Proposal, State, nearest_untried
from llmconfig_gym.action import read_action
from llmconfig_gym.errors import InvalidConfig
from llmconfig_gym.experiment import Outcome
from llmconfig_gym.space import Config
from llmconfig_gym.text import number


@dataclass(frozen=True)
class Told:
    """One trial with a configuration: its loss (smaller is better), and its value as text."""

    config: Config
    loss: float
    text: str

    @property
    def line(self) -> str:
        """`lr 1.38e-3, batch_size 256: 2.31`."""
        return f"{values(self.config)}: {self.text}"


def told(state: State) -> list[Told]:
    """The trials that ran, in order."""
    ran = [o for o in state.trials if o.kind in ("measured", "snapped") and o.config is not None]
    losses = state.told()[1].tolist()
    return [
        Told(o.config or {}, loss, "diverged" if o.value is None else number(o.value, 5))
        for o, loss in zip(ran, losses, strict=True)
    ]


def value_of(state: State, loss: float) -> str:
    """A loss as a value of the metric, in its own direction, as text."""
    return number(state.problem.metric.sign * loss, 5)


def better(state: State) -> str:
    """`lower` or `higher`."""
    return "lower" if state.problem.metric.direction == "minimize" else "higher"


def refused(state: State) -> str:
    """What was wrong with answers that were no configuration; empty if all were."""
    messages = dict.fromkeys(o.message for o in state.trials if o.kind == "invalid")
    return "\n".join(["Earlier answers were refused:", *messages]) if messages else ""


def paragraphs(parts: Sequence[str]) -> str:
    """The parts that are not empty, with a blank line between them."""
    return "\n\n".join(part for part in parts if part)


def legal(state: State, answer: Proposal) -> Config | None:
    """The untried configuration that an answer means, or None if it names no legal one."""
    action: Any = read_action(answer.config, state.problem.space)
    if isinstance(action, Outcome):
        return None
    try:
        config = state.problem.space.check(action)
    except InvalidConfig:
        return None
    return nearest_untried(state, state.problem.space.encode(config))


def given(state: State, answer: Proposal) -> Proposal:
    """An answer as the turn's proposal."""
    config = legal(state, answer)
    return Proposal(answer.config if config is None else config, answer.reasoning, prompt=answer.prompt)
