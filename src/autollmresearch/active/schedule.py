"""Schedule: how a method that only proposes for the target is played under a budget of cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autollmresearch.active.records import ROUNDING, ActiveState, Query
from autollmresearch.policy import Policy, Proposal

RUNS = 5
"""An experiment is worth running if the budget pays for so many runs of it: chosen on medium targets, with the schedule
(docs/decisions/0015-active.md)."""


@dataclass(frozen=True)
class ScheduledPolicy:
    """Random cheaper runs first, then the policy's trials on the target, and its next proposal or the best told.

    Attributes:
        policy: which proposes for the target.
        target_only: it learns nothing from cheaper runs, so everything is spent on the target.

    Otherwise the target gets what no cheaper run is left for. Which cheaper runs: see `random_cheap_run`.
    """

    policy: Policy
    target_only: bool = False

    def query(self, states: Sequence[ActiveState]) -> list[Query | None]:
        result = [None if self.target_only else random_cheap_run(state) for state in states]
        ready = [i for i, s in enumerate(states) if result[i] is None and s.affords(s.problem.target)]
        asked = [states[i].on_target(_affordable(states[i]) + 1) for i in ready]  # the last trial is the recommendation
        for i, proposal in zip(ready, self.policy.propose(asked) if asked else (), strict=True):
            result[i] = Query(states[i].problem.target, proposal)
        return result

    def recommend(self, states: Sequence[ActiveState]) -> list[Proposal]:
        result = [best_told(state) for state in states]
        asked = {i: states[i].on_target(1) for i, told in enumerate(result) if told is None}
        made = dict(zip(asked, self.policy.propose(list(asked.values())) if asked else (), strict=True))
        return [told or made[i] for i, told in enumerate(result)]


def _affordable(state: ActiveState) -> int:
    """For how many runs of the target what is left pays."""
    return int(state.problem.budget - state.spent() + ROUNDING)


def random_cheap_run(state: ActiveState) -> Query | None:
    """A run of the dearest cheaper experiment that the whole budget pays `RUNS` runs of, else of the cheapest.

    What that one leaves, because its pool is exhausted or another run of it too dear, goes to the next cheaper ones;
    None when they cannot be run either. The configuration is drawn uniformly from those not run there yet.
    """
    sources, cheaper = state.problem.sources, state.problem.cheaper
    some = [s for s in cheaper if RUNS * sources[s].cost <= state.problem.budget + ROUNDING] or list(cheaper)[:1]
    for source in reversed(some):
        rows = state.untried(source)
        if len(rows) and state.affords(source):
            config = state.problem.config(source, int(state.rng().choice(rows)))
            return Query(source, Proposal(config, "drawn at random"))
    return None


def best_told(state: ActiveState) -> Proposal | None:
    """The best configuration that was run on the target; None while none gave a value."""
    target = state.problem.target
    losses = state.losses(target)
    if not np.isfinite(losses).any():
        return None
    return Proposal(
        state.problem.config(target, state.at(target)[int(np.nanargmin(losses))].row), "the best of the runs"
    )
