"""Protocols: what a method may see before its first trial, and that nothing else can be reached from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from autollmresearch.active.episode import run_active
from autollmresearch.active.records import ActiveProblem, ActiveState, Query, Run, Source
from autollmresearch.benchmark.protocols import Active, Protocol, parse_protocol
from autollmresearch.episode import run_episodes
from autollmresearch.errors import InvalidProtocol
from autollmresearch.evidence.records import CheapRuns, Problem
from autollmresearch.methods import make_active, make_policy
from autollmresearch.policy import Proposal, State, Usage
from llmconfig_gym.experiment import Experiment, Fidelity, Metric, Outcome
from llmconfig_gym.parameter import Parameter
from llmconfig_gym.pool import Pool, _Axis, _GridIndex
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Suite

PLAIN = (
    State,
    Proposal,
    Usage,
    Problem,
    CheapRuns,
    Fidelity,
    Metric,
    Outcome,
    Parameter,
    Space,
    Pool,
    _GridIndex,
    _Axis,
    ActiveState,
    ActiveProblem,
    Source,
    Run,
    Query,
)
"""Objects whose attributes are followed; anything that is neither one of them nor plain data fails the test."""


def reachable(root: object) -> set[float]:
    """Every floating-point number that can be reached from an object: by attributes, items, arrays and their bases."""
    numbers: set[float] = set()
    stack, seen = [root], set()
    keep = []
    while stack:
        thing: Any = stack.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        keep.append(thing)  # an id is an object's own only while the object lives
        if isinstance(thing, float):
            numbers.add(thing)
        elif (
            thing is None
            or isinstance(thing, str | int)
            or type(thing).__name__ == "PyCapsule"
            or any(thing is t for t in (bool, str, int, float))
        ):
            pass
        elif isinstance(thing, np.ndarray):
            if thing.dtype.kind == "f":
                numbers.update(thing.ravel().tolist())
            stack.append(thing.base)
        elif isinstance(thing, pyarrow.Array | pyarrow.ChunkedArray):
            stack.append(thing.to_numpy(zero_copy_only=False).copy())
        elif isinstance(thing, pyarrow.Buffer):
            numbers.update(np.frombuffer(thing, dtype=np.float64, count=thing.size // 8).tolist())
        elif isinstance(thing, cKDTree):
            stack += [np.asarray(thing.data), np.asarray(thing.maxes), np.asarray(thing.mins)]
        elif isinstance(thing, Mapping):
            stack += [*thing.keys(), *thing.values()]
        elif isinstance(thing, tuple | list | set | frozenset):
            stack += thing
        elif isinstance(thing, PLAIN):
            if is_dataclass(thing):
                stack += [getattr(thing, f.name) for f in fields(thing)]
            stack += getattr(thing, "__dict__", {}).values()
        else:
            raise AssertionError(f"a {type(thing).__name__} can be reached from a {type(root).__name__}")
    return numbers


def secrets(e: Experiment) -> set[float]:
    """Every measured number of an experiment, either way round, and what is computed from all of them."""
    columns = [e.values, *e.details.values()]
    numbers = {float(v) for column in columns for v in column if np.isfinite(v)}
    return {s * n for n in {*numbers, e.best, e.worst, float(e.losses.max())} for s in (1, -1)}


@pytest.fixture(params=["in memory", "on disk"])
def suite(request: pytest.FixtureRequest, toy: Suite, toy_path: Path) -> Suite:
    return toy if request.param == "in memory" else Suite.load(toy_path)


@pytest.mark.parametrize("protocol", ["full", "metered:1", "metered:7", "metered:1000"])
@pytest.mark.parametrize("level", ["medium", "high"])
def test_no_outcome_of_the_target_or_a_dearer_experiment_can_be_reached(
    suite: Suite, protocol: str, level: Any
) -> None:
    for target in suite.split(level):
        allowed = suite.cheaper(target.id)
        hidden = set().union(*(secrets(suite.experiment(i)) for i in suite.ids if suite.experiment(i) not in allowed))
        target.tell(target.pool.config(0))
        for problem in Protocol.parse(protocol).problems(target, allowed, 3, [0, 1]):
            for method in ("random", "copy", "tpe:startup=1"):  # what a policy leaves behind is no way either
                make_policy(method).propose([State(problem)])
            found = reachable(problem)
            assert len(found) > 10
            assert found.isdisjoint(hidden)


@pytest.mark.parametrize("outcomes", [1, 4, 12])
def test_no_outcome_that_was_not_drawn_can_be_reached(suite: Suite, outcomes: int) -> None:
    for target in suite.split("high"):
        cheaper = suite.cheaper(target.id)
        for seed, problem in enumerate(Protocol(outcomes).problems(target, cheaper, 3, list(range(4)))):
            found = reachable(problem)
            drawn = {float(v) for runs in problem.cheaper for v in runs.losses}
            values = {float(v) for e in cheaper for v in e.values if np.isfinite(v)}
            assert len(found & (values | {-v for v in values})) <= outcomes, f"seed {seed}"
            assert {abs(v) for v in found & values} <= {abs(v) for v in drawn}


def test_the_states_of_an_episode_hold_the_outcomes_paid_for_and_no_other(targets: Mapping[str, Experiment]) -> None:
    target = targets["pretraining"]
    checked = []

    class Walks:
        def propose(self, states: Sequence[State]) -> list[Proposal]:
            for state in states:
                paid = {n for t in state.trials for n in (t.value, *t.details.values()) if n is not None}
                assert reachable(state) & secrets(target) == paid
                checked.append(len(paid))
            return make_policy("random").propose(states)

    problems = Protocol().problems(target, [], 4, [0, 1])
    run_episodes(Walks(), [target] * 2, problems, [0, 1])
    assert sorted(set(checked))[0] == 0
    assert max(checked) > 2


@pytest.mark.parametrize("method", ["random", "copy", "bohb", "mf-kg:runs=7"])
def test_nothing_of_a_run_that_was_not_paid_for_reaches_an_active_method(toy: Suite, method: str) -> None:
    hidden = set().union(*(secrets(toy.experiment(i)) for i in toy.ids))
    for target in toy.split("medium"):
        experiments = [*toy.cheaper(target.id), target]
        seen = []

        class Walks:
            def query(self, states: Sequence[ActiveState]) -> list[Query | None]:
                self.look(states)
                return make_active(method).query(states)

            def recommend(self, states: Sequence[ActiveState]) -> list[Proposal]:
                self.look(states)
                return make_active(method).recommend(states)

            def look(self, states: Sequence[ActiveState]) -> None:
                for state in states:
                    told = [r.outcome for r in state.runs]
                    paid = {n for o in told for n in (o.value, *o.details.values()) if n is not None}
                    assert reachable(state) & hidden <= {s * n for n in paid for s in (1, -1)}
                    seen.append(len(paid))  # noqa: B023

        run_active(Walks(), experiments, Active(1).problem(target, experiments[:-1]), [0], 3)
        assert min(seen) == 0
        assert max(seen) >= 1


def test_a_walk_finds_what_is_hidden(toy: Suite) -> None:
    """The tests above mean something: a leak anywhere in a problem is seen."""
    target = toy.split("high")[0]
    problem = Protocol().problems(target, toy.cheaper(target.id), 3, [0])[0]
    pool = Pool(target.space, target.pool.columns)
    vars(pool)["left_behind"] = {"deep": [(target.values[:3],)]}
    leaky = Problem(target.task, target.fidelity, target.metric, pool, problem.cheaper, 3)
    assert not reachable(leaky).isdisjoint(secrets(target))
    vars(pool)["left_behind"] = target
    with pytest.raises(AssertionError, match="a Experiment can be reached from a Problem"):
        reachable(leaky)


def test_full_gives_the_whole_tables_of_all_cheaper_experiments(toy: Suite) -> None:
    for target in toy.split("high"):
        cheaper = toy.cheaper(target.id)
        problem = Protocol().problems(target, cheaper, 5, [0])[0]
        assert len(problem.cheaper) == len(cheaper) == 2
        for runs, e in zip(problem.cheaper, cheaper, strict=True):
            assert (runs.fidelity, runs.space) == (e.fidelity, e.space)
            assert [runs.pool.config(r) for r in range(len(runs.pool))] == [
                e.pool.config(r) for r in range(len(e.pool))
            ]
            np.testing.assert_array_equal(runs.losses, e.losses)
            for name, column in e.details.items():
                np.testing.assert_array_equal(runs.details[name], column)


def test_full_is_the_same_problem_for_every_seed(toy: Suite) -> None:
    target = toy.split("high")[0]
    problems = Protocol().problems(target, toy.cheaper(target.id), 5, [0, 1, 2])
    assert len(problems) == 3
    assert len({id(p) for p in problems}) == 1


def test_a_problem_says_what_is_asked(toy: Suite) -> None:
    for target in toy.split("high"):
        for protocol in (Protocol(), Protocol(3)):
            p = protocol.problems(target, toy.cheaper(target.id), 6, [0])[0]
            assert (p.task, p.fidelity, p.metric) == (target.task, target.fidelity, target.metric)
            assert (p.pool, p.space, p.budget, p.clip) == (target.pool, target.space, 6, target.clip)


def _drawn(problem: Problem) -> list[tuple[float, str, float]]:
    """Every cheap outcome: cost, configuration, loss."""
    return [
        (runs.fidelity.cost, str(runs.pool.config(row)), float(runs.losses[row]))
        for runs in problem.cheaper
        for row in range(len(runs.pool))
    ]


@given(outcomes=st.integers(1, 90), seed=st.integers(0, 10**6))
def test_metered_gives_the_same_outcomes_of_the_tables_to_every_method(toy: Suite, outcomes: int, seed: int) -> None:
    target = toy.split("high")[-1]
    cheaper = toy.cheaper(target.id)
    first, again = (Protocol(outcomes).problems(target, cheaper, 5, [seed])[0] for _ in range(2))
    drawn = _drawn(first)
    assert drawn == _drawn(again)
    total = sum(len(e.pool) for e in cheaper)
    assert len(set(drawn)) == len(drawn) == min(outcomes, total)
    measured = {(e.fidelity.cost, str(e.pool.config(r))): e.values[r] for e in cheaper for r in range(len(e.pool))}
    for cost, config, loss in drawn:
        value = measured[cost, config]
        assert loss == value or not np.isfinite(value)


def test_metered_draws_anew_for_another_seed_number_or_target(toy: Suite) -> None:
    one, two = (e for e in toy.split("high") if e.task == "pretraining")
    cheaper = toy.cheaper(one.id)
    assert [e.id for e in cheaper] == [e.id for e in toy.cheaper(two.id)]
    problems = [
        *Protocol(6).problems(one, cheaper, 5, list(range(20))),
        *Protocol(6).problems(two, cheaper, 5, [0]),
        *Protocol(7).problems(one, cheaper, 5, [0]),
    ]
    assert len({str(_drawn(p)) for p in problems}) == 22
    assert not set(_drawn(problems[-1])) >= set(_drawn(problems[0]))


def test_metered_depends_neither_on_the_budget_nor_on_the_other_seeds(toy: Suite) -> None:
    target = toy.split("high")[-1]
    cheaper = toy.cheaper(target.id)
    many = Protocol(5).problems(target, cheaper, 5, [0, 1, 2])
    alone = [Protocol(5).problems(target, cheaper, 9, [seed])[0] for seed in range(3)]
    assert [_drawn(p) for p in many] == [_drawn(p) for p in alone]


def test_metered_draws_every_cheap_outcome_equally_often(line: Callable[..., Experiment]) -> None:
    target = line([0.0, 1.0], cost=100.0)
    cheaper = [line([float(v) for v in range(2)]), line([float(v) for v in range(8)], cost=10.0)]
    problems = Protocol(3).problems(target, cheaper, 1, list(range(1000)))
    counts: dict[tuple[float, str], int] = {}
    for problem in problems:
        for cost, config, _ in _drawn(problem):
            counts[cost, config] = counts.get((cost, config), 0) + 1
    assert len(counts) == 10
    assert all(230 < n < 370 for n in counts.values())  # 300 each; a standard deviation is 14.5


def test_a_diverged_run_carries_the_worst_value_drawn_and_not_the_worst_of_the_table(
    line: Callable[..., Experiment],
) -> None:
    near, far = line([np.nan, 3.0, 4.0, 9.0], cost=10.0), line([np.nan, 1.0])
    runs = CheapRuns.drawn([(far, np.array([0, 1])), (near, np.array([0, 1, 2]))])
    assert [r.losses.tolist() for r in runs] == [[1.0, 1.0], [4.0, 3.0, 4.0]]
    runs = CheapRuns.drawn([(far, np.array([0])), (near, np.array([1, 2]))])
    assert [r.losses.tolist() for r in runs] == [[4.0], [3.0, 4.0]]
    assert CheapRuns.drawn([(far, np.array([0]))])[0].losses.tolist() == [0.0]


@pytest.mark.parametrize("text", ["full", "metered:1", "metered:50"])
def test_a_protocol_is_written_as_it_is_read(text: str) -> None:
    assert str(Protocol.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("ful", "did you mean 'full'? "),
        ("full:3", "did you mean 'full'? "),
        ("meterd:5", "did you mean 'metered:10'? "),
        ("metered", "did you mean 'metered:10'? "),
        ("metered:0", "did you mean 'metered:10'? "),
        ("metered:-1", "did you mean 'metered:10'? "),
        ("metered:2.5", "did you mean 'metered:10'? "),
        ("metered:²", "did you mean 'metered:10'? "),
        ("metered:" + "9" * 5000, "did you mean 'metered:10'? "),
        ("active:3", ""),
        ("activ:3", ""),
        ("", ""),
    ],
)
def test_what_is_no_protocol_is_refused_with_what_is_one(text: str, advice: str) -> None:
    with pytest.raises(InvalidProtocol) as caught:
        Protocol.parse(text)
    assert str(caught.value) == (
        f"{text!r} is not a protocol; {advice}expected 'full' or 'metered:N' with N at least 1"
    )


@pytest.mark.parametrize("text", ["full", "metered:7", "active:1", "active:3"])
def test_a_benchmark_reads_the_three_kinds_of_protocol(text: str) -> None:
    assert str(parse_protocol(text)) == text
    assert isinstance(parse_protocol(text), Active) == text.startswith("active")


@pytest.mark.parametrize("text", ["active", "active:", "active:0", "active:-1", "active:0.5", "active:²", "activ:3"])
def test_a_budget_of_cost_is_a_whole_number_of_at_least_one(text: str) -> None:
    with pytest.raises(InvalidProtocol) as caught:
        parse_protocol(text)
    assert str(caught.value) == (
        f"{text!r} is not a protocol; did you mean 'active:1'? expected 'active:B' with B, the budget in costs of one "
        "run of the target, at least 1"
    )


@pytest.mark.parametrize("text", ["ful", "meterd:5", "metered:0", ""])
def test_what_is_none_of_them_is_told_of_as_before(text: str) -> None:
    with pytest.raises(InvalidProtocol, match="expected 'full' or 'metered:N'"):
        parse_protocol(text)


def test_an_active_problem_lists_what_can_be_run_and_what_a_run_costs(line: Callable[..., Experiment]) -> None:
    target, cheaper = line([1.0, 2.0], cost=40.0, clip=1.5), [line([1.0] * 3), line([2.0] * 4, cost=10.0)]
    problem = Active(3).problem(target, cheaper)
    assert [s.cost for s in problem.sources] == [0.025, 0.25, 1.0]
    assert [s.pool for s in problem.sources] == [e.pool for e in (*cheaper, target)]
    assert (problem.target, list(problem.cheaper), problem.budget, problem.clip) == (2, [0, 1], 3.0, 1.5)
