"""Random search."""

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np

from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import State
from llmconfig_gym.experiment import Experiment

Lawful = Callable[[str, Experiment, Problem], None]
Problems = Callable[..., Problem]


def test_what_is_known_changes_nothing(
    targets: Mapping[str, Experiment],
    problem_of: Problems,
    lonely: Callable[[Experiment, int], Problem],
    mirrored: Callable[[Experiment], Experiment],
) -> None:
    e = targets["mixture"]
    problems = [problem_of(e), problem_of(e, "metered:3"), lonely(e, 5), lonely(mirrored(e), 5)]
    assert len({str(RandomPolicy().propose([State(p, (), 1)])[0].config) for p in problems}) == 1


def test_every_untried_configuration_is_equally_likely(
    line: Callable[..., Experiment], lonely: Callable[[Experiment, int], Problem]
) -> None:
    e = line([1.0, 2.0, 3.0, 4.0, 5.0])
    problem = lonely(e, 5)
    trials = (e.outcome(1),)
    draws = RandomPolicy().propose([State(problem, trials, seed) for seed in range(2000)])
    counts = Counter(p.config["x"] for p in draws if not isinstance(p.config, str))
    assert set(counts) == {1, 3, 4, 5}
    expected = 500
    chi_square = sum((n - expected) ** 2 / expected for n in counts.values())
    assert chi_square < 16.3  # the .999 quantile at 3 degrees of freedom


def test_turns_of_one_episode_are_drawn_independently(
    line: Callable[..., Experiment], lonely: Callable[[Experiment, int], Problem]
) -> None:
    e = line(list(range(50)))
    problem = lonely(e, 2)
    pairs = []
    for seed in range(300):
        first, second = (RandomPolicy().propose([State(problem, (e.outcome(0),) * n, seed)])[0] for n in (1, 2))
        assert not isinstance(first.config, str)
        assert not isinstance(second.config, str)
        pairs.append((first.config["x"], second.config["x"]))
    assert abs(np.corrcoef(np.array(pairs, dtype=float).T)[0, 1]) < 0.2
