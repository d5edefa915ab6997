"""Schedule: how a method that only proposes for the target is played under a budget of cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autollmresearch.active.records import ROUNDING, ActiveState, Query
from autollmresearch.policy import Policy, Proposal


@dataclass(frozen=True)
class ScheduledPolicy:
    """Random cheaper runs first, then the policy's own trials on the target, then the best told or its next proposal.

    Attributes:
        policy: which proposes for the target.
        target_only: it learns nothing from cheaper runs, so everything is spent on the target.

    Otherwise one run of the target's cost goes to cheaper runs, and a third of the budget if that is more.
    """

    policy: Policy
    target_only: bool = False

    def query(self, states: Sequence[ActiveState]) -> list[Query | None]:
        result = [None if self.target_only else random_cheap_run(s, max(1.0, s.problem.budget / 3)) for s in states]
        ready = [i for i, s in enumerate(states) if result[i] is None and s.affords(s.problem.target)]
        asked = [states[i].on_target(left(states[i]) + 1) for i in ready]  # the last trial is what it will recommend
        for i, proposal in zip(ready, self.policy.propose(asked) if asked else (), strict=True):
            result[i] = Query(states[i].problem.target, proposal)
        return result

    def recommend(self, states: Sequence[ActiveState]) -> list[Proposal]:
        result = [best_told(state) for state in states]
        asked = {i: states[i].on_target(1) for i, told in enumerate(result) if told is None}
        made = dict(zip(asked, self.policy.propose(list(asked.values())) if asked else (), strict=True))
        return [told or made[i] for i, told in enumerate(result)]


def left(state: ActiveState) -> int:
    """For how many runs of the target what is left pays."""
    return int(state.problem.budget - state.spent() + ROUNDING)


def random_cheap_run(state: ActiveState, limit: float) -> Query | None:
    """The next run of a random design over the cheaper experiments, of `limit` in all; None when it is done.

    It goes to the experiment that least has been spent on, of those that are affordable and not exhausted, so that all
    get about the same cost; the configuration is drawn uniformly from those not run there yet.
    """
    sources, cheaper = state.problem.sources, state.problem.cheaper
    rest = limit - state.spent(*cheaper) if cheaper else 0.0
    affordable = [s for s in cheaper if sources[s].cost <= rest + ROUNDING and state.affords(s)]
    some = [s for s in affordable if len(state.at(s)) < len(sources[s].pool)]
    if not some:
        return None
    source = min(some, key=lambda s: state.spent(s))
    row = int(state.rng().choice(state.untried(source)))
    return Query(source, Proposal(sources[source].pool.config(row), "drawn at random"))


def best_told(state: ActiveState) -> Proposal | None:
    """The best configuration that was run on the target; None while none gave a value."""
    losses = state.losses(state.problem.target)
    if not np.isfinite(losses).any():
        return None
    row = state.at(state.problem.target)[int(np.nanargmin(losses))].row
    return Proposal(state.problem.sources[-1].pool.config(row), "the best that was run")
