"""Own law: least squares through the optima of cheaper experiments."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from autollmresearch.baselines.own_law import OwnLawPolicy
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.episode import run_episodes
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import State
from llmconfig_gym.experiment import Experiment, Fidelity, Level, Metric
from llmconfig_gym.parameter import Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

LR = tuple(2.0**k for k in range(-12, 1))
BATCH = tuple(2**k for k in range(12))


def _at(n: float, d: float, level: Level = "low") -> Experiment:
    """The best learning rate is n^-1/2 d^1/4, the best batch size d^1/2, exactly."""
    space = Space((Grid("lr", LR, log=True), Grid("batch_size", BATCH, log=True)))
    pool = Pool.from_configs(space, [{"lr": lr, "batch_size": b} for lr in LR for b in BATCH])
    lr, batch = (np.log2(pool.columns[name].astype(float)) for name in space.names)
    best_lr, best_batch = -np.log2(n) / 2 + np.log2(d) / 4, np.log2(d) / 2
    values = 3 + (lr - best_lr) ** 2 + (batch - best_batch) ** 2
    fidelity = Fidelity({"parameters": n, "tokens": d}, 6 * n * d)
    return Experiment(
        f"law/{n:.0f}-{d:.0f}", "law", "pretraining", "law", level, fidelity, Metric("loss", "minimize"), pool, values
    )


def _problem(target: Experiment, cheaper: Sequence[Experiment]) -> Problem:
    return Protocol().problems(target, list(cheaper), 4, [0])[0]


CHEAPER = [_at(2.0**n, 2.0**d) for n, d in ((6, 4), (8, 4), (6, 8), (10, 8))]


def test_a_power_law_in_two_numbers_is_found_and_followed() -> None:
    target = _at(2.0**14, 2.0**16, "high")
    assert OwnLawPolicy().propose([State(_problem(target, CHEAPER))])[0].config == {"lr": 2.0**-3, "batch_size": 256}


def test_the_next_trials_lie_around_the_first() -> None:
    target = _at(2.0**14, 2.0**16, "high")
    turns = run_episodes(OwnLawPolicy(), [target], [_problem(target, CHEAPER)], [0])[0].turns
    values = [t.outcome.value for t in turns]
    assert values[0] == pytest.approx(3.0)
    assert values[1:] == [pytest.approx(4.0)] * 3


def test_a_law_that_leads_out_of_the_range_stops_at_its_end() -> None:
    target = _at(2.0**6, 2.0**40, "high")
    assert OwnLawPolicy().propose([State(_problem(target, CHEAPER))])[0].config == {"lr": 1.0, "batch_size": 2048}


def test_with_fewer_experiments_than_coefficients_the_least_exponents_are_taken() -> None:
    target = _at(2.0**14, 2.0**4, "high")
    two = [_at(2.0**6, 2.0**4), _at(2.0**10, 2.0**4)]  # tokens never differ
    assert OwnLawPolicy().propose([State(_problem(target, two))])[0].config == {"lr": 2.0**-6, "batch_size": 4}


def test_a_single_experiment_or_a_few_runs_of_each_are_copied(cut: Callable[[Experiment, int], Experiment]) -> None:
    target = _at(2.0**14, 2.0**16, "high")
    for cheaper in (CHEAPER[3:], [cut(e, 4) for e in CHEAPER]):
        proposal = OwnLawPolicy().propose([State(_problem(target, cheaper))])[0]
        nearest = cheaper[-1]
        assert proposal.config == nearest.pool.config(int(np.argmin(nearest.losses)))
        assert proposal.reasoning == "nearest to the best of the nearest cheaper experiment"


def test_a_fidelity_in_words_gives_no_law() -> None:
    target = _at(2.0**14, 2.0**16, "high")
    words = [replace(e, fidelity=Fidelity({"size": str(i)}, 1.0 + i)) for i, e in enumerate((*CHEAPER, target))]
    nearest = words[-2]
    proposal = OwnLawPolicy().propose([State(_problem(words[-1], words[:-1]))])[0]
    assert proposal.config == nearest.pool.config(int(np.argmin(nearest.losses)))


def test_categories_are_those_of_the_nearest_experiment(
    targets: Mapping[str, Experiment], problem_of: Callable[..., Problem]
) -> None:
    problem = problem_of(targets["architecture"])
    nearest = max(problem.cheaper, key=lambda runs: runs.fidelity.cost)
    best = nearest.pool.config(int(np.argmin(nearest.losses)))
    config = OwnLawPolicy().propose([State(problem)])[0].config
    assert not isinstance(config, str)
    assert {n: config[n] for n in ("attention", "bias")} == {n: best[n] for n in ("attention", "bias")}
