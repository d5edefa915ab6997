"""Deep kernels: trained on tasks, adapted to one, exact where they were told."""

import numpy as np
import pytest
import torch

from autollmresearch.baselines import deep_kernel
from autollmresearch.baselines.deep_kernel import fine_tune, meta_train, posterior
from llmconfig_gym.parameter import FloatArray

X = np.stack(np.meshgrid(np.linspace(0, 1, 7), np.linspace(0, 1, 7)), axis=-1).reshape(-1, 2)


def _wave(at: float) -> FloatArray:
    """Of the first coordinate alone, as every task is."""
    return 0.5 + 0.5 * np.cos(6 * (X[:, 0] - at))


@pytest.fixture(scope="module")
def tasks() -> list[tuple[FloatArray, FloatArray]]:
    return [(X, _wave(at)) for at in (0.1, 0.4, 0.6, 0.9)]


def test_the_kernel_learns_what_the_tasks_share(tasks: list[tuple[FloatArray, FloatArray]]) -> None:
    rows = np.flatnonzero(X[:, 1] == 0)  # told along one edge
    y = _wave(0.5)
    off = []
    for weights in (meta_train(tasks), deep_kernel._drawn(np.random.default_rng(0), 2)):
        mean, _ = posterior(weights, X[rows], y[rows], X)
        off.append(float(np.abs(mean - y).mean()))
    assert off[0] < 0.05 < off[1]


def test_the_same_seed_gives_the_same_weights(
    tasks: list[tuple[FloatArray, FloatArray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deep_kernel, "META_STEPS", 3)
    first, again, other = meta_train(tasks), meta_train(tasks), meta_train(tasks, seed=1)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not all((a == b).all() for a, b in zip(first, other, strict=True))


def test_the_adapted_weights_are_a_copy_under_which_the_labels_are_likelier() -> None:
    weights = deep_kernel._drawn(np.random.default_rng(0), 2)
    kept = [w.detach().clone() for w in weights]
    x, y = X[::4], _wave(0.5)[::4]
    own = fine_tune(weights, x, y)
    assert all((a == b).all() for a, b in zip(kept, weights, strict=True))
    points, labels = torch.tensor(x), torch.tensor(y)
    assert deep_kernel._surprise(own, points, labels) < deep_kernel._surprise(weights, points, labels)


def test_it_is_sure_of_what_it_was_told_and_unsure_far_away() -> None:
    weights = deep_kernel._drawn(np.random.default_rng(0), 2)
    mean, sd = posterior(weights, X[:3], np.array([0.4, 0.5, 0.6]), np.array([[0.0, 0.0], [50.0, 50.0]]))
    assert mean[0] == pytest.approx(0.4, abs=0.1)
    assert sd[0] < 0.15 < 0.9 < sd[1] <= 1.0
    assert mean[1] == pytest.approx(0.0, abs=0.1)
