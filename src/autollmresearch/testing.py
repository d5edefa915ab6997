"""PolicyTestCase: what every policy promises, for others to run on their own (`llmconfig_gym.testing` has the manner).

A policy keeps nothing between calls, changes nothing, draws from the state's seed alone and proposes what can be told:
then a cut run resumes with the same proposal, and neither workers nor batches change a number (decision 0003).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import product

import numpy as np

from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.episode import Trajectory, run_episodes
from autollmresearch.errors import NotApplicable
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Policy, Proposal, State
from autollmresearch.trajectories import from_dict, to_dict
from llmconfig_gym.catalog import load_suite
from llmconfig_gym.errors import BrokenPromise
from llmconfig_gym.experiment import Experiment, Outcome
from llmconfig_gym.pool import Pool
from llmconfig_gym.testing import EnvTestCase, SuiteTestCase
from llmconfig_gym.testing.probes import global_randomness, require, tells

__all__ = ["EnvTestCase", "Game", "PolicyTestCase", "SuiteTestCase"]

Game = tuple[Experiment, Problem]
"""A target, and what a policy may know of it."""

SEED = 3


class PolicyTestCase:
    """Checks of a policy: subclass it and make one in `make`.

    Games that it refuses with `NotApplicable` are left out; one at least must be played.
    """

    def make(self) -> Policy:
        """A new policy. It is made often: load what is large once."""
        raise NotImplementedError("make(self) returns a new policy, e.g. MyMethod()")

    def games(self) -> list[Game]:
        """What is played, three trials each: a medium target of each task of `micro`, six or all cheap runs known."""
        suite = load_suite("micro")
        targets = {e.task: e for e in reversed(suite.split("medium"))}
        known = [Protocol.parse("metered:6"), Protocol.parse("full")]
        return [(e, p.problems(e, suite.cheaper(e.id), 3, [SEED])[0]) for e in targets.values() for p in known]

    def test_one_proposal_per_state(self) -> None:
        """As many proposals as states, in a list of `Proposal`, whatever the size of the batch."""
        for batch in (self._states(), self._states()[:1]):
            found = [type(p).__name__ for p in _ask(self.make(), batch)]
            require(
                found == ["Proposal"] * len(batch),
                f"{len(batch)} states were answered with {found}; return one Proposal per state, in their order",
            )

    def test_proposals_can_be_told(self) -> None:
        """A configuration is one of the pool; a language model's words hold one that is legal."""
        for played in self._played(self.make()):
            for turn in played.turns:
                words = isinstance(turn.proposal.config, str)
                kinds = ("measured", "snapped", "duplicate") if words else ("measured", "duplicate")
                require(
                    turn.outcome.kind in kinds,
                    f"{played.experiment}: {turn.proposal.config} was {turn.outcome.kind} ({turn.outcome.message}); a "
                    "configuration must be one of state.problem.pool (see nearest_untried)",
                )

    def test_proposals_are_plain_data(self) -> None:
        """Reasons are text, expectations finite, probabilities in [0, 1], and a trajectory can be written and read."""
        for played in self._played(self.make()):
            for p in (t.proposal for t in played.turns):
                words: tuple[object, ...] = (p.reasoning, p.trends)
                require(all(isinstance(w, str) for w in words), f"reasoning and trends are text, found {words}")
                expected = [v for v in (p.mean, p.sd) if v is not None]
                require(
                    all(math.isfinite(v) for v in expected) and (p.sd or 0) >= 0,
                    f"mean and sd are finite numbers or None, found {p.mean} and {p.sd}",
                )
                shares = [c.probability for c in p.candidates]
                require(all(0 <= s <= 1 for s in shares), f"probabilities of candidates lie in [0, 1], found {shares}")
            try:
                again = from_dict(json.loads(json.dumps(to_dict(played), allow_nan=False)))
            except (TypeError, ValueError) as problem:
                raise BrokenPromise(f"a trajectory cannot be written as JSON: {problem}") from problem
            require(again.outcomes == played.outcomes, f"a trajectory is read as another: {again} for {played}")

    def test_never_repeats(self) -> None:
        """Nothing is proposed twice before the whole pool was told; when it was, the policy still answers."""
        for e, problem in self._games:
            small = _cut(e, 3)
            for target, known in ((e, problem), (small, replace(problem, pool=small.pool, budget=4))):
                kinds = [o.kind for o in self._played(self.make(), [(target, known)])[0].outcomes]
                untried = kinds[: len(target.pool)]
                require(
                    "duplicate" not in untried,
                    f"{e.id}: of {len(target.pool)} configurations one was proposed twice ({kinds}); leave out what is "
                    "in state.trials (see State.untried and nearest_untried)",
                )

    def test_the_seed_is_honoured(self) -> None:
        """The same seed gives the same episode, whatever the process' own randomness does."""
        episodes = []
        for randomness in (1, 2):
            with global_randomness(randomness):
                episodes.append(_proposals(self._played(self.make())))
        require(
            episodes[0] == episodes[1],
            f"two episodes of one seed differ: {_difference(*episodes)}; draw from state.rng() alone",
        )

    def test_it_keeps_nothing_between_calls(self) -> None:
        """Asked anew in the middle of an episode, in any order, a policy proposes what it did: a cut run resumes."""
        used = self.make()
        games = self._games
        for (_, problem), played in reversed([*zip(games, self._played(used, games), strict=True)]):
            for turn in reversed(range(len(played.turns))):
                made = tuple(t.proposal for t in played.turns[:turn])
                state = State(problem, played.outcomes[:turn], SEED, made)
                for who, policy in (("a new policy", self.make()), ("the same policy, asked again,", used)):
                    found, expected = _ask(policy, [state])[0], played.turns[turn].proposal
                    require(
                        found == expected,
                        f"{played.experiment}: after {turn} trials {who} proposes {found.config}, in the episode it "
                        f"was {expected.config}; all it knows must be in the state",
                    )

    def test_the_batch_does_not_matter(self) -> None:
        """States together, in another order and alone are given the same proposals."""
        states = self._states()
        together = _ask(self.make(), states)
        backwards = _ask(self.make(), states[::-1])[::-1]
        alone = [_ask(self.make(), [s])[0] for s in states]
        for name, other in (("in reversed order", backwards), ("alone", alone)):
            require(
                together == other,
                f"states {name} are given other proposals than together: {_difference(together, other)}; each state's "
                "proposal must depend on that state alone",
            )

    def test_states_are_not_changed(self) -> None:
        """Trials, cheaper runs and the list of states are as they were."""
        states = self._states()
        given = list(states)
        before = [_picture(s) for s in states]
        _ask(self.make(), given)
        require(
            len(given) == len(states) and all(a is b for a, b in zip(given, states, strict=True)),
            "a policy changed the list of states that it was given; copy it first",
        )
        for state, was in zip(states, before, strict=True):
            require(_picture(state) == was, "a policy changed a state that it was given; copy what you change")

    def test_trials_without_a_value_do_not_stop_it(self) -> None:
        """Diverged, refused and repeated trials are known and survived."""
        for e, problem in self._games:
            first, other = e.outcome(0), e.outcome(1)
            diverged = replace(other, value=None, details={}, message="the run diverged: it gave no value.")
            refused = Outcome("invalid", message="invalid: lr is missing.")
            repeated = Outcome("duplicate", first.config, message="duplicate: this configuration was told before.")
            for trials in ((diverged,), (refused,), (first, repeated), (diverged, refused, first, repeated)):
                state = State(replace(problem, budget=6), trials, SEED)
                config = _ask(self.make(), [state])[0].config
                told = [t.config for t in trials if t.kind == "measured"]
                require(isinstance(config, str) or config not in told, f"{e.id}: {config} was told before: {trials}")

    def test_it_does_not_know_the_optimum(self) -> None:
        """With nothing known, a first proposal is not the best of every target, nor does a reason tell its value."""
        found = []
        for e, problem in self._games:
            try:
                proposal = _ask(self.make(), [State(replace(problem, cheaper=()), (), SEED)])[0]
            except NotApplicable:
                continue
            best = e.metric.sign * e.best
            said = f"{proposal.reasoning}\n{proposal.trends}"
            require(not tells(said, [best], 5), f"{e.id}: a reason tells the best value before any run: {said!r}")
            value = e.tell(proposal.config).value if not isinstance(proposal.config, str) else None
            found.append(value == best)
        require(
            len(found) < 2 or not all(found),
            f"with nothing known, the best of all {len(found)} targets was proposed at once; does the policy read the "
            "table that it is measured on?",
        )

    @cached_property
    def _games(self) -> list[Game]:
        served: list[Game] = []
        for e, problem in self.games():
            try:
                _ask(self.make(), [State(problem, (), SEED)])
            except NotApplicable:
                continue
            served.append((e, problem))
        require(served, "the policy finds no game applicable; give it some in games(self)")
        return served

    def _played(self, policy: Policy, games: Sequence[Game] | None = None) -> list[Trajectory]:
        """One episode of each game."""
        games = self._games if games is None else games
        try:
            return run_episodes(policy, [e for e, _ in games], [p for _, p in games], [SEED] * len(games))
        except Exception as problem:
            raise BrokenPromise(f"in an episode it raised {type(problem).__name__}: {problem}") from problem

    def _states(self) -> list[State]:
        """Of each game, states of two seeds with nothing, one and two trials told."""
        return [
            State(problem, tuple(e.outcome(row) for row in range(told)), seed)
            for (e, problem), (told, seed) in product(self._games, ((0, SEED), (1, SEED + 1), (2, SEED)))
        ]


def _ask(policy: Policy, states: list[State]) -> list[Proposal]:
    """What it proposes; whatever it raises breaks a promise, except that it does not apply."""
    try:
        return policy.propose(states)
    except NotApplicable:
        raise
    except Exception as problem:
        told = [[t.message or t.kind for t in s.trials] for s in states]
        raise BrokenPromise(
            f"after the trials {told} it raised {type(problem).__name__}: {problem} (arrays in a state are not to be "
            "written to)"
        ) from problem


def _cut(e: Experiment, rows: int) -> Experiment:
    """An experiment of which only so many rows were measured, one with a value among them."""
    keep = np.argsort(~np.isfinite(e.values), kind="stable")[:rows]
    pool = Pool(e.space, {n: c[keep] for n, c in e.pool.columns.items()})
    details = {n: c[keep] for n, c in e.details.items()}
    return replace(e, pool=pool, values=e.values[keep], details=details, spread=None, replicates=None)


def _proposals(episodes: Sequence[Trajectory]) -> list[Proposal]:
    return [turn.proposal for played in episodes for turn in played.turns]


def _difference(one: Sequence[Proposal], other: Sequence[Proposal]) -> str:
    """The first place where two lists of proposals differ; empty if none does."""
    for i, (a, b) in enumerate(zip(one, other, strict=True)):
        if a != b:
            return f"number {i} is {a.config}, elsewhere {b.config}" if a.config != b.config else f"{a}, elsewhere {b}"
    return ""


def _picture(state: State) -> list[object]:
    """Everything in a state that could be changed."""
    problem = state.problem
    pools = [problem.pool, *(r.pool for r in problem.cheaper)]
    arrays = [c for p in pools for c in p.columns.values()] + [p.encoded for p in pools]
    arrays += [c for r in problem.cheaper for c in (r.losses, *r.details.values())]
    return [json.dumps([t.to_dict() for t in state.trials]), *(a.tobytes() for a in arrays)]
