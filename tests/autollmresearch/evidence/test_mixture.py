"""Mixtures: what is good at a small scale is expected at a large one, and nothing is left out without a reason."""

from collections.abc import Callable

import numpy as np

from autollmresearch.evidence.analyst import fit
from autollmresearch.evidence.mixture import diversity, features
from autollmresearch.evidence.records import Problem
from llmconfig_gym.experiment import Experiment, Fidelity, Metric
from llmconfig_gym.parameter import Simplex
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

SPACE = Space((Simplex("weights", ("code", "books", "web", "talk")),))


def mixtures(scale: float, seed: int, rows: int = 60) -> Experiment:
    """A sum of power laws of the weights; code matters most. Each scale has its own mixtures."""
    weights = np.random.default_rng(seed).dirichlet([0.7] * 4, size=rows)
    values = 2 - 0.1 * np.log10(scale) - np.sqrt(weights) @ np.array([0.5, 0.1, 0.3, 0.05])
    fidelity = Fidelity({"parameters": scale}, scale)
    pool = Pool(SPACE, {"weights": weights})
    metric = Metric("loss", "minimize")
    return Experiment(f"mix/{seed}", "mix", "mixture", "mix", "low", fidelity, metric, pool, values)


def test_the_ranking_carries_over(known: Callable[..., Problem]) -> None:
    target, cheap = mixtures(1e8, 1), mixtures(1e6, 2)
    for runs, least in ((12, 0.7), (None, 0.95)):
        posterior = fit(known(target, [cheap], runs))
        assert np.corrcoef(posterior.mean, target.losses)[0, 1] > least
    assert target.regret(target.losses[int(np.argmin(posterior.mean))]) < 0.05
    assert "more code" in posterior.explanation.sentences[0]


def test_without_runs_the_even_mixture_is_preferred_to_one_source() -> None:
    weights = np.array([[0.25] * 4, [0.7, 0.1, 0.1, 0.1], [1.0, 0.0, 0.0, 0.0]])
    pool = Pool(SPACE, {"weights": weights})
    target = Problem("mixture", Fidelity({}, 1.0), Metric("loss", "minimize"), pool, (), 3)
    mean = fit(target).mean
    assert mean[0] < mean[1] < mean[2]


def test_features_are_hellinger_distances() -> None:
    encoded = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    x = features(SPACE, encoded)
    assert np.isclose(np.linalg.norm(x[0] - x[1]), np.sqrt(2))
    assert np.allclose(np.linalg.norm(x, axis=1), 1)
    assert diversity(SPACE, encoded).tolist() == [1, 1, 2]
