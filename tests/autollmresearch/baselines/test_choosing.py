"""Choosing by a score."""

from collections.abc import Callable

import numpy as np
import pytest

from autollmresearch.baselines.choosing import least_untried, log_improvement
from autollmresearch.evidence.records import Problem
from llmconfig_gym.experiment import Experiment


def test_the_least_score_that_was_not_told_is_chosen_and_ties_go_to_the_lowest_row(
    line: Callable[..., Experiment], lonely: Callable[[Experiment, int], Problem], state_at: Callable[..., object]
) -> None:
    e = line([0.0] * 4)
    scores = np.array([2.0, 1.0, 1.0, 0.0])
    for told, x in (([], 4), ([3], 2), ([3, 1], 3), ([3, 1, 2], 1), ([0, 1, 2, 3], 4)):
        assert least_untried(state_at(e, lonely(e, 4), told), scores) == {"x": x}  # type: ignore[arg-type]


def test_expected_improvement_is_the_mean_of_the_improvements() -> None:
    mean, sd = np.array([1.0, 0.0, 3.0]), np.array([0.5, 2.0, 0.0])
    draws = mean + sd * np.random.default_rng(0).standard_normal((200_000, 3))
    expected = np.maximum(1.2 - draws, 0.0).mean(axis=0)
    np.testing.assert_allclose(np.exp(log_improvement(mean, sd, 1.2)), expected, atol=0.01)


def test_an_improvement_that_is_hardly_possible_still_tells_candidates_apart() -> None:
    mean = np.array([1.0, 29.9, 30.1, 50.0, 51.0])
    log = log_improvement(mean, np.ones(5), 0.0)
    assert (np.diff(log) < 0).all()
    slope = -30.0  # the derivative of log phi(z) there
    assert log[2] - log[1] == pytest.approx(0.2 * slope, rel=0.01)
