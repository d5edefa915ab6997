"""Schedule: what is bought for a method that only proposes for the target."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from autollmresearch.active.episode import ActiveEpisode, run_active
from autollmresearch.active.schedule import RUNS, ScheduledPolicy
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.benchmark.protocols import Active
from autollmresearch.methods import make_active
from autollmresearch.policy import Proposal, State
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.suite import Suite

Line = Callable[..., Experiment]


def play(
    method: str | ScheduledPolicy, experiments: Sequence[Experiment], budget: int, seed: int = 0, parts: int = 5
) -> ActiveEpisode:
    problem = Active(budget).problem(experiments[-1], list(experiments[:-1]))
    policy = make_active(method) if isinstance(method, str) else method
    return run_active(policy, experiments, problem, [seed], parts)[0]


def sources(episode: ActiveEpisode) -> list[int]:
    return [r.query.source for r in episode.runs]


def lines(line: Line, *costs: float, levels: int = 40) -> list[Experiment]:
    """Experiments of these costs, the last the target, with a valley at 30 of 40."""
    values = np.square((np.arange(levels) - 29) / 10).tolist()
    return [line(values, cost=cost, level="high" if cost == costs[-1] else "low") for cost in costs]


@pytest.mark.parametrize("method", ["random", "tpe:startup=1", "gp"])
def test_nothing_cheap_is_bought_for_a_method_that_learns_nothing_from_it(line: Line, method: str) -> None:
    episode = play(method, lines(line, 1.0, 10.0), 3)
    assert sources(episode) == [1, 1, 1]
    told = [r.outcome.value for r in episode.runs if r.outcome.value is not None]
    assert [t.outcome.value for t in episode.recommended][-1] == min(told)


def test_runs_go_to_the_dearest_experiment_that_the_budget_pays_five_of(line: Line) -> None:
    assert RUNS == 5
    costs = (5.0, 10.0, 20.0, 21.0, 90.0, 100.0)
    one, three = (sources(play("copy", lines(line, *costs), budget)) for budget in (1, 3))
    assert one == [2] * 5
    assert three == [3] * 14 + [0]  # 0.06 of 3 is left, which pays for the cheapest alone


def test_where_five_runs_are_too_dear_those_of_the_cheapest_are_bought(line: Line) -> None:
    assert sources(play("copy", lines(line, 4.0, 8.0, 10.0), 1)) == [0, 0]


def test_what_no_cheaper_run_is_left_for_goes_to_the_target(line: Line) -> None:
    experiments = lines(line, 0.5, 1.0, 10.0, levels=10)
    episode = play("copy", experiments, 4)
    assert sources(episode) == [1] * 10 + [0] * 10 + [2] * 2
    assert len({(r.query.source, r.row) for r in episode.runs}) == 22
    assert [r.outcome.value for r in episode.runs[-2:]] == sorted(experiments[-1].values.tolist())[:2]
    assert episode.recommended[-1].outcome.value == experiments[-1].best


def test_without_a_trial_its_proposal_is_recommended_and_after_some_the_best_of_them(line: Line) -> None:
    """The policy proposes the levels in order, of which the third is the worst."""

    class InOrder:
        def propose(self, states: Sequence[State]) -> list[Proposal]:
            asked.extend((s.problem.budget, len(s.trials)) for s in states)
            return [Proposal({"x": len(s.trials) + 1}) for s in states]

    asked: list[tuple[int, int]] = []
    cheap, target = line([1.0, 2.0, 3.0], level="low"), line([7.0, 5.0, 9.0], cost=100.0)
    episode = play(ScheduledPolicy(InOrder()), [cheap, target], 4)
    assert sources(episode) == [0, 0, 0, 1, 1, 1]
    assert [t.outcome.value for t in episode.recommended] == [7.0, 7.0, 5.0, 5.0, 5.0]
    assert asked[:3] == [(4, 0), (4, 1), (4, 2)]  # the last trial to come is the recommendation
    assert set(asked[3:]) == {(1, 0)}


def test_cheap_runs_are_the_same_for_every_method_of_a_seed_and_differ_between_seeds(line: Line) -> None:
    experiments = lines(line, 1.0, 10.0)
    first = [[r.row for r in play(m, experiments, 1).runs] for m in ("copy", "pooled-gp")]
    assert first[0] == first[1]
    assert first[0] != [r.row for r in play("copy", experiments, 1, seed=1).runs]


@pytest.mark.parametrize("method", ["copy", "pooled-gp", "pooled-quadratic", "analyst"])
def test_cheap_runs_serve_better_than_trials_on_the_target_of_the_same_cost(line: Line, method: str) -> None:
    experiments = lines(line, 1.0, 20.0)
    regret = {
        m: np.mean([_regret(experiments[-1], play(m, experiments, 1, seed, parts=1)) for seed in range(12)])
        for m in (method, "random")
    }
    assert regret[method] < 0.7 * regret["random"]


def _regret(target: Experiment, episode: ActiveEpisode) -> float:
    value = episode.recommended[-1].outcome.value
    assert value is not None
    return float(target.regret(target.metric.sign * value))


@pytest.mark.parametrize("task", ["pretraining", "mixture", "architecture"])
@pytest.mark.parametrize("method", ["random", "tpe:startup=1", "copy", "pooled-gp", "analyst"])
def test_every_task_is_served_the_same_each_time(
    toy: Suite, targets: Mapping[str, Experiment], task: str, method: str
) -> None:
    experiments = [*toy.cheaper(targets[task].id), targets[task]]
    first, again = (play(method, experiments, 2, seed=3) for _ in range(2))
    assert [(r.query.source, r.row) for r in first.runs] == [(r.query.source, r.row) for r in again.runs]
    assert [t.proposal.config for t in first.recommended] == [t.proposal.config for t in again.recommended]
    assert all(t.outcome.kind == "measured" for t in first.recommended)


def test_with_nothing_cheaper_there_is_the_target_alone(line: Line) -> None:
    episode = play(ScheduledPolicy(RandomPolicy()), lines(line, 10.0), 2)
    assert sources(episode) == [0, 0]
