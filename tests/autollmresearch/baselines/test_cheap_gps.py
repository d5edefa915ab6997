"""Cheap GPs: one process per cheaper experiment."""

from collections.abc import Callable

import numpy as np
import pytest

from autollmresearch.baselines import cheap_gps as module
from autollmresearch.baselines.cheap_gps import cheap_gps, standardised
from autollmresearch.baselines.pooled_gp import regress
from autollmresearch.benchmark.protocols import Protocol
from llmconfig_gym.experiment import Experiment

Line = Callable[..., Experiment]
VALUES = np.square(np.arange(1, 16) - 6.0)


def test_a_process_predicts_its_experiment_in_its_own_standard_deviations(line: Line) -> None:
    cheaper = [line((5 + 1e3 * VALUES).tolist()), line((-1e-3 * VALUES).tolist(), cost=10.0)]
    near, far = cheap_gps(Protocol().problems(line([0.0] * 15, cost=100.0), cheaper, 1, [0])[0])
    np.testing.assert_allclose(far.mean, standardised(VALUES), atol=0.1)
    np.testing.assert_allclose(near.mean, -standardised(VALUES), atol=0.1)


def test_draws_are_joint(line: Line) -> None:
    problem = Protocol().problems(line([0.0] * 15, cost=100.0), [line(VALUES.tolist())], 1, [0])[0]
    model = cheap_gps(problem)[0]
    beyond = np.array([[3.0], [3.01]])
    draws = model.draws(beyond, 2000, np.random.default_rng(0))
    assert draws.shape == (2000, 2)
    assert np.corrcoef(draws.T)[0, 1] > 0.9
    assert draws.std(axis=0) == pytest.approx(model.model.predict(beyond, return_std=True)[1], rel=0.1)


def test_outcomes_that_are_alike_or_single_say_nothing_and_stop_nothing(line: Line) -> None:
    for values in ([2.0], [2.0, 2.0, 2.0]):
        assert standardised(np.array(values)).tolist() == [0.0] * len(values)
    problem = Protocol(1).problems(line([0.0] * 5, cost=100.0), [line([1.0, 2.0, 3.0, 4.0, 5.0])], 1, [0])[0]
    np.testing.assert_allclose(cheap_gps(problem)[0].mean, 0.0, atol=1e-9)


def test_a_fit_is_made_once_per_problem(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []

    def counted(*args: object, **kwargs: object) -> object:
        fits.append(args)
        return regress(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "regress", counted)
    problem = Protocol().problems(line([0.0] * 5, cost=9.0), [line([1.0, 2.0, 3.0, 4.0, 5.0])], 1, [0])[0]
    assert cheap_gps(problem) is cheap_gps(problem)
    assert len(fits) == 1
