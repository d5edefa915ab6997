"""Optuna's samplers as policies."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from autollmresearch.baselines.copy import CopyPolicy
from autollmresearch.baselines.optuna_samplers import OptunaPolicy
from autollmresearch.episode import run_episodes
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from autollmresearch.policy import State
from llmconfig_gym.errors import MissingExtra
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.parameter import Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

Lawful = Callable[[str, Experiment, Problem], None]
Problems = Callable[..., Problem]
NEVER = 1000
"""A startup so long that the model is never used."""


@pytest.mark.parametrize("task", ["pretraining", "mixture", "architecture"])
@pytest.mark.parametrize(
    ("method", "budget"),
    [
        ("tpe", 12),
        ("tpe-multivariate:startup=2", 5),
        ("cmaes:startup=2,warm=1", 8),
        ("gp:startup=2", 4),
    ],
)
def test_proposals_are_legal_repeatable_and_never_told_before(
    targets: Mapping[str, Experiment],
    problem_of: Problems,
    assert_lawful: Lawful,
    task: str,
    method: str,
    budget: int,
) -> None:
    assert_lawful(method, targets[task], problem_of(targets[task], budget=budget))


@pytest.mark.parametrize("task", ["pretraining", "mixture", "architecture"])
@pytest.mark.parametrize("method", ["tpe:startup=1,warm=9", "gp:startup=2"])
def test_a_pool_smaller_than_the_budget_is_told_whole(
    targets: Mapping[str, Experiment],
    problem_of: Problems,
    cut: Callable[[Experiment, int], Experiment],
    assert_lawful: Lawful,
    task: str,
    method: str,
) -> None:
    target = cut(targets[task], 3)
    assert_lawful(method, target, problem_of(target, budget=4))


@pytest.mark.parametrize("sampler", ["tpe", "tpe-multivariate", "tpe-independent", "gp", "cmaes"])
def test_with_startup_3_the_model_is_used_from_trial_4_on(
    targets: Mapping[str, Experiment],
    problem_of: Problems,
    state_at: Callable[..., State],
    sampler: str,
) -> None:
    target = targets["pretraining"]
    problem = problem_of(target)
    modelled, startup = OptunaPolicy(sampler, 3), OptunaPolicy(sampler, NEVER)
    for told in range(5):
        states = [state_at(target, problem, [1, 9, 17, 22][:told], seed) for seed in range(4)]
        same = [a == b for a, b in zip(modelled.propose(states), startup.propose(states), strict=True)]
        assert all(same) if told < 3 else not all(same), f"after {told} trials"


@pytest.mark.parametrize(
    ("sampler", "seeds"),
    [("tpe", 40), ("tpe-multivariate", 40), ("tpe-independent", 40), ("gp", 3), ("cmaes", 40)],
)
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_model_proposes_better_than_chance(
    line: Callable[..., Experiment],
    lonely: Callable[[Experiment, int], Problem],
    state_at: Callable[..., State],
    sampler: str,
    seeds: int,
    direction: str,
) -> None:
    x = np.arange(1, 41)
    values = np.square(x - 31.0) * (1 if direction == "minimize" else -1)
    target = line(values.tolist(), direction)
    told = [0, 5, 10, 15, 20, 25, 32, 35, 39]
    states = [state_at(target, lonely(target, 20), told, seed) for seed in range(seeds)]

    def mean_loss(policy: OptunaPolicy) -> float:
        return float(np.mean([target.metric.sign * target.tell(p.config).value for p in policy.propose(states)]))  # type: ignore[operator]

    chance = float(np.mean(np.delete(target.losses, told)))
    assert mean_loss(OptunaPolicy(sampler, 3)) < 0.6 * chance


@pytest.mark.parametrize("method", ["tpe:startup=2", "gp:startup=2", "cmaes"])
def test_only_the_orientation_of_the_metric_counts(
    targets: Mapping[str, Experiment],
    lonely: Callable[[Experiment, int], Problem],
    mirrored: Callable[[Experiment], Experiment],
    method: str,
) -> None:
    e = targets["mixture"]
    both = (e, mirrored(e))
    told = [[t.proposal for t in run_episodes(make_policy(method), [x], [lonely(x, 4)], [5])[0].turns] for x in both]
    assert told[0] == told[1]


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes"])
def test_without_warm_cheaper_runs_are_not_looked_at(
    targets: Mapping[str, Experiment],
    problem_of: Problems,
    lonely: Callable[[Experiment, int], Problem],
    state_at: Callable[..., State],
    sampler: str,
) -> None:
    e = targets["architecture"]
    proposals = [
        OptunaPolicy(sampler, 2).propose([state_at(e, problem, [0, 4, 8], 1)])[0]
        for problem in (problem_of(e, budget=5), lonely(e, 5))
    ]
    assert proposals[0] == proposals[1]


@pytest.mark.parametrize("sampler", ["gp"])
def test_trials_without_a_value_do_not_stop_it(
    targets: Mapping[str, Experiment], problem_of: Problems, sampler: str
) -> None:
    e = targets["pretraining"]
    diverged = int(np.flatnonzero(~np.isfinite(e.values))[0])
    trials = (e.outcome(diverged), e.tell("nonsense"), e.outcome(0), e.outcome(5))
    state = State(problem_of(e), trials, 0)
    config = OptunaPolicy(sampler, 1).propose([state])[0].config
    assert e.tell(config).kind == "measured"
    assert config not in [t.config for t in trials]


def test_one_density_over_all_settings_follows_what_two_settings_do_together(
    targets: Mapping[str, Experiment], lonely: Callable[[Experiment, int], Problem], state_at: Callable[..., State]
) -> None:
    """Told that good learning rates rise with the batch, only the joint density proposes along that diagonal."""
    lrs, batches = tuple(range(9)), tuple(range(9))
    space = Space((Grid("lr", lrs), Grid("batch", batches)))
    pool = Pool.from_configs(space, [{"lr": a, "batch": b} for a in lrs for b in batches])
    values = np.square(np.subtract(pool.columns["lr"], pool.columns["batch"])).astype(np.float64)
    e = replace(targets["pretraining"], pool=pool, values=values, details={}, noise=float("nan"), clip=None)
    told = [row for row in range(0, 81, 2) if row % 10]  # the diagonal's own rows are left to be proposed
    told += [10, 30, 50, 70]
    states = [state_at(e, lonely(e, 50), told, seed) for seed in range(40)]

    def mean_loss(sampler: str) -> float:
        return float(np.mean([e.losses[e.pool.find(p.config)[0]] for p in OptunaPolicy(sampler, 3).propose(states)]))  # type: ignore[arg-type]

    assert mean_loss("tpe-multivariate") < 0.7 * mean_loss("tpe-independent")


def test_cma_es_has_moved_on_by_a_generation_when_its_population_was_told(
    targets: Mapping[str, Experiment], problem_of: Problems, state_at: Callable[..., State]
) -> None:
    e = targets["pretraining"]  # two settings, a population of six after the first trial, which is random
    for told, generation in [(6, 0), (7, 1)]:
        study = OptunaPolicy("cmaes", 1)._study(state_at(e, problem_of(e, budget=9), range(told)))
        trial = study.ask(e.space.to_optuna())
        assert trial.storage.get_trial(trial._trial_id).system_attrs["cma:generation"] == generation


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_warm_trials_are_those_of_copy_and_what_follows_has_learned_from_them(
    targets: Mapping[str, Experiment], problem_of: Problems, sampler: str
) -> None:
    e = targets["pretraining"]
    problem = problem_of(e, budget=6)
    warm, copied = (run_episodes(p, [e], [problem], [1])[0].turns for p in (OptunaPolicy(sampler, 3, 3), CopyPolicy()))
    assert [t.proposal for t in warm[:3]] == [t.proposal for t in copied[:3]]
    assert [t.proposal for t in warm[3:]] != [t.proposal for t in copied[3:]]
    for n in range(3, 6):
        state = State(problem, tuple(t.outcome for t in warm[:n]), 1)
        assert OptunaPolicy(sampler, 3).propose([state]) == [warm[n].proposal]


def test_with_nothing_cheaper_known_nothing_is_enqueued(
    targets: Mapping[str, Experiment], lonely: Callable[[Experiment, int], Problem]
) -> None:
    state = State(lonely(targets["pretraining"], 5))
    assert OptunaPolicy("tpe", 3, 3).propose([state]) == OptunaPolicy("tpe", 3).propose([state])


@pytest.mark.parametrize(("sampler", "package"), [("gp", "torch"), ("cmaes", "cmaes")])
def test_a_missing_package_is_said_before_a_benchmark_starts(
    monkeypatch: pytest.MonkeyPatch, sampler: str, package: str
) -> None:
    monkeypatch.setattr("llmconfig_gym.errors.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=f"the method {sampler} needs the package '{package}'.*\\[bench\\]"):
        make_policy(sampler)
    make_policy("tpe")


def test_it_is_as_silent_as_it_is_asked_to_be(
    targets: Mapping[str, Experiment], problem_of: Problems, capfd: pytest.CaptureFixture[str]
) -> None:
    e = targets["architecture"]
    state = replace(State(problem_of(e)), trials=tuple(e.outcome(row) for row in range(3)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for sampler in ("tpe", "tpe-multivariate", "tpe-independent", "gp", "cmaes"):
            OptunaPolicy(sampler, 2).propose([state])
    assert [str(w.message) for w in caught] == []
    assert capfd.readouterr() == ("", "")
