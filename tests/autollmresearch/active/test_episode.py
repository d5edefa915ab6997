"""Active episodes: the runner counts cost, refuses what cannot be run, and scores what it does not tell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from autollmresearch.active.episode import ActiveEpisode, run_active
from autollmresearch.active.records import ActiveState, Query
from autollmresearch.benchmark.protocols import Active
from autollmresearch.errors import BrokenPolicy
from autollmresearch.policy import Proposal, Usage
from llmconfig_gym.experiment import Experiment

Line = Callable[..., Experiment]


@dataclass(frozen=True)
class Scripted:
    """Asks for these runs in turn, then stops; recommends as many of the target's levels as it had runs, plus one."""

    queries: tuple[Any, ...]
    usage: Usage = field(default=Usage())

    def query(self, states: Sequence[ActiveState]) -> list[Query | None]:
        return [self._query(len(state.runs)) for state in states]

    def recommend(self, states: Sequence[ActiveState]) -> list[Proposal]:
        return [Proposal({"x": len(state.runs) + 1}, usage=Usage(5, 1, 0.5)) for state in states]

    def _query(self, turn: int) -> Query | None:
        if turn >= len(self.queries):
            return None
        source, config = self.queries[turn]
        return Query(source, Proposal(config, usage=self.usage))


@pytest.fixture
def experiments(line: Line) -> list[Experiment]:
    """Runs of 0.25 and of 1; ten configurations each, of the target the later the better."""
    cheap = line([float(v) for v in range(10)], cost=2.5, level="low")
    return [cheap, line([float(10 - v) for v in range(10)], cost=10.0)]


def play(experiments: list[Experiment], budget: int, *queries: Any, parts: int = 4, **kwargs: Any) -> ActiveEpisode:
    problem = Active(budget).problem(experiments[-1], experiments[:-1])
    return run_active(Scripted(queries, **kwargs), experiments, problem, [7], parts)[0]


def test_each_run_is_answered_by_its_own_experiment(experiments: list[Experiment]) -> None:
    episode = play(experiments, 3, (0, {"x": 4}), (1, {"x": 4}), (0, {"x": 2}))
    assert [(r.query.source, r.row, r.outcome.value) for r in episode.runs] == [(0, 3, 3.0), (1, 3, 7.0), (0, 1, 1.0)]
    assert episode.end is None


def test_the_whole_budget_can_be_spent_and_a_run_dearer_than_what_is_left_ends_it(
    experiments: list[Experiment],
) -> None:
    cheap = [(0, {"x": x}) for x in range(1, 6)]
    whole = play(experiments, 1, *cheap)
    assert len(whole.runs) == 4
    assert whole.end is not None
    assert whole.end.kind == "over_budget"
    assert whole.end.value is None
    mixed = play(experiments, 1, cheap[0], (1, {"x": 1}), *cheap[1:])
    assert [len(mixed.runs), mixed.end and mixed.end.kind] == [1, "over_budget"]
    target = play(experiments, 1, (1, {"x": 1}), (0, {"x": 1}))
    assert [len(target.runs), target.end and target.end.kind] == [1, "over_budget"]


def test_a_sum_of_costs_that_rounds_is_no_reason_to_refuse(line: Line) -> None:
    cheap = line([float(v) for v in range(12)], cost=0.1, level="low")
    experiments = [cheap, line([1.0] * 12)]
    assert len(play(experiments, 1, *[(0, {"x": x}) for x in range(1, 13)]).runs) == 10


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ((0, {"x": 4}), "duplicate"),
        ((0, {"x": 4.0}), "duplicate"),
        ((2, {"x": 1}), "invalid"),
        ((-1, {"x": 1}), "invalid"),
        ((0, {"y": 1}), "invalid"),
        ((0, None), "invalid"),
        ((0, "I would not know"), "invalid"),
        ((0, object()), "invalid"),
    ],
)
def test_what_cannot_be_run_ends_the_episode_and_costs_nothing(
    experiments: list[Experiment], query: Any, kind: str
) -> None:
    episode = play(experiments, 3, (0, {"x": 4}), query, (0, {"x": 5}))
    assert len(episode.runs) == 1
    assert episode.end is not None
    assert episode.end.kind == kind
    assert episode.end.message


def test_the_same_configuration_may_be_run_on_every_experiment(experiments: list[Experiment]) -> None:
    assert len(play(experiments, 3, (0, {"x": 4}), (1, {"x": 4})).runs) == 2


def test_words_are_read_and_a_number_between_levels_is_the_nearest(experiments: list[Experiment]) -> None:
    episode = play(experiments, 3, (0, '<config>{"x": 3}</config>'), (0, {"x": 5.9}))
    assert [(r.outcome.kind, r.row) for r in episode.runs] == [("measured", 2), ("snapped", 5)]


def test_after_each_part_of_the_budget_stands_what_was_recommended_by_then(experiments: list[Experiment]) -> None:
    """Runs end at 0.25, 1.25 and 1.5 of 2; the parts at 0.5, 1, 1.5 and 2."""
    episode = play(experiments, 2, (0, {"x": 1}), (1, {"x": 1}), (0, {"x": 2}), usage=Usage(10, 2, 0.25))
    assert [t.proposal.config for t in episode.recommended] == [{"x": 2}, {"x": 2}, {"x": 4}, {"x": 4}]
    assert [t.outcome.value for t in episode.recommended] == [9.0, 9.0, 7.0, 7.0]
    assert [t.proposal.usage for t in episode.recommended] == [Usage(15, 3, 0.75), Usage(), Usage(25, 5, 1.0), Usage()]
    assert [t.seconds > 0 for t in episode.recommended] == [True, False, True, False]


def test_a_recommendation_is_made_without_being_told_of_it(targets: Mapping[str, Experiment]) -> None:
    """No state that a method is shown, first to last, holds an outcome of the target: none was run."""
    target = targets["mixture"]
    shown: list[ActiveState] = []

    class Looks(Scripted):
        def recommend(self, states: Sequence[ActiveState]) -> list[Proposal]:
            shown.extend(states)
            return [Proposal(target.pool.config(len(shown))) for _ in states]

    problem = Active(1).problem(target, [])
    episode = run_active(Looks(()), [target], problem, [0], 3)[0]
    assert [t.outcome.kind for t in episode.recommended] == ["measured"] * 3
    assert len(shown) == 1
    assert all(not state.runs for state in shown)


def test_what_is_no_configuration_may_be_recommended_and_is_invalid(experiments: list[Experiment]) -> None:
    class Refuses(Scripted):
        def recommend(self, states: Sequence[ActiveState]) -> list[Proposal]:
            return [Proposal("none of them") for _ in states]

    problem = Active(1).problem(experiments[-1], experiments[:-1])
    episode = run_active(Refuses(()), experiments, problem, [0], 2)[0]
    assert [(t.outcome.kind, t.outcome.value) for t in episode.recommended] == [("invalid", None)] * 2


def test_seeds_do_not_see_each_other(experiments: list[Experiment]) -> None:
    class Counts(Scripted):
        def query(self, states: Sequence[ActiveState]) -> list[Query | None]:
            return [Query(0, Proposal({"x": len(s.runs) + 1})) if len(s.runs) < s.seed else None for s in states]

    problem = Active(1).problem(experiments[-1], experiments[:-1])
    episodes = run_active(Counts(()), experiments, problem, [0, 3, 1], 1)
    assert [len(e.runs) for e in episodes] == [0, 3, 1]
    assert [e.recommended[0].proposal.config for e in episodes] == [{"x": 1}, {"x": 4}, {"x": 2}]


def test_a_method_that_answers_something_else_is_refused(experiments: list[Experiment]) -> None:
    class Greedy(Scripted):
        def query(self, states: Sequence[ActiveState]) -> list[Query | None]:
            return [None, *[None for _ in states]]

    class Confused(Scripted):
        def query(self, states: Sequence[ActiveState]) -> list[Any]:
            return [{"x": 1} for _ in states]

    class Silent(Scripted):
        def recommend(self, states: Sequence[ActiveState]) -> list[Any]:
            return [None for _ in states]

    problem = Active(1).problem(experiments[-1], experiments[:-1])
    for kind, message in (
        (Greedy, r"Greedy.query returned 2 answers \(NoneType\) for 1 states"),
        (Confused, r"Confused.query returned 1 answers \(dict\)"),
        (Silent, r"Silent.recommend returned 1 answers \(NoneType\) .* expected one Proposal per state"),
    ):
        with pytest.raises(BrokenPolicy, match=message):
            run_active(kind(()), experiments, problem, [0], 1)
