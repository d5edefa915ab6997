"""Episodes: the environment counts the trials, whatever a policy does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from autollmresearch.benchmark.metrics import episode_metrics
from autollmresearch.episode import run_episodes
from autollmresearch.errors import BrokenPolicy
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from autollmresearch.policy import Policy, Proposal, State
from llmconfig_gym.experiment import Experiment

NAN = float("nan")
NO_CONFIGURATIONS: tuple[Any, ...] = (
    "I would like to try a learning rate of 3e-4.",
    "",
    "\ud800",
    "[" * 5000,
    "<config>{}</config>",
    None,
    NAN,
    17,
    [1, 2],
    object(),
    {},
    {"x": NAN},
    {"x": None},
    {"x": True},
    {"x": "2"},
    {"x": [2]},
    {"x": 2, "budget": 99},
    {("a", "tuple"): 1},
    {"y": 1},
)


@dataclass
class Recorder:
    """Random proposals, and every state that was seen."""

    seen: list[State] = field(default_factory=list)

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        self.seen += states
        return make_policy("random").propose(states)


@dataclass(frozen=True)
class Returns:
    """A policy that returns this, however many states there are."""

    proposals: Any

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return self.proposals  # type: ignore[no-any-return]


@pytest.mark.parametrize("garbage", NO_CONFIGURATIONS, ids=lambda g: repr(g)[:20].encode("ascii", "replace").decode())
def test_what_is_no_configuration_costs_a_trial_and_gives_nothing(
    line: Callable[..., Experiment], lonely: Callable[..., Problem], scripted: Callable[..., Policy], garbage: Any
) -> None:
    e = line([3.0, 2.0, 1.0])
    turns = run_episodes(scripted({"x": 2}, garbage, garbage), [e], [lonely(e, 3)], [0])[0].turns
    assert [t.outcome.kind for t in turns] == ["measured", "invalid", "invalid"]
    assert [t.outcome.value for t in turns] == [2.0, None, None]
    assert [t.reward for t in turns] == [pytest.approx(0.5 / 3), 0.0, 0.0]


def test_a_repeated_configuration_costs_a_trial_and_gives_nothing(
    line: Callable[..., Experiment], lonely: Callable[..., Problem], scripted: Callable[..., Policy]
) -> None:
    e = line([3.0, 2.0, 1.0])
    policy = scripted({"x": 3}, '{"x": 3}', {"x": 3.2}, {"x": 1})
    turns = run_episodes(policy, [e], [lonely(e, 4)], [0])[0].turns
    assert [t.outcome.kind for t in turns] == ["measured", "duplicate", "duplicate", "measured"]
    assert [t.outcome.value for t in turns] == [1.0, None, None, 3.0]
    assert [t.reward for t in turns] == [0.25, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("budget", [1, 2, 7])
def test_an_episode_has_exactly_its_budget_of_trials(
    line: Callable[..., Experiment], lonely: Callable[..., Problem], budget: int
) -> None:
    e = line([3.0, 2.0, 1.0])
    for method in ("random", "copy"):
        episodes = run_episodes(make_policy(method), [e] * 2, [lonely(e, budget)] * 2, [0, 1])
        assert [len(episode.turns) for episode in episodes] == [budget, budget]


@pytest.mark.parametrize(
    "returned",
    [[], [Proposal({"x": 1})] * 3, [Proposal({"x": 1}), None], [{"x": 1}, {"x": 2}]],
    ids=["too few", "too many", "nothing for one", "bare configurations"],
)
def test_anything_but_one_proposal_per_state_is_a_typed_error(
    line: Callable[..., Experiment], lonely: Callable[..., Problem], returned: Any
) -> None:
    e = line([3.0, 2.0, 1.0])
    with pytest.raises(BrokenPolicy, match=rf"Returns returned {len(returned)} proposals .* for 2 states"):
        run_episodes(Returns(returned), [e] * 2, [lonely(e, 2)] * 2, [0, 1])


def test_a_state_holds_the_trials_paid_for_and_no_other(
    targets: Mapping[str, Experiment], problem_of: Callable[..., Problem]
) -> None:
    e = targets["pretraining"]
    recorder = Recorder()
    problem = problem_of(e, budget=4)
    episodes = run_episodes(recorder, [e] * 2, [problem, problem], [7, 8])
    for i, seed in enumerate([7, 8]):
        outcomes = episodes[i].outcomes
        states = [s for s in recorder.seen if s.seed == seed]
        assert [s.trials for s in states] == [outcomes[:n] for n in range(4)]
        made = tuple(t.proposal for t in episodes[i].turns)
        assert [s.proposals for s in states] == [made[:n] for n in range(4)]
        assert all(s.problem is problem for s in states)


@pytest.mark.parametrize("method", ["random", "copy", "tpe:startup=1"])
def test_episodes_run_together_are_the_episodes_run_alone(
    targets: Mapping[str, Experiment], problem_of: Callable[..., Problem], method: str
) -> None:
    e = targets["architecture"]
    problems = [problem_of(e, "metered:4", budget=3 + seed, seed=seed) for seed in range(3)]
    together = run_episodes(make_policy(method), [e] * 3, problems, range(3))
    alone = [run_episodes(make_policy(method), [e], [problems[s]], [s])[0] for s in range(3)]
    assert [[t.proposal for t in e.turns] for e in together] == [[t.proposal for t in e.turns] for e in alone]
    assert [len(e.turns) for e in together] == [3, 4, 5]


@pytest.mark.parametrize("task", ["pretraining", "mixture", "architecture"])
def test_rewards_sum_to_one_minus_the_mean_regret(
    targets: Mapping[str, Experiment], problem_of: Callable[..., Problem], scripted: Callable[..., Policy], task: str
) -> None:
    e = targets[task]
    first = e.pool.config(0)
    for policy in (make_policy("random"), scripted(first, first, "garbage", e.pool.config(1), None)):
        episode = run_episodes(policy, [e], [problem_of(e, budget=5)], [2])[0]
        cumulative = episode_metrics(e, episode.outcomes)[-1]["cumulative_regret"]
        assert cumulative is not None
        assert episode.reward == pytest.approx(1 - cumulative / 5)


def test_time_is_that_of_the_policy(targets: Mapping[str, Experiment], problem_of: Callable[..., Problem]) -> None:
    e = targets["mixture"]
    turns = run_episodes(make_policy("random"), [e], [problem_of(e, budget=2)], [0])[0].turns
    assert all(t.seconds > 0 for t in turns)


def test_turns_are_told_as_they_come_but_not_those_of_a_prefix(
    line: Callable[..., Experiment], lonely: Callable[..., Problem], scripted: Callable[..., Policy]
) -> None:
    e, policy = line([3.0, 2.0, 1.0]), scripted({"x": 1}, {"x": 2}, {"x": 3})
    seen: list[Any] = []
    (whole,) = run_episodes(policy, [e], [lonely(e, 3)], [0], watch=seen.append)
    assert tuple(seen) == whole.turns
    seen.clear()
    (again,) = run_episodes(policy, [e], [lonely(e, 3)], [0], prefixes=[whole.turns[:2]], watch=seen.append)
    assert tuple(seen) == again.turns[2:]
