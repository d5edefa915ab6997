"""FSBO: the paper's example of sine waves, its warm start and its scale."""

from collections.abc import Callable

import numpy as np
import pytest

from autollmresearch.baselines.fsbo import FSBOPolicy, goodness
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.episode import run_episodes
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import make_policy
from autollmresearch.policy import State
from llmconfig_gym.errors import MissingExtra
from llmconfig_gym.experiment import Experiment

Line = Callable[..., Experiment]


def _sines(line: Line) -> tuple[Experiment, Problem]:
    """Sine waves of one frequency, and of any amplitude, phase and offset (figure 1 of the paper)."""
    rng = np.random.default_rng(1)
    waves = []
    for i, cost in enumerate((1.0, 2.0, 3.0, 4.0, 100.0)):
        angle = 2 * np.pi * (np.arange(60) / 20 + rng.random())
        values = 5 * rng.random() + (1 + rng.random()) * np.sin(angle)
        waves.append(line(values.tolist(), "maximize", cost=cost, level="high" if i == 4 else "low"))
    *cheaper, target = waves
    return target, Protocol().problems(target, cheaper, 6, [0])[0]


def test_on_sine_waves_it_beats_random_search_clearly(line: Line) -> None:
    target, problem = _sines(line)
    lost = {}
    for method, n in (("fsbo", 1), ("random", 40)):
        episodes = run_episodes(make_policy(method), [target] * n, [problem] * n, range(n))
        regrets = [target.regret(-max(float(t.outcome.value or 0.0) for t in e.turns)) for e in episodes]
        lost[method] = float(np.mean(regrets))
    assert lost["fsbo"] < 0.3 * lost["random"]


def test_the_warm_start_serves_every_cheaper_experiment_in_turn(line: Line) -> None:
    x = np.arange(1, 31)
    cheaper = [line(np.abs(x - at).tolist(), cost=cost, level="low") for at, cost in ((5, 1.0), (6, 2.0), (26, 3.0))]
    target = line(np.abs(x - 15).tolist(), cost=100.0)
    problem = Protocol().problems(target, cheaper, 5, [0])[0]
    told = [target.outcome(5)]
    second = FSBOPolicy().propose([State(problem, tuple(told))])[0]
    assert abs(second.config["x"] - 26) <= 3  # type: ignore[index, operator]


def test_the_scale_of_an_experiment_does_not_matter(line: Line) -> None:
    x = np.arange(1, 31)
    proposals = []
    for scale in (1.0, 1024.0):
        cheaper = [line((scale * np.abs(x - at)).tolist(), cost=at, level="low") for at in (4.0, 9.0)]
        target = line((scale * np.abs(x - 15)).tolist(), cost=100.0)
        problem = Protocol().problems(target, cheaper, 5, [0])[0]
        trials = tuple(target.outcome(row) for row in (3, 8, 20))
        proposals.append(FSBOPolicy().propose([State(problem, trials[:n]) for n in (0, 2, 3)]))
    assert proposals[0] == proposals[1]


def test_goodness_is_one_at_the_best_and_zero_at_the_worst() -> None:
    assert goodness(np.array([3.0, 1.0, 2.0])).tolist() == [0.0, 1.0, 0.5]
    assert goodness(np.array([2.0])).tolist() == [1.0]


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmconfig_gym.errors.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'autollmresearch\[bench\]'"):
        make_policy("fsbo")
