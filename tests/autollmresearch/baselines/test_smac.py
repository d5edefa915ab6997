"""SMAC3 as a policy."""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from autollmresearch.baselines.smac import SmacPolicy
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
    assert_lawful("smac", targets[task], problem_of(targets[task], budget=2))


def test_a_space_that_is_told_whole_does_not_stop_it(
    line: Callable[..., Experiment],
    lonely: Callable[[Experiment, int], Problem],
    assert_lawful: Callable[..., None],
) -> None:
    target = line([3.0, 1.0, 2.0])
    assert_lawful("smac", target, lonely(target, 4))


def test_a_quarter_of_the_budget_is_one_design_and_what_follows_depends_on_the_losses(
    targets: Mapping[str, Experiment],
    problem_of: Problems,
    state_at: Callable[..., State],
    mirrored: Callable[[Experiment], Experiment],
) -> None:
    e = targets["mixture"]
    both = (e, mirrored(e))
    for told, budget, alike in [(2, 12, True), (2, 8, False)]:  # of one trial alone the losses say nothing
        states = [[state_at(x, problem_of(e, budget=budget), range(told), seed) for seed in range(2)] for x in both]
        one, other = ([p.config for p in SmacPolicy().propose(s)] for s in states)
        assert (one == other) is alike, (told, budget)
    first, second = (state_at(e, problem_of(e, budget=12), range(5, 5 + told), 1) for told in (0, 1))
    design = [p.config for p in SmacPolicy().propose([first, second])]
    assert design[0] != design[1]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_model_proposes_better_than_chance(
    line: Callable[..., Experiment],
    lonely: Callable[[Experiment, int], Problem],
    state_at: Callable[..., State],
    direction: str,
) -> None:
    x = np.arange(1, 41)
    target = line((np.square(x - 31.0) * (1 if direction == "minimize" else -1)).tolist(), direction)
    told = [0, 5, 10, 15, 20, 25, 32, 35, 39]
    states = [state_at(target, lonely(target, 10), told, seed) for seed in range(5)]
    losses = [target.losses[target.pool.find(p.config)[0]] for p in SmacPolicy().propose(states)]  # type: ignore[arg-type]
    assert np.median(losses) < 0.2 * np.mean(np.delete(target.losses, told))  # a fifth are random by design


def test_it_is_silent_leaves_no_files_and_looks_at_no_cheaper_run(
    targets: Mapping[str, Experiment],
    problem_of: Problems,
    lonely: Callable[[Experiment, int], Problem],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    e = targets["architecture"]
    trials = tuple(e.outcome(row) for row in range(3))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        proposals = SmacPolicy().propose([State(p, trials) for p in (problem_of(e, budget=5), lonely(e, 5))])
    assert proposals[0] == proposals[1]
    assert [str(w.message) for w in caught] == []
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


PROPOSE = """
from autollmresearch.baselines.smac import SmacPolicy
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.policy import State
from pathlib import Path

from llmconfig_gym.suite import Suite

suite = Suite.load(Path("{path}"))
target = suite.split("high")[0]
problem = Protocol().problems(target, suite.cheaper(target.id), 5, [0])[0]
trials = tuple(target.outcome(row) for row in range(4))
print([p.config for p in SmacPolicy().propose([State(problem, trials, seed) for seed in range(2)])])
"""


def test_proposals_are_the_same_in_every_process(small_path: Path) -> None:
    said = set()
    for hash_seed in "12":
        command = [sys.executable, "-c", PROPOSE.format(path=small_path)]
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        said.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(said) == 1


def test_a_missing_package_is_said_before_a_benchmark_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmconfig_gym.errors.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"the method smac needs the package 'smac'.*\[bench\]"):
        make_policy("smac")
