"""Simulation: what reaches the best is kept, what fails is cut and continued, and no hint is learned from."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from autollmresearch.dialogue import conversation
from autollmresearch.episode import Trajectory, Turn
from autollmresearch.policy import Proposal, State
from autollmresearch.training import simulate
from autollmresearch.training.curate import CurateSettings, Sample, open_sample, samples
from autollmresearch.training.simulate import (
    Simulated,
    SimulateSettings,
    best_hint,
    counts,
    locally_best,
    reaches,
    simulate_all,
    simulate_some,
)
from llmconfig_gym.experiment import Experiment, Outcome
from llmconfig_gym.files import read_lines

QUICK = SimulateSettings(rollouts=6, keep=2, continuations=3, batch=12)


@pytest.fixture
def made(toy_path: Path) -> list[Sample]:
    """Samples on a mixture, the last of its family (no table has two best configurations)."""
    return list(samples(CurateSettings(suites=(str(toy_path),), targets=(f"{toy_path}/mix-medium",), budgets=(3, 4))))


@pytest.fixture
def learner(made: list[Sample], learner_of: Callable[..., Any]) -> Callable[..., Any]:
    return partial(learner_of, [open_sample(s)[0] for s in made])


def said(trajectory: Trajectory) -> list[str]:
    """All that was read and said."""
    return [text for t in trajectory.turns for text in (t.proposal.prompt, str(t.proposal.config))]


def untimed(came: Simulated) -> Simulated:
    """The same without the time it took, which a file rounds."""
    trajectories = [replace(t, turns=tuple(replace(turn, seconds=0) for turn in t.turns)) for t in came.trajectories]
    return replace(came, trajectories=tuple(trajectories))


def test_rollouts_that_reach_the_best_are_kept(made: list[Sample], learner: Callable[..., Any]) -> None:
    policy = learner(luck=0.4)
    result = simulate_some(policy, made, QUICK)
    assert len(policy.asked) == 6 * 3 + 6 * 4
    for sample, came in zip(made, result, strict=True):
        target, problem = open_sample(sample)
        assert (came.task, came.result) == ("mixture", "kept")
        assert 1 <= len(came.trajectories) <= min(2, came.reached)
        rewards = [t.reward for t in came.trajectories]
        assert rewards == sorted(rewards, reverse=True)
        for t in came.trajectories:
            assert reaches(t, target)
            assert (t.budget, len(t.turns)) == (sample.budget, sample.budget)
            assert all(turn.proposal.tokens is not None for turn in t.turns)
            assert t.turns[0].proposal.prompt == conversation(State(problem))[0]["content"]


def test_what_was_said_twice_is_kept_once(made: list[Sample], learner: Callable[..., Any]) -> None:
    (came,) = simulate_some(learner(luck=1.0), made[:1], QUICK)
    assert came.reached == 6
    assert len(came.trajectories) == 1  # the best three times over, each time the same


def test_where_all_fail_the_best_is_cut_and_continued(made: list[Sample], learner: Callable[..., Any]) -> None:
    policy = learner()
    result = simulate_some(policy, made, QUICK)
    cuts = set()
    for sample, came in zip(made, result, strict=True):
        target, _ = open_sample(sample)
        assert (came.result, came.reached) == ("continued", 0)
        (t,) = came.trajectories
        assert len(t.turns) == sample.budget
        assert reaches(t, target)
        reached = [turn.outcome.value == t.turns[-1].outcome.value for turn in t.turns].index(True)
        cuts.add(sample.budget - next(i for i, turn in enumerate(t.turns) if "so it goes" in str(turn.proposal.config)))
        assert reached <= sample.budget - 1
    assert cuts <= {1, 2}


def test_both_cuts_occur_and_the_seed_decides(made: list[Sample], learner: Callable[..., Any]) -> None:
    def cuts(seed: int) -> list[int]:
        (came,) = simulate_some(learner(), made[:1], QUICK, seed=seed)
        (t,) = came.trajectories
        return [i for i, turn in enumerate(t.turns) if "so it goes" in str(turn.proposal.config)]

    found = [cuts(seed) for seed in range(12)]
    assert {tuple(c) for c in found} == {(1,), (2,)}
    assert [cuts(seed) for seed in range(12)] == found


def test_the_prefix_is_the_locally_best_trajectory_s(
    made: list[Sample], learner: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[Trajectory] = []

    def spied(trajectories: Sequence[Trajectory], target: Experiment) -> Trajectory:
        chosen.append(locally_best(trajectories, target))
        return chosen[-1]

    monkeypatch.setattr(simulate, "locally_best", spied)
    result = simulate_some(learner(), made, QUICK)
    for best, came in zip(chosen, result, strict=True):
        (t,) = came.trajectories
        shared = [a.proposal.config == b.proposal.config for a, b in zip(best.turns, t.turns, strict=True)].index(False)
        assert shared >= len(t.turns) - 2
        for a, b in zip(best.turns[:shared], t.turns[:shared], strict=True):
            assert (a.proposal.prompt, a.outcome, a.reward) == (b.proposal.prompt, b.outcome, b.reward)


def test_the_hint_is_shown_and_never_learned(made: list[Sample], learner: Callable[..., Any]) -> None:
    policy = learner()
    result = simulate_some(policy, made, QUICK)
    hinted = [s for s in policy.asked if s.hint]
    assert hinted
    assert {s.hint for s in hinted} == {best_hint(open_sample(s)[0]) for s in made}
    for state in hinted:
        assert conversation(state)[-1]["content"].endswith(state.hint)
    for came in result:
        for t in came.trajectories:
            assert not any("hint" in text.lower() for text in said(t))
            kinds = [turn.outcome.kind for turn in t.turns]
            assert "duplicate" not in kinds[-2:], "once it was told, the best is not shown again"


def test_a_continuation_that_speaks_of_the_hint_is_dropped(made: list[Sample], learner: Callable[..., Any]) -> None:
    (came,) = simulate_some(learner(says="the Hint says so"), made[:1], QUICK)
    assert (came.result, came.trajectories) == ("failed", ())


def test_where_the_continuation_fails_too_the_sample_is_dropped_and_counted(
    made: list[Sample], learner: Callable[..., Any]
) -> None:
    result = simulate_some(learner(obeys=0.0), made, QUICK)
    assert [(r.result, r.trajectories) for r in result] == [("failed", ())] * len(made)
    assert counts(result) == {
        **(
            tally := {
                "samples": len(made),
                "kept": 0,
                "continued": 0,
                "failed": len(made),
                "rollouts_that_reached": 0,
                "trajectories": 0,
            }
        ),
        "by_task": {"mixture": tally},
    }


def test_one_trial_can_be_continued_from_nothing(made: list[Sample], learner: Callable[..., Any]) -> None:
    (came,) = simulate_some(learner(), [replace(made[0], budget=1)], QUICK)
    (t,) = came.trajectories
    assert (came.result, len(t.turns)) == ("continued", 1)


def test_a_run_that_is_cut_off_goes_on_with_the_next_sample(
    made: list[Sample], learner: Callable[..., Any], tmp_path: Path
) -> None:
    once = learner(luck=0.1)
    whole = simulate_all(once, made, QUICK, tmp_path / "whole", progress=False)
    cut = learner(luck=0.1)
    simulate_all(cut, made[:2], QUICK, tmp_path / "cut", progress=False)
    with (tmp_path / "cut" / "records.jsonl").open("a") as file:
        file.write('{"task": "mixt')  # killed while it wrote
    rest = learner(luck=0.1)
    # one sample at a time: what comes of a sample does not depend on those beside it
    result = simulate_all(rest, made, replace(QUICK, batch=1), tmp_path / "cut", progress=False)
    assert [untimed(r) for r in result] == [untimed(w) for w in whole]
    assert len(cut.asked) + len(rest.asked) == len(once.asked)
    assert len(read_lines(tmp_path / "cut" / "records.jsonl")) == len(made)
    assert all(isinstance(json.loads(line), dict) for line in read_lines(tmp_path / "cut" / "records.jsonl"))


def played(*values: float | None, reward: float = 0.0) -> Trajectory:
    """An episode with these outcomes."""
    turns = [Turn(Proposal("x"), Outcome("invalid" if v is None else "measured", None, v), reward, 0.0) for v in values]
    return Trajectory("lines/x", len(values), 0, tuple(turns))


def test_locally_best_is_by_the_best_trial_then_by_reward(line: Callable[..., Experiment]) -> None:
    e = line([1.0, 2.0, 3.0, 4.0])
    a, b, c, d = played(3, 3), played(2, 4), played(2, 3, reward=0.3), played(None, None)
    assert locally_best([a, b, c, d], e) is c
    assert locally_best([d, a], e) is a
    assert locally_best([d, d], e) is d
    up = line([1.0, 2.0, 3.0, 4.0], "maximize")
    assert locally_best([a, b, c, d], up) is b
    assert not reaches(a, up)
    assert reaches(b, up)


def test_counts_are_by_task() -> None:
    t = played(1.0)
    done = [Simulated("a", "kept", 3, (t, t)), Simulated("b", "continued", 0, (t,)), Simulated("a", "failed", 0, ())]
    told = counts(done)
    assert (told["samples"], told["trajectories"], told["rollouts_that_reached"]) == (3, 3, 3)
    assert told["by_task"]["a"] == {
        "samples": 2,
        "kept": 1,
        "continued": 0,
        "failed": 1,
        "rollouts_that_reached": 3,
        "trajectories": 2,
    }
