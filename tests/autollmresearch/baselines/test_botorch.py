"""BoTorch as a policy."""

import warnings
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from autollmresearch.baselines.botorch import BoTorchPolicy
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from autollmresearch.policy import State
from llmconfig_gym.errors import MissingExtra
from llmconfig_gym.experiment import Experiment

Problems = Callable[..., Problem]


@pytest.mark.parametrize("task", ["pretraining", "mixture", "architecture"])
def test_proposals_are_legal_repeatable_and_never_told_before(
    targets: Mapping[str, Experiment], problem_of: Problems, assert_lawful: Callable[..., None], task: str
) -> None:
    assert_lawful("botorch-logei:startup=1", targets[task], problem_of(targets[task], budget=4))


def test_a_pool_smaller_than_the_budget_is_told_whole(
    targets: Mapping[str, Experiment],
    problem_of: Problems,
    cut: Callable[[Experiment, int], Experiment],
    assert_lawful: Callable[..., None],
) -> None:
    target = cut(targets["architecture"], 4)
    assert_lawful("botorch-logei:startup=2", target, problem_of(target, budget=5))


def test_it_is_random_search_until_the_model_is_used(
    targets: Mapping[str, Experiment], problem_of: Problems, state_at: Callable[..., State]
) -> None:
    target = targets["pretraining"]
    for told in range(5):
        states = [state_at(target, problem_of(target), [1, 9, 17, 22][:told], seed) for seed in range(3)]
        same = [a == b for a, b in zip(BoTorchPolicy().propose(states), RandomPolicy().propose(states), strict=True)]
        assert all(same) if told < 3 else not any(same), f"after {told} trials"


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_smooth_law_is_brought_to_its_optimum(
    line: Callable[..., Experiment],
    lonely: Callable[[Experiment, int], Problem],
    state_at: Callable[..., State],
    direction: str,
) -> None:
    x = np.arange(1, 41)
    target = line((np.square(x - 31.0) * (1 if direction == "minimize" else -1)).tolist(), direction)
    told = [0, 5, 10, 15, 20, 25, 32, 35, 39]
    proposal = BoTorchPolicy().propose([state_at(target, lonely(target, 20), told)])[0]
    assert proposal.config in [{"x": 30}, {"x": 31}, {"x": 32}]


def test_only_the_orientation_of_the_metric_counts_and_no_cheaper_run(
    targets: Mapping[str, Experiment],
    problem_of: Problems,
    lonely: Callable[[Experiment, int], Problem],
    mirrored: Callable[[Experiment], Experiment],
    state_at: Callable[..., State],
) -> None:
    e = targets["mixture"]
    other = mirrored(e)
    cases = [(e, problem_of(e)), (e, lonely(e, 5)), (other, lonely(other, 5))]
    states = [state_at(x, problem, [0, 3, 7, 9], 1) for x, problem in cases]
    assert len({str(p.config) for p in BoTorchPolicy().propose(states)}) == 1


def test_trials_that_diverged_or_are_all_equal_do_not_stop_it_and_it_is_silent(
    targets: Mapping[str, Experiment],
    line: Callable[..., Experiment],
    lonely: Callable[[Experiment, int], Problem],
    problem_of: Problems,
    capfd: pytest.CaptureFixture[str],
) -> None:
    e, flat = targets["pretraining"], line([1.0] * 9)
    diverged = int(np.flatnonzero(~np.isfinite(e.values))[0])
    trials = (e.outcome(diverged), e.tell("nonsense"), e.outcome(0), e.outcome(5))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        states = [State(problem_of(e), trials), State(lonely(flat, 9), tuple(flat.outcome(row) for row in range(4)))]
        configs = [p.config for p in BoTorchPolicy().propose(states)]
    assert e.tell(configs[0]).kind == flat.tell(configs[1]).kind == "measured"
    assert [str(w.message) for w in caught] == []
    assert capfd.readouterr() == ("", "")


def test_a_missing_package_is_said_before_a_benchmark_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmconfig_gym.errors.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"the method botorch-logei needs the package 'botorch'.*\[bench\]"):
        make_policy("botorch-logei")
