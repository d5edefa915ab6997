"""Deep kernel: a Gaussian process whose kernel compares what a small network makes of two configurations.

The network and the kernel's scales are one list of tensors that is trained on many tasks at once and adapted to one
(Wistuba and Grabocka 2021). Everything is in double precision and drawn from given seeds, so that it is repeatable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from llmconfig_gym.parameter import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

HIDDEN, FEATURES = 64, 32
"""Units of the network's two hidden layers, and what it gives out."""

START = 0.5
"""Scale of the features before any training."""

META_STEPS, META_RATE = 300, 3e-3
"""Updates in training on tasks, and their learning rate at the start."""

FINE_STEPS, FINE_RATE = 30, 1e-3
"""The same in the adaptation to one task."""

BATCH = 50
"""Most outcomes of a task in one update."""

APART = 0.25
"""Least distance of the two labels that a batch is rescaled by, so that no batch outweighs the others."""

JITTER = 1e-4
"""Least variance of the noise, in squared labels."""

Weights: TypeAlias = "list[Tensor]"
"""Matrices and offsets of the network's layers, then the logarithms of the kernel's variance and of the noise's."""


def meta_train(tasks: Sequence[tuple[FloatArray, FloatArray]], seed: int = 0) -> Weights:
    """Weights under which the tasks' labels are likely, whatever their scale (algorithm 1 of the paper).

    Args:
        tasks: points [n, width] and labels [n] in [0, 1] of each. In every update one task's batch is rescaled by two
            labels l and u drawn at random: (y - l) / (u - l).
    """
    import torch

    rng = np.random.default_rng(seed)
    weights = _drawn(rng, tasks[0][0].shape[1])

    def loss() -> Tensor:
        x, y = tasks[int(rng.integers(len(tasks)))]
        rows = rng.permutation(len(y))[:BATCH]
        low, high = sorted(rng.random(2))
        labels = (y[rows] - low) / max(high - low, APART)
        return _surprise(weights, torch.tensor(x[rows]), torch.tensor(labels))

    return _descend(weights, loss, META_STEPS, META_RATE)


def fine_tune(weights: Weights, x: FloatArray, y: FloatArray) -> Weights:
    """A copy of the weights adapted to one task's points [n, width] and labels [n]."""
    import torch

    own = [w.detach().clone().requires_grad_() for w in weights]
    points, labels = torch.tensor(x), torch.tensor(y)
    return _descend(own, lambda: _surprise(own, points, labels), FINE_STEPS, FINE_RATE)


def posterior(weights: Weights, x: FloatArray, y: FloatArray, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation [m] of the function at points [m, width], given x [n, width] and y [n]."""
    import torch

    with torch.no_grad():
        known, asked = (_features(weights, torch.tensor(a)) for a in (x, points))  # copies: a pool is read-only
        root = torch.linalg.cholesky(_noisy(weights, known))
        cross = torch.linalg.solve_triangular(root, _kernel(weights, known, asked), upper=False)
        white = torch.linalg.solve_triangular(root, torch.tensor(y)[:, None], upper=False)
        variance = torch.exp(weights[-2]) - cross.square().sum(0)
        return (cross.T @ white)[:, 0].numpy(), variance.clamp_min(1e-12).sqrt().numpy()


def _drawn(rng: np.random.Generator, width: int) -> Weights:
    """He et al. 2015 for the matrices, the last one reduced: what is far apart at first has no gradient that joins it.
    Unit variance and a tenth of noise."""
    import torch

    sizes = (width, HIDDEN, HIDDEN, FEATURES)
    result = []
    for n, m in pairwise(sizes):
        result += [rng.standard_normal((n, m)) * np.sqrt(2 / n), np.zeros(m)]
    result[-2] *= START
    result += [np.zeros(()), np.full((), np.log(1e-2))]
    return [torch.tensor(w, requires_grad=True) for w in result]


def _descend(weights: Weights, loss: Callable[[], Tensor], steps: int, rate: float) -> Weights:
    """Adam, with a learning rate that falls to zero along a cosine."""
    import torch

    torch.set_num_threads(1)  # small problems: more threads only wait for each other
    adam = torch.optim.Adam(weights, lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        adam.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        adam.step()
        schedule.step()
    return weights


def _surprise(weights: Weights, x: Tensor, y: Tensor) -> Tensor:
    """Negative logarithm of the marginal likelihood per outcome, but for a constant."""
    import torch

    root = torch.linalg.cholesky(_noisy(weights, _features(weights, x)))
    white = torch.linalg.solve_triangular(root, y[:, None], upper=False)
    result: Tensor = (0.5 * white.square().sum() + root.diagonal().log().sum()) / len(y)
    return result


def _features(weights: Weights, x: Tensor) -> Tensor:
    """[n, FEATURES] what the network makes of x [n, width], which lies in [0, 1]."""
    *hidden, matrix, offset = weights[:-2]
    x = x - 0.5
    for m, o in zip(hidden[::2], hidden[1::2], strict=True):
        x = (x @ m + o).relu()
    result: Tensor = (x @ matrix + offset) / FEATURES**0.5
    return result


def _kernel(weights: Weights, a: Tensor, b: Tensor) -> Tensor:
    """[n, m] squared exponential of features [n, FEATURES] and [m, FEATURES]; their scale is the network's own."""
    import torch

    squared = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T
    return torch.exp(weights[-2] - 0.5 * squared.clamp_min(0.0))


def _noisy(weights: Weights, features: Tensor) -> Tensor:
    import torch

    noise = torch.exp(weights[-1]) + JITTER
    return _kernel(weights, features, features) + noise * torch.eye(len(features), dtype=features.dtype)
