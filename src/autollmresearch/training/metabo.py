"""MetaBO: trains the acquisition function of `baselines/metabo.py` by playing (games.py).

As Volpp et al. 2019, with proximal policy optimisation; the value that a return is compared with knows only turn and
budget, as theirs: it is the mean over the batch, whose episodes share both. It writes RUN/metabo/metabo.npz.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autollmresearch.baselines.metabo import FEATURES, features
from autollmresearch.training.games import Games, PlayRecipe, advantages, loss, train
from llmconfig_gym.parameter import FloatArray

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MetaBORecipe(PlayRecipe):
    """A training run.

    Attributes:
        hidden: units of each hidden layer.
    """

    hidden: tuple[int, ...] = (32, 32)


def metabo(recipe: MetaBORecipe, run: Path, *, progress: bool = True) -> dict[str, Any]:
    """Train the network of a recipe, as RUN/metabo/metabo.npz, and return the manifest. Raises as `games.train`."""
    return train("metabo", recipe, lambda games: learn(games, recipe, progress=progress), run, progress=progress)


def learn(games: Games, recipe: MetaBORecipe, *, progress: bool = False) -> tuple[dict[str, FloatArray], list[float]]:
    """The trained network, and the mean final regret of each batch."""
    import torch
    from tqdm import tqdm

    torch.set_num_threads(1)  # small matrices: more threads only wait for each other
    rng = np.random.default_rng(recipe.seed)
    weights = _drawn(rng, recipe.hidden)
    adam = torch.optim.Adam(weights, lr=recipe.learning_rate)
    regrets = []
    for _ in tqdm(range(recipe.steps), desc="metabo", unit="batch", disable=not progress):
        seen, legal, chosen, rewards = _play(games, weights, recipe, rng)
        regrets.append(float(-rewards[:, -1].mean()))
        gains, before = torch.from_numpy(advantages(rewards, recipe.discount)), None
        for _ in range(recipe.passes):
            objective, taken = loss(_scores(weights, seen), legal, chosen, before, gains, recipe)
            before = taken if before is None else before
            adam.zero_grad()
            objective.backward()  # type: ignore[no-untyped-call]
            adam.step()
    names = [f"{kind}{i}" for i in range(len(weights) // 2) for kind in "wb"]
    return {name: w.detach().numpy() for name, w in zip(names, weights, strict=True)}, regrets


def _play(
    games: Games, weights: list[Tensor], recipe: MetaBORecipe, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, FloatArray]:
    """A batch of episodes of one budget T.

    Returns:
        What was seen [batch, T, rows, FEATURES], which rows were legal [batch, T, rows], which were chosen [batch, T],
        and the rewards [batch, T].
    """
    import torch

    budget = int(rng.choice(recipe.budgets))
    g = rng.integers(len(games.noise), size=recipe.batch)
    each = np.arange(recipe.batch)
    told: NDArray[np.int64] = np.zeros((recipe.batch, 0), dtype=np.int64)
    free = np.isfinite(games.losses[g])
    seen, legal = [], []
    for _ in range(budget):
        cross = games.covariance[g[:, None, None], np.arange(recipe.rows)[:, None], told[:, None, :]]
        within = games.covariance[g[:, None, None], told[:, :, None], told[:, None, :]]
        losses = games.losses[g[:, None], told]
        shown = features(games.cheap[g], cross, within, games.noise[g], losses, budget).astype(np.float32)
        with torch.no_grad():
            scores = _scores(weights, torch.from_numpy(shown)).numpy()
        drawn = np.where(free, scores + rng.gumbel(size=scores.shape), -np.inf).argmax(axis=1)
        seen.append(shown)
        legal.append(free.copy())
        free[each, drawn] = False
        told = np.concatenate([told, drawn[:, None]], axis=1)
    rewards = -np.minimum.accumulate(games.regrets[g[:, None], told], axis=1)
    stacked = torch.from_numpy(np.stack(seen, axis=1)), torch.from_numpy(np.stack(legal, axis=1))
    return *stacked, torch.from_numpy(told), rewards


def _drawn(rng: np.random.Generator, hidden: Sequence[int]) -> list[Tensor]:
    """He et al. 2015; the last layer small, so that play begins nearly uniform."""
    import torch

    sizes = (FEATURES, *hidden, 1)
    weights = []
    for i, (n, m) in enumerate(pairwise(sizes)):
        scale = np.sqrt(2 / n) * (0.1 if i == len(hidden) else 1.0)
        weights += [scale * rng.standard_normal((n, m)), np.zeros(m)]
    return [torch.tensor(w, dtype=torch.float32, requires_grad=True) for w in weights]


def _scores(weights: list[Tensor], seen: Tensor) -> Tensor:
    """[...] of features [..., FEATURES], as `baselines.metabo.score`."""
    *hidden, matrix, offset = weights
    for w, b in zip(hidden[::2], hidden[1::2], strict=True):
        seen = (seen @ w + b).relu()
    return (seen @ matrix + offset)[..., 0]
