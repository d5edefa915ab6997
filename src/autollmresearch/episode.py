"""Episodes: policy x environment -> trajectories, many episodes at once.

A trajectory holds all of an episode: what was read, thought, chosen and observed, and what it earned. Where the policy
is a language model, it also holds the very tokens: what it read and what it wrote follow each other, turn by turn, and
are never rewritten, so that one trajectory is one row of training.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from autollmresearch.errors import BrokenPolicy
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Policy, Proposal, State
from llmconfig_gym.env import ConfigEnv
from llmconfig_gym.experiment import Experiment, Outcome

Hint: TypeAlias = Callable[[Sequence[Outcome]], str]
"""Given the outcomes so far, a sentence that is added to what is read next; empty for none."""


@dataclass(frozen=True)
class Turn:
    """One trial of an episode: what was proposed, what came of it, what it earned.

    `seconds` is the time the policy took for this proposal (its share, when a batch was proposed at once).
    """

    proposal: Proposal
    outcome: Outcome
    reward: float
    seconds: float = 0.0


@dataclass(frozen=True)
class Trajectory:
    """One episode on one experiment.

    Attributes:
        experiment: id of the target.
        budget: trials the agent was given.
        seed: of the policy's randomness.
        turns: one per trial.
    """

    experiment: str
    budget: int
    seed: int
    turns: tuple[Turn, ...]

    @property
    def reward(self) -> float:
        """`1 - sum_t (y_t - y_best) / (T (y_worst - y_best))`; a trial without a value counts as the worst."""
        return sum(t.reward for t in self.turns)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """One per trial."""
        return tuple(t.outcome for t in self.turns)

    def ids(self) -> list[int]:
        """Token ids of the whole episode, in order; empty if the policy works on none."""
        return [i for t in self.turns if t.proposal.tokens for i in t.proposal.tokens.read + t.proposal.tokens.wrote]

    def own(self) -> list[bool]:
        """For each of `ids`, whether the agent wrote it: what a loss may be put on."""
        tokens = [t.proposal.tokens for t in self.turns if t.proposal.tokens]
        return [own for t in tokens for own in [False] * len(t.read) + [True] * len(t.wrote)]

    def logprobs(self) -> list[float]:
        """For each of `ids`, the log-probability it was sampled with; 0 where the agent did not write it."""
        tokens = [t.proposal.tokens for t in self.turns if t.proposal.tokens]
        return [p for t in tokens for p in (*[0.0] * len(t.read), *t.logprobs)]


def run_episodes(
    policy: Policy,
    experiments: Sequence[Experiment],
    problems: Sequence[Problem],
    seeds: Sequence[int],
    *,
    prefixes: Sequence[Sequence[Turn]] | None = None,
    hints: Sequence[Hint] | None = None,
    watch: Callable[[Turn], None] | None = None,
) -> list[Trajectory]:
    """One episode per experiment, problem and seed, advancing together turn by turn.

    The environment, not the policy, counts trials: an episode ends when its budget is spent, and nothing a policy
    returns gives it one trial more.

    Args:
        prefixes: for each episode, turns of an earlier one that are played again before the policy is asked.
        hints: for each episode, what the policy is shown beside the dialogue before each of its turns.
        watch: is told of every turn that the policy plays, as it comes.

    Raises:
        BrokenPolicy: it returned something else than one `Proposal` per state.
    """
    envs = [ConfigEnv(e, problem.budget) for e, problem in zip(experiments, problems, strict=True)]
    turns: list[list[Turn]] = []
    for env, seed, prefix in zip(envs, seeds, prefixes or [()] * len(envs), strict=True):
        env.reset(seed=seed)
        turns.append([_play(env, turn.proposal, turn.seconds) for turn in prefix])
    while running := [i for i, env in enumerate(envs) if len(env.history) < env.budget]:
        made = [tuple(t.proposal for t in turns[i]) for i in running]
        told = [hints[i](envs[i].history) if hints else "" for i in running]
        states = [
            State(problems[i], envs[i].history, seeds[i], proposals, hint)
            for i, proposals, hint in zip(running, made, told, strict=True)
        ]
        started = time.perf_counter()
        proposals = policy.propose(states)
        seconds = (time.perf_counter() - started) / len(running)
        if len(proposals) != len(running) or not all(isinstance(p, Proposal) for p in proposals):
            found = ", ".join(sorted({type(p).__name__ for p in proposals})) or "nothing"
            raise BrokenPolicy(
                f"{type(policy).__name__} returned {len(proposals)} proposals ({found}) for {len(running)} states; "
                "a policy returns one Proposal per state"
            )
        for i, proposal in zip(running, proposals, strict=True):
            turns[i].append(_play(envs[i], proposal, seconds))
            if watch is not None:
                watch(turns[i][-1])
    return [
        Trajectory(env.experiment.id, env.budget, seed, tuple(played))
        for env, seed, played in zip(envs, seeds, turns, strict=True)
    ]


def _play(env: ConfigEnv, proposal: Proposal, seconds: float) -> Turn:
    """One trial. A proposal that is no action at all, whatever it is, is an invalid one."""
    env.step(proposal.config)
    outcome = env.history[-1]
    return Turn(proposal, outcome, env.reward(outcome), seconds)
