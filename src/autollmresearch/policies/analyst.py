"""The analyst as a policy: propose what the evidence expects to help most, and say why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autollmresearch.evidence.analyst import Known, believed, expected
from autollmresearch.evidence.posterior import Posterior, proposals
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Proposal, State
from llmconfig_gym.text import number


@dataclass(frozen=True)
class AnalystPolicy:
    """The first of the set of proposals that the analyst would make with the trials that are left.

    Everything is fitted anew after each outcome (see evidence/analyst.py). It has no randomness of its own: states of
    one batch that know the same share one fit, and the seed changes nothing.
    """

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        made: dict[Known, Proposal] = {}
        for state in states:
            known = Known(state.problem, state.trials)
            if known not in made:
                made[known] = _propose(state)
        return [made[Known(s.problem, s.trials)] for s in states]


def _propose(state: State) -> Proposal:
    problem = state.problem
    posterior = believed(Known(problem, state.trials))
    row = int(proposals(posterior, problem.budget - len(state.trials))[0])
    mean, sd = expected(problem, posterior, row)
    return Proposal(problem.pool.config(row), reasoning(problem, posterior, row), mean=mean, sd=sd)


def with_evidence(proposal: Proposal, state: State, row: int) -> Proposal:
    """Another's proposal of this row of the pool, with what the analyst expects there, and why."""
    posterior = believed(Known(state.problem, state.trials))
    mean, sd = expected(state.problem, posterior, row)
    return replace(proposal, mean=mean, sd=sd, trends=" ".join(_trends(posterior)))


def reasoning(problem: Problem, posterior: Posterior, row: int) -> str:
    """Why this row: what it is expected to give, how likely it is the best, the trends behind it, and what to doubt."""
    mean, sd = expected(problem, posterior, row)
    share = 100 * float(posterior.best[row])  # of a hundred worlds or so: of a fine grid none stands out
    chance = f", the best of {len(posterior.mean)} with probability {number(share, 2)} %" if share >= 1 else ""
    hedge = "Not the best mean of all: it adds most to what was told." if _hedges(posterior, row) else ""
    sentences = [
        f"Expects {problem.metric.name} {number(mean, 4)} +- {number(sd, 2)}{chance}.",
        *filter(None, (hedge,)),
        *_trends(posterior),
    ]
    return " ".join(sentences)


def _trends(posterior: Posterior) -> list[str]:
    """The trends that were fitted, and what to doubt, in sentences."""
    return [*posterior.explanation.sentences, *(f"Beware: {w}." for w in posterior.explanation.warnings)]


def _hedges(posterior: Posterior, row: int) -> bool:
    """Whether a candidate that was not told has a clearly better mean than this one."""
    mean = np.delete(posterior.mean, posterior.told)
    return bool(len(mean) and posterior.mean[row] > mean.min() + 0.1 * posterior.noise)
