"""Calibration: forecasts are counted against the best of what was not tried, and a perfect forecaster scores so."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from autollmresearch.calibration import Calibration, calibration
from autollmresearch.episode import Trajectory, Turn
from autollmresearch.policy import Candidate, Proposal
from llmconfig_gym.experiment import Experiment


def test_forecasts_are_of_the_best_that_was_not_tried(targets: Mapping[str, Experiment]) -> None:
    target = targets["pretraining"]
    order = np.argsort(target.losses)
    first, second, third = (target.pool.config(int(row)) for row in order[:3])

    def turn(row: int, *candidates: Candidate) -> Turn:
        config = target.pool.config(row)
        return Turn(Proposal(config, candidates=candidates), target.outcome(row), 0.0)

    turns = (
        turn(int(order[0]), Candidate(first, 0.7), Candidate(second, 0.3)),
        turn(int(order[5]), Candidate(second, 0.6), Candidate(third, 0.1)),
        turn(int(order[6])),
    )
    found = calibration([target], [Trajectory(target.id, 3, 0, turns)])
    assert found.forecast.tolist() == [0.7, 0.3, 0.6, 0.1]
    assert found.came.tolist() == [1, 0, 1, 0]
    assert calibration([target], [Trajectory(target.id, 1, 0, (turns[2],))]).forecast.size == 0


def test_error_and_brier_score() -> None:
    rng = np.random.default_rng(0)
    said = rng.random(20_000)
    true = Calibration(said, (rng.random(20_000) < said).astype(float))
    assert true.error < 0.02
    assert true.brier == pytest.approx(1 / 6, abs=0.01), "E[p (1 - p)] of uniform forecasts"
    loud = Calibration(np.full(1000, 0.9), (np.arange(1000) < 300).astype(float))
    assert loud.error == pytest.approx(0.6)
    assert loud.brier == pytest.approx(0.3 * 0.01 + 0.7 * 0.81)
    assert loud.brier_of_base_rate == pytest.approx(0.21)
    assert loud.bins == [(1000, pytest.approx(0.9), pytest.approx(0.3))]
    assert (true + loud).forecast.size == 21_000
    assert Calibration().error == 0 == Calibration().brier
