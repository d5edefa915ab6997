"""Discrepancy: worlds are corrected where something was told, and near it."""

import numpy as np
import pytest

from autollmresearch.evidence.discrepancy import correct
from autollmresearch.evidence.gp import LANDMARKS
from llmconfig_gym.parameter import FloatArray

NONE = np.zeros(0, dtype=np.int64)


def line(n: int) -> FloatArray:
    return np.linspace(0, 4, n)[:, None]


def told(*rows: int) -> np.ndarray:
    return np.array(rows, dtype=np.int64)


@pytest.mark.parametrize("n", [50, LANDMARKS + 100])
def test_without_outcomes_only_doubt_is_added(n: int) -> None:
    worlds = np.tile(np.arange(n, dtype=float), (800, 1))
    moved = correct(worlds, line(n), NONE, np.zeros(0), np.zeros(0), 0.5, 1.0, joint=True)
    np.testing.assert_allclose(moved.mean(axis=0), worlds[0], atol=1e-9)
    np.testing.assert_allclose(moved.std(axis=0), 0.5, rtol=0.15)


def test_an_outcome_is_believed_there_in_part_nearby_and_not_far_away() -> None:
    worlds = np.zeros((500, 50))
    moved = correct(worlds, line(50), told(10), np.array([1.0]), np.array([0.01]), 0.5, 0.5, joint=False)
    mean, sd = moved.mean(axis=0), moved.std(axis=0)
    assert mean[10] == pytest.approx(1.0, abs=0.02)
    assert 0.3 < mean[14] < 0.95
    assert abs(mean[45]) < 0.05
    assert sd[10] < 0.05 < sd[14] < sd[45]


def test_jointly_it_also_says_which_worlds_were_right() -> None:
    rng = np.random.default_rng(0)
    slope = rng.standard_normal(2000)
    worlds = slope[:, None] * line(40)[:, 0]
    outcome = np.array([2.0])
    args = (line(40), told(20), outcome, np.array([0.01]), 0.05, 0.2)
    alone, together = (correct(worlds, *args, joint=j).mean(axis=0) for j in (False, True))
    assert together[39] == pytest.approx(2.0 * line(40)[39, 0] / line(40)[20, 0], rel=0.05)
    assert abs(alone[39]) < 0.5


def test_a_noisy_outcome_counts_less() -> None:
    worlds = np.zeros((400, 20))
    means = [
        correct(worlds, line(20), told(5), np.array([1.0]), np.array([s]), 0.5, 1.0, joint=False)[:, 5].mean()
        for s in (0.01, 0.5, 5.0)
    ]
    assert means[0] > 0.95
    assert means[1] == pytest.approx(0.5, abs=0.05)
    assert means[2] < 0.05


def test_what_a_configuration_has_for_itself_stays_with_it() -> None:
    worlds = np.zeros((500, 50))
    args = (line(50), told(10), np.array([1.0]), np.array([0.01]), 0.5, 1.0)
    smooth, half = (correct(worlds, *args, joint=False, own=own) for own in (0.0, 0.5))
    assert half[:, 10].mean() == pytest.approx(1.0, abs=0.02)
    assert half[:, 10].std() < 0.05
    assert smooth[:, 11].mean() > 0.9
    assert half[:, 11].mean() == pytest.approx(0.5, abs=0.05)
    assert half[:, 11].std() > 0.5


def test_of_many_candidates_none_looks_better_for_the_luck_of_its_draws() -> None:
    moved = correct(np.zeros((64, 3000)), line(3000), NONE, np.zeros(0), np.zeros(0), 1e-6, 1.0, joint=False, own=1.0)
    gain = np.minimum(moved, 0).mean(axis=0)
    np.testing.assert_allclose(gain, gain[0], rtol=1e-4)
    assert np.abs(np.corrcoef(moved[:, :20].T) - np.eye(20)).max() < 0.5
