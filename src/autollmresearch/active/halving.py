"""Halving: successive halving, Hyperband and BOHB over the experiments of a family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from autollmresearch.active.records import ROUNDING, ActiveProblem, ActiveState, Query, Run
from autollmresearch.baselines.optuna_samplers import OptunaPolicy
from autollmresearch.policy import Proposal, nearest_of
from llmconfig_gym.parameter import FloatArray
from llmconfig_gym.space import Config

Bracket: TypeAlias = tuple[tuple[int, int], ...]
"""Rungs of one bracket, cheapest first: which source, and how many configurations are run there."""

RANDOM = 1 / 3
"""BOHB's share of configurations that are drawn at random (Falkner et al. 2018, appendix)."""

MODEL_RUNS = 100
"""The latest runs that BOHB's model is made from; making it takes time that grows with them."""


@dataclass(frozen=True)
class HalvingPolicy:
    """Many configurations on a cheap experiment, the best of them on the next dearer one, and so on.

    Attributes:
        hyperband: several such brackets, each starting one rung higher, share the budget equally (Li et al., JMLR
            2018); otherwise one, from the cheapest rung (successive halving: Jamieson and Talwalkar, AISTATS 2016).
        model: where a bracket starts, configurations come from a density model of what was run before (BOHB: Falkner,
            Klein and Hutter, ICML 2018), here Optuna's TPE on the dearest experiment with enough runs, and one in three
            at random; otherwise all at random.
        eta: a rung is at least so many times as dear as the one before; Hyperband's and BOHB's default is 3.

    A training run is continued in the papers; here each rung is an experiment of its own, paid for in full. All rungs
    of a bracket get about the same cost, as in the papers. A rung at the top on which fewer than two configurations
    would be compared decides nothing and is left out, so that a small budget is not spent on the target. What is
    recommended is the best of the dearest experiment run so far.
    """

    hyperband: bool
    model: bool
    eta: int = 3

    def query(self, states: Sequence[ActiveState]) -> list[Query | None]:
        return [self._next(state) for state in states]

    def recommend(self, states: Sequence[ActiveState]) -> list[Proposal]:
        return [_recommend(state) for state in states]

    def _next(self, state: ActiveState) -> Query | None:
        """The run that follows in the plan; how far it has come is the number of runs."""
        start = 0
        for bracket in brackets(state.problem, self.eta, self.hyperband):
            below: tuple[Run, ...] = ()
            for source, count in bracket:
                runs = state.runs[start : start + count]
                if len(runs) < count:
                    return self._promote(state, source, below, len(runs)) if below else self._start(state, source)
                below, start = runs, start + count
        return None

    def _promote(self, state: ActiveState, source: int, below: Sequence[Run], place: int) -> Query:
        chosen = below[ranking(state, below)[place]]
        config = _moved(state, state.problem.config(chosen.query.source, chosen.row), chosen.query.source, source)
        return Query(source, Proposal(config, f"rank {place + 1} of {len(below)} on the rung below"))

    def _start(self, state: ActiveState, source: int) -> Query:
        rng = state.rng()
        if self.model and rng.random() >= RANDOM:
            enough = len(state.problem.sources[-1].pool.space.to_optuna()) + 3  # N_min + 2 with N_min = d + 1
            known = [s for s in range(len(state.problem.sources)) if np.isfinite(state.losses(s)).sum() >= enough]
            if known:
                recent = [r for r in state.runs if r.query.source == known[-1]][-MODEL_RUNS:]
                view = ActiveState(state.problem, tuple(recent), int(rng.integers(2**31))).view(known[-1])
                proposal = OptunaPolicy("tpe", startup=1).propose([view])[0]
                assert not isinstance(proposal.config, str)
                config = _moved(state, proposal.config, known[-1], source)
                return Query(source, Proposal(config, "drawn from a model of the runs so far"))
        config = state.problem.config(source, int(rng.choice(state.untried(source))))
        return Query(source, Proposal(config, "drawn at random"))


def brackets(problem: ActiveProblem, eta: int, hyperband: bool) -> list[Bracket]:
    """What the whole budget goes to, bracket by bracket. One that could compare nothing gives its share away."""
    path = rungs(problem, eta)
    starts = len(path) if hyperband else 1
    while starts:
        room = [len(source.pool) for source in problem.sources]
        plan = []
        for start in range(starts):
            made = _bracket(problem, path[start:], problem.budget / starts, room)
            for source, count in made:
                room[source] -= count
            plan.append(made)
        if all(plan):
            return plan
        starts -= 1
    pays = problem.cheaper and problem.sources[0].cost <= problem.budget + ROUNDING
    return [((0, 1),)] if pays else []  # nothing can be compared with anything; a cheap run is as good as none


def rungs(problem: ActiveProblem, eta: int) -> list[int]:
    """One path from the cheapest experiment to the target: each next is the cheapest at least `eta` times as dear."""
    costs = [source.cost for source in problem.sources]
    path: list[int] = []
    for s in problem.cheaper:
        if not path or (costs[s] >= eta * costs[path[-1]] * (1 - ROUNDING) and eta * costs[s] <= 1 + ROUNDING):
            path.append(s)
    return [*path, problem.target]


def _bracket(problem: ActiveProblem, path: Sequence[int], budget: float, room: Sequence[int]) -> Bracket:
    """Equal cost for each rung, what one leaves over to those above it; the top rung goes while it decides nothing."""
    while path:
        rest, most, made = budget, max(room), []
        for place, source in enumerate(path):
            cost = problem.sources[source].cost
            most = min(most, int(rest / (len(path) - place) / cost + ROUNDING), room[source])
            made.append((source, most))
            rest -= most * cost
        if most >= 2:
            return tuple(made)
        path = path[:-1]
    return ()


def ranking(state: ActiveState, runs: Sequence[Run]) -> list[int]:
    """Places of these runs from the best to the worst; those that diverged come last, equals in their order."""
    values = [r.outcome.value for r in runs]
    losses: FloatArray = state.problem.metric.sign * np.array([np.nan if v is None else v for v in values])
    return [int(place) for place in np.argsort(losses, kind="stable")]


def _recommend(state: ActiveState) -> Proposal:
    target = state.problem.target
    for source in reversed(range(target + 1)):
        runs = [r for r in state.at(source) if r.outcome.value is not None]
        if runs:
            best = state.problem.config(source, runs[ranking(state, runs)[0]].row)
            pools = [state.problem.sources[s].pool for s in (source, target)]
            row = pools[1].find(pools[1].space.translate(best, pools[0].space))[0]
            return Proposal(pools[1].config(row), "the best on the dearest experiment run so far")
    row = int(state.rng().choice(len(state.problem.sources[target].pool)))
    return Proposal(state.problem.config(target, row), "drawn at random")


def _moved(state: ActiveState, config: Config, origin: int, source: int) -> Config:
    """A configuration of one source as the nearest that another has not run yet."""
    pool, space = state.problem.sources[source].pool, state.problem.sources[origin].pool.space
    point = pool.space.encode(pool.space.translate(config, space))
    return nearest_of(pool, state.untried(source), point)
