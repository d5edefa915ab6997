"""The Gaussian process: it goes through its runs, knows what it does not know, and draws worlds that agree with it."""

import numpy as np
import pytest

from autollmresearch.evidence.gp import LANDMARKS, Hyper, Kernel, Points, choose, condition
from llmconfig_gym.parameter import FloatArray

HYPER = Hyper(length=0.5, height=1.0, noise=0.01)


def points(x: FloatArray, experiment: int = 0) -> Points:
    return Points(np.atleast_2d(x).T, np.full(np.size(x), experiment))


def kernel(octaves: float = 160.0) -> Kernel:
    return Kernel(np.ones(2), np.array([[-4.0], [0.0]]), octaves, 0.99, (10.0, 0.5, 0.3))


def test_it_goes_through_its_runs_and_is_unsure_far_from_them() -> None:
    x = np.linspace(0, 1, 6)
    y = np.sin(4 * x)
    belief = condition(kernel(), HYPER, points(x), y, np.zeros(6), points(np.append(x, 5.0)), 400)
    np.testing.assert_allclose(belief.mean[:6], y, atol=0.02)
    sd = belief.draws.std(axis=0)
    assert sd[:6].max() < 0.05
    assert sd[6] > 0.8


def test_a_ranking_carries_over_less_the_further_the_fidelities_are_apart() -> None:
    x = np.linspace(0, 1, 8)
    y = np.sin(4 * x)
    ranges = []
    for octaves in (160.0, 4.0):
        belief = condition(kernel(octaves), HYPER, points(x), y, np.zeros(8), points(x, 1), 0)
        assert np.corrcoef(belief.mean, y)[0, 1] > 0.95
        ranges.append(np.ptp(belief.mean))
    assert ranges[0] > 2 * ranges[1]


def test_draws_agree_with_the_exact_posterior_beyond_the_landmarks_too() -> None:
    x = np.linspace(0, 1, 5)
    pool = np.linspace(0, 1.5, LANDMARKS + 100)
    belief = condition(kernel(), HYPER, points(x), np.sin(4 * x), np.zeros(5), points(pool), 2000)
    small = condition(kernel(), HYPER, points(x), np.sin(4 * x), np.zeros(5), points(pool[::10]), 2000)
    np.testing.assert_allclose(belief.draws.std(axis=0)[::10], small.draws.std(axis=0), atol=0.05)
    np.testing.assert_allclose(belief.draws.mean(axis=0), 0, atol=1e-9)


def test_a_run_that_is_jittered_counts_less() -> None:
    x = np.array([0.0, 0.1, 0.2])
    y = np.array([0.0, 9.0, 0.0])
    trusted, doubted = (
        condition(kernel(), HYPER, points(x), y, np.array([0.0, j, 0.0]), points(x), 0).mean[1] for j in (0.0, 1e4)
    )
    assert trusted > 8
    assert abs(doubted) < 1


@pytest.mark.parametrize("noise", [0.02, 0.5])
def test_the_grid_finds_the_noise(noise: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.random(100)
    y = np.sin(6 * x) + noise * rng.standard_normal(100)
    usual = Hyper(0.5, 1.0, 0.1)
    hyper = choose(kernel(), points(x), y, np.zeros(100), (0.25, 0.5, 1.0), (0.5, 1.0), (0.02, 0.1, 0.5), usual)
    assert hyper.noise == noise
    assert choose(kernel(), points(x[:2]), y[:2], np.zeros(2), (0.5,), (1.0,), (0.1,), usual) == usual
