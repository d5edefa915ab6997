"""Language-model optimisers: a way of asking, and whoever answers.

An optimiser is a way of making prompts from a state and of reading the answers, written as a generator: it yields the
prompts of one round, is sent their answers, may ask again, and returns its proposal. Who answers is a language model of
`policies` (an endpoint or an agent). The rounds of all states of a batch are asked together.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol, TypeAlias

from autollmresearch.policy import Proposal, State, Usage

Play: TypeAlias = Generator[list[str], list[Proposal], Proposal]
"""One turn: prompts out, their answers in (each a proposal in the model's own words), the turn's proposal returned."""


class Optimiser(Protocol):
    """A way of asking."""

    def play(self, state: State) -> Play:
        """One turn. All randomness is the state's own; nothing is kept for the next turn."""
        ...


class Model(Protocol):
    """Who answers: `EndpointPolicy` or `AgentPolicy`."""

    def ask(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Proposal]:
        """The answer to each prompt, each of which stands alone."""
        ...

    def identity(self) -> dict[str, str]:
        """What decides its answers beside its options."""
        ...


@dataclass(frozen=True)
class LLMOptimiserPolicy:
    """An optimiser with a language model as a policy. A proposal is billed for all that was asked for it."""

    optimiser: Optimiser
    model: Model

    def identity(self) -> dict[str, str]:
        """What decides its proposals beside its name and options."""
        return self.model.identity()

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        """One proposal per state. Raises what the model raises (`EndpointProblem`, `CheckpointProblem`)."""
        plays = [self.optimiser.play(state) for state in states]
        rngs = [state.rng().spawn(1)[0] for state in states]  # beside what the optimiser itself draws
        spent = [Usage()] * len(states)
        made: dict[int, Proposal] = {}
        asked: dict[int, list[str]] = {}
        for i, play in enumerate(plays):
            _advance(i, play, None, asked, made)
        while asked:
            prompts = [prompt for of_one in asked.values() for prompt in of_one]
            seeds = [int(rngs[i].integers(2**31)) for i, of_one in asked.items() for _ in of_one]
            answers = iter(self.model.ask(prompts, seeds))
            heard = {i: list(islice(answers, len(of_one))) for i, of_one in asked.items()}
            asked = {}
            for i, of_one in heard.items():
                spent[i] = _sum([spent[i], *(answer.usage for answer in of_one)])
                _advance(i, plays[i], of_one, asked, made)
        return [replace(made[i], usage=spent[i]) for i in range(len(states))]


def _advance(
    i: int, play: Play, heard: list[Proposal] | None, asked: dict[int, list[str]], made: dict[int, Proposal]
) -> None:
    """Go on with a turn until it asks again or is made."""
    try:
        asked[i] = next(play) if heard is None else play.send(heard)
    except StopIteration as end:
        made[i] = end.value


def _sum(usages: Sequence[Usage]) -> Usage:
    return Usage(sum(u.read for u in usages), sum(u.wrote for u in usages), sum(u.cost for u in usages))
