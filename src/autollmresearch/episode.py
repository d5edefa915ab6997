"""Episodes: policy x environment -> the outcomes of every trial, many episodes at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from autollmresearch.errors import BrokenPolicy
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Policy, Proposal, State
from llmconfig_gym.env import ConfigEnv
from llmconfig_gym.experiment import Experiment, Outcome


@dataclass(frozen=True)
class Turn:
    """One trial of an episode: what was proposed, what came of it, what it earned.

    `seconds` is the time the policy took for this proposal (its share, when a batch was proposed at once).
    """

    proposal: Proposal
    outcome: Outcome
    reward: float
    seconds: float


def run_episodes(
    policy: Policy, experiment: Experiment, problems: Sequence[Problem], seeds: Sequence[int]
) -> list[list[Turn]]:
    """One episode per problem and seed, all on `experiment`, advancing together turn by turn.

    The environment, not the policy, counts trials: an episode ends when its budget is spent, and nothing a policy
    returns gives it one trial more.

    Raises:
        BrokenPolicy: it returned something else than one `Proposal` per state.
    """
    envs = [ConfigEnv(experiment, problem.budget) for problem in problems]
    for env, seed in zip(envs, seeds, strict=True):
        env.reset(seed=seed)
    turns: list[list[Turn]] = [[] for _ in envs]
    while running := [i for i, env in enumerate(envs) if len(env.history) < env.budget]:
        states = [State(problems[i], envs[i].history, seeds[i]) for i in running]
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
            envs[i].step(proposal.config)
            outcome = envs[i].history[-1]
            turns[i].append(Turn(proposal, outcome, envs[i].reward(outcome), seconds))
    return turns
