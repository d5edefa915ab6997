"""MetaBO: what the network sees, and that the shipped one has learned to search."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from autollmresearch.baselines.cheap_gps import cheap_gps, standardised
from autollmresearch.baselines.metabo import FEATURES, features, prior_of, score
from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.episode import run_episodes
from autollmresearch.evidence.records import Problem
from autollmresearch.methods import identity, make_policy
from llmconfig_gym.experiment import Experiment, Fidelity, Metric
from llmconfig_gym.parameter import Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space


def _branin(seed: int, cost: float) -> Experiment:
    """Branin's function on a grid, moved by up to a tenth and scaled by up to a tenth, as in the paper's section 5."""
    rng = np.random.default_rng(seed)
    levels = tuple(round(float(v), 3) for v in np.linspace(0, 1, 13))
    space = Space((Grid("a", levels), Grid("b", levels)))
    pool = Pool.from_configs(space, [{"a": a, "b": b} for a in levels for b in levels])
    a, b = (pool.columns[name].astype(float) + rng.uniform(-0.1, 0.1) for name in "ab")
    x, y = 15 * a - 5, 15 * b
    bowl = y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6
    values = rng.uniform(0.9, 1.1) * (bowl**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10)
    level, metric = ("high" if cost > 10 else "low"), Metric("loss", "minimize")
    fidelity = Fidelity({"parameters": cost}, cost)
    return Experiment(f"branin/{seed}", "branin", "other", "b", level, fidelity, metric, pool, values)  # type: ignore[arg-type]


def test_on_moved_branin_functions_it_beats_random_search_clearly() -> None:
    lost = {}
    for method, n in (("metabo", 1), ("random", 30)):
        regrets = []
        for seed in range(3):
            target = _branin(100 + seed, 100.0)
            cheaper = [_branin(200 + seed, 1.0), _branin(300 + seed, 2.0)]
            problem = Protocol(40).problems(target, cheaper, 5, [seed])[0]
            for episode in run_episodes(make_policy(method), [target] * n, [problem] * n, range(n)):
                values = [t.outcome.value for t in episode.turns]
                regrets.append(target.regret(min(v for v in values if v is not None)))
        lost[method] = float(np.mean(regrets))
    assert lost["metabo"] < 0.5 * lost["random"]


def test_it_sees_the_posterior_of_the_nearest_experiments_process(
    targets: Mapping[str, Experiment], problem_of: Callable[..., Problem]
) -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import WhiteKernel

    problem = problem_of(targets["pretraining"])
    prior, rows = prior_of(problem), np.array([3, 8, 12])
    x, losses = problem.pool.encoded, np.array([3.0, 3.4, 3.1])
    cross, within = prior.covariance(x, x[rows]), prior.covariance(x[rows], x[rows])
    seen = features(prior.cheap, cross, within, prior.noise, losses, 5)
    kernel = cheap_gps(problem)[0].model.kernel_.k1.k2 + WhiteKernel(prior.noise)
    y = standardised(losses)
    expected = GaussianProcessRegressor(kernel, optimizer=None).fit(x[rows], y)
    mean, sd = expected.predict(x, return_std=True)
    assert seen.shape == (len(x), FEATURES)
    assert seen[:, 0] == pytest.approx(mean - y.min(), abs=1e-4)
    assert np.square(seen[:, 1]) == pytest.approx(np.square(sd) - prior.noise, abs=1e-4)
    assert seen[:, [2, 4]].min(axis=0).tolist() == [0.0, 0.0]
    assert seen[0, 6:].tolist() == [0.3, 0.5]


def test_many_problems_at_once_are_seen_as_each_alone() -> None:
    rng = np.random.default_rng(0)
    cheap, x = rng.random((2, 6, 4)), rng.random((2, 6, 1))
    covariance = np.exp(-np.square(x - np.swapaxes(x, 1, 2)))
    noise = np.array([0.1, 0.2])
    for n in (0, 1, 3):
        losses = rng.random((2, n))
        parts = (cheap, covariance[:, :, :n], covariance[:, :n, :n], noise, losses)
        together = features(*parts, 5)
        alone = np.stack([features(*(part[i] for part in parts), 5) for i in range(2)])
        assert together == pytest.approx(alone)
        assert np.isfinite(together).all()


def test_without_trials_all_is_open() -> None:
    seen = features(np.ones((4, 4)), np.zeros((4, 0)), np.zeros((0, 0)), 0.1, np.zeros(0), 10)
    assert seen.tolist() == [[0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0]] * 4


def test_a_network_has_rectified_units_but_at_its_end() -> None:
    network = {"w0": np.array([[1.0, -1.0]]), "b0": np.zeros(2), "w1": np.array([[1.0], [1.0]]), "b1": np.array([-5.0])}
    assert score(network, np.array([[2.0], [-3.0]])).tolist() == [-3.0, -2.0]


def test_a_benchmark_knows_which_network_it_used() -> None:
    assert len(identity("metabo")["network"]) == 64
