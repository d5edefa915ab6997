"""Halving: rungs, brackets and promotions exactly; better than chance on a law that is alike at every scale."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from autollmresearch.active.episode import ActiveEpisode, run_active
from autollmresearch.active.halving import brackets, rungs
from autollmresearch.active.records import ActiveProblem
from autollmresearch.benchmark.protocols import Active
from autollmresearch.methods import make_active
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.suite import Suite

Line = Callable[..., Experiment]
METHODS = ["sha", "hyperband", "bohb"]


@pytest.fixture
def problem_with(line: Line) -> Callable[..., ActiveProblem]:
    """A problem with experiments of these costs beside the target: `problem_with(costs, budget, levels=100)`."""

    def make(costs: Sequence[float], budget: int, levels: int = 100) -> ActiveProblem:
        values = [float(v) for v in range(levels)]
        cheaper = [line(values, cost=c, level="low") for c in costs]
        return Active(budget).problem(line(values), cheaper)

    return make


def law(line: Line, *costs: float, levels: int = 60) -> list[Experiment]:
    """A valley that moves with the logarithm of cost: the same to within a few levels."""
    experiments = []
    for cost in costs:
        best = 40 + 2 * np.log10(cost)
        values = np.square((np.arange(levels) - best) / levels)
        experiments.append(line(values.tolist(), cost=cost, level="high" if cost == costs[-1] else "low"))
    return experiments


def play(method: str, experiments: Sequence[Experiment], budget: int, seed: int = 0) -> ActiveEpisode:
    problem = Active(budget).problem(experiments[-1], list(experiments[:-1]))
    return run_active(make_active(method), experiments, problem, [seed], 1)[0]


def regret(experiments: Sequence[Experiment], episode: ActiveEpisode) -> float:
    value = episode.recommended[-1].outcome.value
    assert value is not None
    return float(experiments[-1].regret(experiments[-1].metric.sign * value))


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ((0.1, 0.3), [0.1, 0.3, 1.0]),
        ((0.1, 0.2, 0.3, 0.5, 0.9), [0.1, 0.3, 1.0]),
        ((1 / 64, 1 / 32, 1 / 16, 1 / 16, 1 / 8, 1 / 4), [1 / 64, 1 / 16, 1 / 4, 1.0]),
        ((0.47,), [0.47, 1.0]),
        ((0.05, 0.4), [0.05, 1.0]),
        ((), [1.0]),
    ],
)
def test_each_rung_is_at_least_three_times_as_dear_as_the_one_below(
    problem_with: Callable[..., ActiveProblem], costs: Sequence[float], expected: list[float]
) -> None:
    problem = problem_with(costs, 1)
    assert [problem.sources[s].cost for s in rungs(problem, 3)] == pytest.approx(expected)


def test_rungs_get_equal_cost_and_a_top_that_would_compare_nothing_is_left_out(
    problem_with: Callable[..., ActiveProblem],
) -> None:
    costs = (1 / 64, 1 / 16, 1 / 4)
    assert brackets(problem_with(costs, 8), 3, False) == [((0, 100), (1, 34), (2, 8), (3, 2))]
    assert brackets(problem_with(costs, 3), 3, False) == [((0, 64), (1, 16), (2, 4))]
    assert brackets(problem_with(costs, 1), 3, False) == [((0, 32), (1, 8))]
    assert brackets(problem_with((0.3, 0.9), 1), 3, False) == [((0, 3),)]
    assert brackets(problem_with((0.6,), 1), 3, False) == [((0, 1),)]
    assert brackets(problem_with((), 1), 3, False) == []


def test_brackets_share_the_budget_and_each_starts_a_rung_higher(problem_with: Callable[..., ActiveProblem]) -> None:
    made = brackets(problem_with((1 / 64, 1 / 16, 1 / 4), 3), 3, True)
    assert made == [((0, 32), (1, 8)), ((1, 8), (2, 2)), ((2, 4),)]
    assert brackets(problem_with((1 / 8,), 1), 3, True) == [((0, 8),)]


def test_what_a_small_pool_leaves_goes_up_the_rungs(problem_with: Callable[..., ActiveProblem]) -> None:
    assert brackets(problem_with((0.001, 0.01), 3, levels=20), 3, False) == [((0, 20), (1, 20), (2, 2))]
    sha, hyperband = (brackets(problem_with((0.01,), 4, levels=5), 3, h) for h in (False, True))
    assert sha == [((0, 5), (1, 3))]
    assert hyperband == [((0, 5),), ((1, 2),)]  # no configuration is planned twice, nor more than there are


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("budget", [1, 3])
def test_no_more_is_planned_than_the_budget_pays(line: Line, method: str, budget: int) -> None:
    experiments = law(line, 1.0, 4.0, 16.0, 64.0)
    episode = play(method, experiments, budget)
    assert episode.end is None
    cost = sum(experiments[r.query.source].fidelity.cost for r in episode.runs) / 64
    assert 0.8 * budget < cost <= budget


def test_the_best_of_a_rung_are_run_on_the_next_in_their_order(line: Line) -> None:
    experiments = law(line, 1.0, 4.0, 16.0, 64.0)
    episode = play("sha", experiments, 3)
    counts = [[r.query.source for r in episode.runs].count(s) for s in range(4)]
    assert counts == [60, 16, 4, 0]
    below, start = episode.runs[:60], 60
    for source in (1, 2):
        rung = episode.runs[start : start + counts[source]]
        ranked = sorted(below, key=lambda r: r.outcome.value)  # type: ignore[arg-type,return-value]
        assert [r.row for r in rung] == [r.row for r in ranked][: counts[source]]
        below, start = rung, start + counts[source]
    best = min(below, key=lambda r: r.outcome.value)  # type: ignore[arg-type,return-value]
    assert episode.recommended[-1].outcome.config == best.outcome.config


def test_a_run_that_diverged_is_ranked_last(line: Line) -> None:
    cheap = line([np.nan] * 4 + [3.0, 2.0], cost=1.0, level="low")
    middle = line([9.0, 9.0, 9.0, 9.0, 1.0, 0.0], cost=8.0, level="medium")
    experiments = [cheap, middle, line([1.0] * 5 + [0.0], cost=64.0)]
    episode = play("sha", experiments, 1)
    promoted = [r.row for r in episode.runs if r.query.source == 1]
    assert promoted[:2] == [5, 4]
    assert episode.recommended[-1].outcome.config == {"x": 6}


def test_nothing_is_recommended_by_a_run_without_a_value(line: Line) -> None:
    experiments = [line([np.nan, np.nan, 1.0], level="low"), line([1.0] * 3, cost=3.0)]
    assert play("sha", experiments, 1).recommended[-1].outcome.config == {"x": 3}


def test_a_maximised_metric_is_promoted_from_the_top(line: Line, mirrored: Callable[[Experiment], Experiment]) -> None:
    experiments = law(line, 1.0, 4.0, 64.0)
    for method in METHODS:
        there, back = play(method, experiments, 1), play(method, [mirrored(e) for e in experiments], 1)
        assert [(r.query.source, r.row) for r in there.runs] == [(r.query.source, r.row) for r in back.runs]
        assert there.recommended[0].proposal == back.recommended[0].proposal


@pytest.mark.parametrize(
    ("method", "budget"), [("sha", 1), ("sha", 3), ("hyperband", 1), ("hyperband", 3), ("bohb", 1)]
)
def test_it_beats_chance_at_the_same_cost(line: Line, method: str, budget: int) -> None:
    experiments = law(line, 1.0, 4.0, 16.0, 64.0)
    mean = {
        m: np.mean([regret(experiments, play(m, experiments, budget, seed)) for seed in range(8)])
        for m in (method, "random")
    }
    assert mean[method] < 0.6 * mean["random"]


def test_a_model_brings_better_configurations_than_chance(line: Line) -> None:
    """What BOHB's paper promises: by its model the runs of a bracket are better than random ones."""
    experiments = law(line, 1.0, 30.0, levels=400)
    loss = {
        m: np.mean([r.outcome.value for seed in range(4) for r in play(m, experiments, 1, seed).runs[15:]])
        for m in ("hyperband", "bohb")
    }
    assert loss["bohb"] < 0.6 * loss["hyperband"]


@pytest.mark.parametrize("task", ["pretraining", "mixture", "architecture"])
@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_space_is_served_the_same_each_time(
    toy: Suite, targets: Mapping[str, Experiment], task: str, method: str
) -> None:
    experiments = [*toy.cheaper(targets[task].id), targets[task]]
    first, again = (play(method, experiments, 3, seed=3) for _ in range(2))
    assert first.end is None
    assert len(first.runs) > 3
    assert [(r.query.source, r.row) for r in first.runs] == [(r.query.source, r.row) for r in again.runs]
    assert all(r.outcome.kind == "measured" for r in first.runs)
    assert first.recommended[-1].outcome.kind == "measured"
    assert first.recommended[-1].proposal == again.recommended[-1].proposal
