"""scikit-optimize's optimizers as policies."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from autollmresearch.baselines.scikit_optimize import SkoptPolicy
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from autollmresearch.policy import State
from llmconfig_gym.errors import MissingExtra
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.parameter import Grid, Integer
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

Problems = Callable[..., Problem]
METHODS = ["skopt-gp:startup=2", "skopt-forest:startup=2"]
MODELS = ["gp", "forest"]


@pytest.mark.parametrize("task", ["pretraining", "mixture", "architecture"])
@pytest.mark.parametrize("method", METHODS)
def test_proposals_are_legal_repeatable_and_never_told_before(
    targets: Mapping[str, Experiment], problem_of: Problems, assert_lawful: Callable[..., None], task: str, method: str
) -> None:
    assert_lawful(method, targets[task], problem_of(targets[task], budget=3))


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_smaller_than_the_budget_is_told_whole(
    targets: Mapping[str, Experiment],
    problem_of: Problems,
    cut: Callable[[Experiment, int], Experiment],
    assert_lawful: Callable[..., None],
    method: str,
) -> None:
    target = cut(targets["architecture"], 3)
    assert_lawful(method, target, problem_of(target, budget=4))


@pytest.mark.parametrize("model", MODELS)
def test_the_model_is_used_from_the_trial_after_startup_on(
    targets: Mapping[str, Experiment], problem_of: Problems, state_at: Callable[..., State], model: str
) -> None:
    target = targets["pretraining"]
    problem = problem_of(target)
    for told in (1, 2):
        states = [state_at(target, problem, [1, 9][:told], seed) for seed in range(3)]
        proposals = [SkoptPolicy(model, startup).propose(states) for startup in (2, 10)]
        same = [a == b for a, b in zip(*proposals, strict=True)]
        assert all(same) if told < 2 else not all(same), f"after {told} trials"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("direction", "unit"), [("minimize", 1.0), ("maximize", 1.0), ("minimize", 1e-4)])
def test_the_model_proposes_better_than_chance_in_any_unit(
    line: Callable[..., Experiment],
    lonely: Callable[[Experiment, int], Problem],
    state_at: Callable[..., State],
    model: str,
    direction: str,
    unit: float,
) -> None:
    x = np.arange(1, 41)
    target = line((unit * np.square(x - 31.0) * (1 if direction == "minimize" else -1)).tolist(), direction)
    told = [0, 5, 10, 15, 20, 25, 32, 35, 39]
    states = [state_at(target, lonely(target, 20), told, seed) for seed in range(2)]
    proposals = SkoptPolicy(model, 3).propose(states)
    losses = [target.losses[target.pool.find(p.config)[0]] for p in proposals]  # type: ignore[arg-type]
    assert np.mean(losses) < 0.2 * np.mean(np.delete(target.losses, told))


@pytest.mark.parametrize("model", MODELS)
def test_a_setting_of_one_value_and_trials_that_are_all_equal_do_not_stop_it(
    targets: Mapping[str, Experiment], lonely: Callable[[Experiment, int], Problem], model: str
) -> None:
    space = Space((Grid("x", (1, 2, 3, 4)), Integer("layers", 3, 3)))
    pool = Pool.from_configs(space, [{"x": x, "layers": 3} for x in (1, 2, 3, 4)])
    e = replace(targets["pretraining"], pool=pool, values=np.ones(4), details={}, noise=float("nan"), clip=None)
    state = State(lonely(e, 4), (e.outcome(0), e.outcome(1)))
    assert SkoptPolicy(model, 1).propose([state])[0].config in [pool.config(2), pool.config(3)]


def test_cheaper_runs_are_not_looked_at(
    targets: Mapping[str, Experiment], problem_of: Problems, lonely: Callable[[Experiment, int], Problem]
) -> None:
    e = targets["architecture"]
    trials = (e.outcome(0), e.outcome(4))
    states = [State(problem, trials, 1) for problem in (problem_of(e, budget=5), lonely(e, 5))]
    proposals = SkoptPolicy("forest", 2).propose(states)
    assert proposals[0] == proposals[1]


def test_it_is_silent(
    targets: Mapping[str, Experiment], problem_of: Problems, capfd: pytest.CaptureFixture[str]
) -> None:
    e = targets["architecture"]
    state = State(problem_of(e), tuple(e.outcome(row) for row in range(3)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for model in MODELS:
            SkoptPolicy(model, 2).propose([state])
    assert [str(w.message) for w in caught] == []
    assert capfd.readouterr() == ("", "")


def test_a_missing_package_is_said_before_a_benchmark_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmconfig_gym.errors.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"the method skopt-gp needs the package 'scikit-optimize'.*\[bench\]"):
        make_policy("skopt-gp")
