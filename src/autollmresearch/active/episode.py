"""Episodes of the `active` protocol: the runner, not the method, counts cost.

What cannot be run ends an episode: a configuration that is not legal or was run there before, a source that does not
exist, a run dearer than what is left. So no method has more runs than there are configurations, whatever it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TypeVar

from autollmresearch.active.records import ROUNDING, ActivePolicy, ActiveProblem, ActiveState, Query, Run
from autollmresearch.episode import Turn
from autollmresearch.errors import BrokenPolicy
from autollmresearch.policy import Proposal, Usage
from llmconfig_gym.action import read_action
from llmconfig_gym.experiment import Experiment, Outcome

T = TypeVar("T")


@dataclass(frozen=True)
class ActiveEpisode:
    """What was run and what was recommended.

    Attributes:
        runs: in order, each within the budget.
        end: the refusal that ended it; None if the method stopped.
        recommended: for each equal part of the budget, what was recommended when it was spent, and how that does on the
            target. Time and usage are those of the part: its queries and its recommendation.
    """

    runs: tuple[Run, ...]
    end: Outcome | None
    recommended: tuple[Turn, ...]


def run_active(
    policy: ActivePolicy, experiments: Sequence[Experiment], problem: ActiveProblem, seeds: Sequence[int], parts: int
) -> list[ActiveEpisode]:
    """One episode per seed, all on the same problem, advancing together query by query.

    Args:
        experiments: what answers for each of the problem's sources, in their order.
        parts: in how many equal parts the budget is accounted for.

    Raises:
        BrokenPolicy: it returned something else than one `Query` or None, or one `Proposal`, per state.
    """
    states = [ActiveState(problem, (), seed) for seed in seeds]
    ends: list[Outcome | None] = [None] * len(seeds)
    running = list(range(len(seeds)))
    while running:
        queries, seconds = _ask(policy.query, [states[i] for i in running], Query | None)
        asked, running = dict(zip(running, queries, strict=True)), []
        for i, query in asked.items():
            done = _run(states[i], experiments, query, seconds) if query else None
            if isinstance(done, Run):
                states[i] = replace(states[i], runs=(*states[i].runs, done))
                running.append(i)
            else:
                ends[i] = done
    recommended = _recommended(policy, experiments[-1], states, parts)
    return [ActiveEpisode(s.runs, end, turns) for s, end, turns in zip(states, ends, recommended, strict=True)]


def _run(state: ActiveState, experiments: Sequence[Experiment], query: Query, seconds: float) -> Run | Outcome:
    """The run that was asked for, or a refusal."""
    if query.source not in range(len(experiments)):
        return Outcome("invalid", message=f"invalid: there are experiments 0 to {len(experiments) - 1}.")
    if not state.affords(query.source):
        return Outcome("over_budget", message="over budget: what is left does not pay for this run.")
    outcome = _tell(experiments[query.source], query.proposal)
    if outcome.config is None:
        return outcome
    row = experiments[query.source].pool.find(outcome.config)[0]
    if any(row == earlier.row for earlier in state.at(query.source)):
        return Outcome("duplicate", outcome.config, message="duplicate: this configuration was run there before.")
    return Run(query, outcome, row, seconds)


def _tell(experiment: Experiment, proposal: Proposal) -> Outcome:
    config = read_action(proposal.config, experiment.space)
    return config if isinstance(config, Outcome) else experiment.tell(config)


def _recommended(
    policy: ActivePolicy, target: Experiment, states: Sequence[ActiveState], parts: int
) -> list[tuple[Turn, ...]]:
    """What is recommended after each part of the budget: a method is asked once for the same runs."""
    cut = [[_within(state, part / parts) for part in range(1, parts + 1)] for state in states]
    asked = [(i, runs) for i, counts in enumerate(cut) for runs in sorted(set(counts))]
    prefixes = [replace(states[i], runs=states[i].runs[:runs]) for i, runs in asked]
    proposals, seconds = _ask(policy.recommend, prefixes, Proposal)
    known = dict(zip(asked, proposals, strict=True))
    turns = []
    for i, counts in enumerate(cut):
        mine, before = [], -1
        for runs in counts:
            proposal, outcome = known[i, runs], _tell(target, known[i, runs])
            paid = states[i].runs[max(before, 0) : runs]
            usages = [r.query.proposal.usage for r in paid] + ([proposal.usage] if runs != before else [])
            usage = Usage(*(sum(values) for values in zip(*((u.read, u.wrote, u.cost) for u in usages), strict=True)))
            took = sum(r.seconds for r in paid) + (seconds if runs != before else 0.0)
            mine.append(Turn(replace(proposal, usage=usage), outcome, 0.0, took))
            before = runs
        turns.append(tuple(mine))
    return turns


def _within(state: ActiveState, share: float) -> int:
    """How many of the first runs cost no more than this share of the budget."""
    costs = accumulate(state.problem.sources[r.query.source].cost for r in state.runs)
    return sum(cost <= share * state.problem.budget + ROUNDING for cost in costs)


def _ask(
    method: Callable[[Sequence[ActiveState]], list[T]], states: Sequence[ActiveState], kind: object
) -> tuple[list[T], float]:
    """What a method answers, and the seconds that each answer took."""
    started = time.perf_counter()
    answers = method(states)
    seconds = (time.perf_counter() - started) / len(states)
    if len(answers) != len(states) or not all(isinstance(a, kind) for a in answers):  # type: ignore[arg-type]
        found = ", ".join(sorted({type(a).__name__ for a in answers})) or "nothing"
        raise BrokenPolicy(
            f"{getattr(method, '__qualname__', 'the method')} returned {len(answers)} answers ({found}) for "
            f"{len(states)} states; expected one {getattr(kind, '__name__', kind)} per state"
        )
    return answers, seconds
