"""The valley: its derivatives, its fit, and what it believes without runs."""

import numpy as np
import pytest

from autollmresearch.evidence.bowl import Inputs, Layout, evaluate, evaluate_with_jacobian, fit_bowl
from llmconfig_gym.parameter import FloatArray


def inputs(n: int, layout: Layout, seed: int = 0) -> Inputs:
    rng = np.random.default_rng(seed)
    experiment = np.eye(max(layout.experiments, 1))[rng.integers(max(layout.experiments, 1), size=n)]
    z = -3 * rng.random((n, layout.names)) * (1 - experiment[:, -1:])
    return Inputs(4 * rng.standard_normal((n, layout.dims)), rng.random((n, layout.categories)), z, experiment)


@pytest.mark.parametrize(
    "layout",
    [Layout(3, 2, 2, 3, ((0, 1), (0, 2), (1, 2))), Layout(1, 0, 0, 0, ()), Layout(0, 1, 2, 2, ())],
)
def test_the_jacobian_is_the_derivative(layout: Layout) -> None:
    points, theta = inputs(7, layout), 0.5 * np.random.default_rng(1).standard_normal((2, layout.size))
    value, jacobian = evaluate_with_jacobian(layout, theta, points)
    np.testing.assert_array_equal(value, evaluate(layout, theta, points))
    for p in range(layout.size):
        step = np.zeros(layout.size)
        step[p] = 1e-6
        slope = (evaluate(layout, theta + step, points) - evaluate(layout, theta - step, points)) / 2e-6
        np.testing.assert_allclose(jacobian[:, :, p], slope, atol=1e-6)


def priors(layout: Layout) -> tuple[FloatArray, FloatArray]:
    return np.linspace(-0.2, 0.3, layout.size), np.linspace(0.5, 1.0, layout.size)


def test_without_runs_the_samples_are_the_prior() -> None:
    layout = Layout(2, 1, 0, 1, ((0, 1),))
    mean, sd = priors(layout)
    none = np.zeros(0, dtype=bool)
    fit = fit_bowl(layout, inputs(0, layout), np.zeros(0), none, mean, sd, (0.1, 4.0), samples=4000)
    np.testing.assert_allclose(fit.samples.mean(axis=0), mean, atol=0.06)
    np.testing.assert_allclose(fit.samples.std(axis=0), sd, rtol=0.06)
    assert fit.noise == pytest.approx(0.1)


def test_parameters_and_noise_are_found_and_lie_in_the_samples() -> None:
    layout = Layout(2, 1, 0, 0, ((0, 1),))
    points = inputs(400, layout)
    rng = np.random.default_rng(2)
    mean, sd = np.zeros(layout.size), np.ones(layout.size)
    truth = 0.5 * rng.standard_normal(layout.size)
    truth[layout.slices()["here"]] = 0.0
    y = evaluate(layout, truth[None], points)[0] + 0.05 * rng.standard_normal(400)
    fit = fit_bowl(layout, points, y, np.zeros(400, dtype=bool), mean, sd, (0.1, 4.0), samples=200)
    assert fit.noise == pytest.approx(0.05, rel=0.3)
    a = layout.slices()["a"]
    here = layout.slices()["here"]  # every point is at the target here: only the sum of both is told
    np.testing.assert_allclose(fit.mode[a] + fit.mode[here], truth[a], atol=0.1)
    low, high = np.quantile(fit.samples, [0.001, 0.999], axis=0)
    assert np.mean((low <= truth) & (truth <= high)) > 0.8


def test_a_wild_run_counts_little_and_a_diverged_one_only_from_below() -> None:
    layout = Layout(1, 0, 0, 0, ())
    x = np.linspace(-4, 4, 30)[:, None]
    points = Inputs(x, np.zeros((30, 0)), np.zeros((30, 0)), np.ones((30, 1)))
    theta = np.zeros(layout.size)
    y = evaluate(layout, theta[None], points)[0]
    wild = y.copy()
    wild[[3, 20]] = 60.0
    diverged = np.zeros(30, dtype=bool)
    diverged[20] = True
    mean, sd = np.zeros(layout.size), np.ones(layout.size)
    fit = fit_bowl(layout, points, wild, diverged, mean, sd, (0.1, 4.0), samples=10)
    assert fit.weights[[3, 20]].max() < 0.01
    assert abs(fit.mode[layout.slices()["a"]][0]) < 0.2
    below = np.where(diverged, -5.0, y)
    fit = fit_bowl(layout, points, below, diverged, mean, sd, (0.1, 4.0), samples=10)
    assert fit.weights[20] == 0.0
