"""Advantages and rewards equal those computed by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from autollmresearch.episode import run_episodes
from autollmresearch.evidence.records import Problem
from autollmresearch.policy import Policy
from autollmresearch.training.reward import advantages
from llmconfig_gym.experiment import Experiment


def test_advantages_by_hand() -> None:
    # mean 0.5, deviations 0.5, -0.3, -0.2, 0: variance (0.25 + 0.09 + 0.04) / 3
    std = math.sqrt(0.38 / 3)
    expected = [d / (std + 1e-4) for d in (0.5, -0.3, -0.2, 0.0)]
    found = advantages([1.0, 0.2, 0.3, 0.5, 0.1, 0.1, 0.1, 0.1], 4)
    assert found.tolist() == pytest.approx([*expected, 0, 0, 0, 0])
    assert found[4:].tolist() == [0.0] * 4, "no advantage in a group that earned the same, not even a rounding"


def test_other_scales_by_hand() -> None:
    rewards = [1.0, 0.0, 0.5, 0.3]
    assert advantages(rewards, 2, "none").tolist() == pytest.approx([0.5, -0.5, 0.1, -0.1])
    std = math.sqrt(sum((r - 0.45) ** 2 for r in rewards) / 3)
    assert advantages(rewards, 2, "batch").tolist() == pytest.approx([d / (std + 1e-4) for d in (0.5, -0.5, 0.1, -0.1)])


def test_scale_and_shift_of_rewards_do_not_matter() -> None:
    rewards = np.random.default_rng(0).random(12)
    assert advantages(7 * rewards - 3, 4).tolist() == pytest.approx(advantages(rewards, 4).tolist(), rel=5e-3)


@pytest.mark.parametrize(("count", "group"), [(6, 4), (4, 1)])
def test_only_whole_groups_are_compared(count: int, group: int) -> None:
    with pytest.raises(ValueError, match="whole groups"):
        advantages([0.0] * count, group)


def test_repeats_invalid_and_missing_turns_count_as_the_worst(
    line: Callable[..., Experiment],
    lonely: Callable[[Experiment, int], Problem],
    scripted: Callable[..., Policy],
) -> None:
    """Values 1 .. 5, best 1, worst 5: regrets 0, 1/4, 2/4, 3/4, 1."""
    target = line([1.0, 2.0, 3.0, 4.0, 5.0])
    problem = lonely(target, 4)
    scripts: list[tuple[list[object], float]] = [
        ([{"x": 1}, {"x": 2}, {"x": 3}, {"x": 5}], 1 - (0 + 0.25 + 0.5 + 1) / 4),
        ([{"x": 2}, {"x": 2}, "nothing to say", {"x": 1}], 1 - (0.25 + 1 + 1 + 0) / 4),
        (["", "", "", ""], 0.0),
        ([{"x": 1}, {"y": 1}, {"x": float("nan")}, {"x": 1}], 1 - (0 + 1 + 1 + 1) / 4),
    ]
    found = [run_episodes(scripted(*script), [target], [problem], [0])[0].reward for script, _ in scripts]
    assert found == pytest.approx([expected for _, expected in scripts])
    assert np.argsort(advantages(found, 4)).tolist() == [2, 3, 1, 0]
