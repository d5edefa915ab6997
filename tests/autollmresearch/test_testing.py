"""PolicyTestCase: every fast method passes, the example passes, and every planted defect is caught by its check."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llmconfig_gym.testing
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.errors import NotApplicable
from autollmresearch.methods import make_policy
from autollmresearch.policy import Candidate, Policy, Proposal, State, Usage, nearest_untried
from autollmresearch.testing import Game, PolicyTestCase
from llmconfig_gym.catalog import load_suite
from llmconfig_gym.errors import BrokenPromise
from llmconfig_gym.experiment import Experiment, Outcome
from llmconfig_gym.suite import Suite

ROOT = Path(__file__).parents[2]
EXAMPLE = f"python:{ROOT / 'examples' / 'my_method.py'}:Neighbour"

CHECKS = {n for n in dir(PolicyTestCase) if n.startswith("test_")}

METHODS = (
    *("random", "copy", "pooled-gp", "pooled-quadratic", "analyst", "bounding-box", "zero-shot", "rush", "rgpe"),
    *("metabo", "nap", "rank-average", "own-law", "mup-rule"),
    *("tpe:startup=1", "tpe:startup=2,warm=2", "tpe-independent:startup=1", "cmaes"),
)


class TestMethods(PolicyTestCase):
    """Methods by name on three kinds of space, with all, some and hardly any cheap runs known."""

    @pytest.fixture(autouse=True, params=METHODS)
    def _method(self, request: pytest.FixtureRequest, toy: Suite) -> None:
        self.method, self.suite = request.param, toy

    def make(self) -> Policy:
        return make_policy(self.method)

    def games(self) -> list[Game]:
        targets = {e.task: e for e in reversed(self.suite.split("high"))}
        chosen = [("pretraining", "full"), ("mixture", "metered:6"), ("architecture", "metered:1")]
        chosen += [("pretraining", "metered:1")]
        made = ((targets[task], Protocol.parse(protocol)) for task, protocol in chosen)
        return [(e, p.problems(e, self.suite.cheaper(e.id), 3, [0])[0]) for e, p in made]


class TestExample(PolicyTestCase):
    """examples/my_method.py, as a user would check it."""

    def make(self) -> Policy:
        return make_policy(EXAMPLE)


# Planted defects. Each breaks one thing of a sound policy.


class Sound:
    """Draws from what was not told yet."""

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self.one(state) for state in states]

    def one(self, state: State) -> Proposal:
        return Proposal(self.config(state), "drawn at random")

    def config(self, state: State) -> Any:
        return nearest_untried(state, state.rng().random(state.problem.space.width))


class OneForAll(Sound):
    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self.one(states[0])]


class BareConfigurations(Sound):
    def one(self, state: State) -> Any:
        return self.config(state)


class OffTheTable(Sound):
    def config(self, state: State) -> Any:
        return state.problem.space.decode(state.rng().random(state.problem.space.width))


class Illegal(Sound):
    def config(self, state: State) -> Any:
        return {**super().config(state), "momentum": 0.9}


class NoText(Sound):
    def one(self, state: State) -> Any:
        return Proposal(self.config(state), ["drawn", "at random"])  # type: ignore[arg-type]


class ExpectsNothing(Sound):
    def one(self, state: State) -> Proposal:
        return Proposal(self.config(state), mean=float("nan"), sd=1.0)


class TooSure(Sound):
    def one(self, state: State) -> Proposal:
        config = self.config(state)
        return Proposal(config, candidates=(Candidate(config, 1.5),))


class Unwritable(Sound):
    def one(self, state: State) -> Proposal:
        return Proposal(self.config(state), usage=Usage(9, 9, np.float32(0.5)))  # type: ignore[arg-type]


class LessThanSure(Sound):
    def one(self, state: State) -> Proposal:
        return Proposal(self.config(state), mean=0.5, sd=-1.0)


class Repeats(Sound):
    def config(self, state: State) -> Any:
        return state.problem.pool.config(state.seed % len(state.problem.pool))


class GivesUp(Sound):
    def config(self, state: State) -> Any:
        return state.problem.pool.config(int(state.untried()[0]))


class GlobalRandom(Sound):
    def config(self, state: State) -> Any:
        return state.problem.pool.config(random.choice(state.untried().tolist()))


class GlobalNumpy(Sound):
    def config(self, state: State) -> Any:
        return state.problem.pool.config(int(np.random.choice(state.untried())))  # noqa: NPY002


class Counts(Sound):
    """Its own memory, not the state, says how far an episode is."""

    def __init__(self) -> None:
        self.calls = 0

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        self.calls += 1
        return super().propose(states)

    def config(self, state: State) -> Any:
        untried = state.untried()
        return state.problem.pool.config(int(untried[self.calls % len(untried)]))


class OneGenerator(Sound):
    """One generator for the whole batch, seeded by its first state."""

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        rng = states[0].rng()
        return [Proposal(nearest_untried(s, rng.random(s.problem.space.width))) for s in states]


class SortsStates(Sound):
    def propose(self, states: Sequence[State]) -> list[Proposal]:
        states.sort(key=lambda s: s.seed)  # type: ignore[attr-defined]
        return super().propose(states)


class Empties(Sound):
    def config(self, state: State) -> Any:
        for trial in state.trials:
            trial.details.clear()  # type: ignore[attr-defined]
        return super().config(state)


class SortsRuns(Sound):
    def config(self, state: State) -> Any:
        for runs in state.problem.cheaper:
            runs.losses.sort()
        return super().config(state)


class Arithmetic(Sound):
    """Counts on a value of the last trial."""

    def config(self, state: State) -> Any:
        if state.trials:
            abs(state.trials[-1].value)  # type: ignore[arg-type]
        return super().config(state)


class AsksAgain(Sound):
    """Tries what diverged once more."""

    def config(self, state: State) -> Any:
        diverged = [t.config for t in state.trials if t.kind == "measured" and t.value is None]
        return diverged[0] if diverged else super().config(state)


class Peeks(Sound):
    """Finds the table that it is measured on."""

    def target(self, state: State) -> Experiment:
        suite = load_suite("micro")
        found = (suite.experiment(s.id) for s in suite.summaries if s.fidelity == state.problem.fidelity)
        return next(e for e in found if e.metric == state.problem.metric)

    def config(self, state: State) -> Any:
        e = self.target(state)
        return e.pool.config(int(e.losses.argmin())) if not state.trials else super().config(state)


class Boasts(Peeks):
    """Knows the best value, and says so."""

    def one(self, state: State) -> Proposal:
        e = self.target(state)
        return Proposal(Sound.config(self, state), f"the best there is: {e.metric.sign * e.best:.6g}")


class Refuses(Sound):
    def one(self, state: State) -> Proposal:
        raise NotApplicable("nothing is to its taste")


DEFECTS: list[tuple[str, type[Sound], str]] = [
    ("test_one_proposal_per_state", OneForAll, "return one Proposal per state"),
    ("test_one_proposal_per_state", BareConfigurations, "return one Proposal per state"),
    ("test_one_proposal_per_state", Refuses, "finds no game applicable"),
    ("test_proposals_can_be_told", OffTheTable, "must be one of state.problem.pool"),
    ("test_proposals_can_be_told", Illegal, "must be one of state.problem.pool"),
    ("test_proposals_can_be_told", BareConfigurations, "in an episode it raised"),
    ("test_proposals_are_plain_data", NoText, "reasoning and trends are text"),
    ("test_proposals_are_plain_data", ExpectsNothing, "mean and sd are finite numbers or None, found nan"),
    ("test_proposals_are_plain_data", LessThanSure, "mean and sd are finite numbers or None, found 0.5 and -1"),
    ("test_proposals_are_plain_data", TooSure, "probabilities of candidates lie in"),
    ("test_proposals_are_plain_data", Unwritable, "cannot be written as JSON"),
    ("test_never_repeats", Repeats, "one was proposed twice"),
    ("test_never_repeats", GivesUp, "in an episode it raised IndexError"),
    ("test_the_seed_is_honoured", GlobalRandom, "two episodes of one seed differ"),
    ("test_the_seed_is_honoured", GlobalNumpy, "two episodes of one seed differ"),
    ("test_it_keeps_nothing_between_calls", Counts, "all it knows must be in the state"),
    ("test_it_keeps_nothing_between_calls", GlobalRandom, "all it knows must be in the state"),
    ("test_the_batch_does_not_matter", OneGenerator, "are given other proposals than together"),
    ("test_states_are_not_changed", SortsStates, "changed the list of states"),
    ("test_states_are_not_changed", Empties, "a policy changed a state"),
    ("test_states_are_not_changed", SortsRuns, "after the trials .* it raised ValueError"),
    ("test_trials_without_a_value_do_not_stop_it", Arithmetic, "after the trials .* it raised TypeError"),
    ("test_trials_without_a_value_do_not_stop_it", AsksAgain, "was told before"),
    ("test_it_does_not_know_the_optimum", Peeks, "does the policy read the table"),
    ("test_it_does_not_know_the_optimum", Boasts, "a reason tells the best value before any run"),
]
"""The check that has to find it, a policy that has it, and what that check says of it (and no other does)."""


def _case(make: Callable[[], Policy]) -> PolicyTestCase:
    case = PolicyTestCase()
    case.make = make  # type: ignore[method-assign]
    return case


def test_a_sound_policy_passes_all_checks() -> None:
    for check in CHECKS:
        getattr(_case(Sound), check)()


@pytest.mark.parametrize(("check", "make", "says"), DEFECTS)
def test_a_planted_defect_is_caught(check: str, make: Callable[[], Policy], says: str) -> None:
    with pytest.raises(BrokenPromise, match=says):
        getattr(_case(make), check)()


class Misread(Experiment):
    """What it tells is another thing after it was written as JSON."""

    def tell(self, config: object) -> Outcome:
        outcome = super().tell(config)
        return replace(outcome, details={3: 0.5})  # type: ignore[dict-item]


def test_a_trajectory_that_is_read_as_another_is_caught() -> None:
    case = _case(Sound)
    e, problem = case.games()[0]
    case.games = lambda: [(Misread(**{f.name: getattr(e, f.name) for f in fields(e) if f.init}), problem)]  # type: ignore[method-assign]
    with pytest.raises(BrokenPromise, match="a trajectory is read as another"):
        case.test_proposals_are_plain_data()


def test_every_check_has_a_planted_defect() -> None:
    assert {check for check, *_ in DEFECTS} == CHECKS


def test_a_case_without_a_subject_says_what_to_write() -> None:
    with pytest.raises(NotImplementedError, match=r"make\(self\) returns a new policy"):
        PolicyTestCase().test_never_repeats()


def test_all_three_cases_are_found_in_one_place() -> None:
    assert llmconfig_gym.testing.PolicyTestCase is PolicyTestCase
    assert not hasattr(llmconfig_gym.testing, "TrainerTestCase")


def test_the_checks_need_neither_pytest_nor_the_researcher() -> None:
    code = (
        "import sys, llmconfig_gym.testing; "
        "print([m for m in ('pytest', 'hypothesis', 'autollmresearch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
