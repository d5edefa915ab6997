"""NAP: trains the transformer of `baselines/nap_network.py` by playing (games.py).

As Maraval et al. 2023: proximal policy optimisation on the acquisition, and beside it the likelihood of all outcomes
given the trials so far, without which rewards are too sparse to learn a surrogate from (their section 4.2). The value
that a return is compared with is the batch's mean at that turn, as `metabo`'s. It writes RUN/nap/nap.npz.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autollmresearch.baselines.cheap_gps import standardised
from autollmresearch.baselines.nap_network import BUCKETS, HEADS, drawn, look
from autollmresearch.training.games import Games, PlayRecipe, advantages, loss, train
from llmconfig_gym.description import require
from llmconfig_gym.parameter import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

    from autollmresearch.baselines.nap_network import Network


@dataclass(frozen=True)
class NAPRecipe(PlayRecipe):
    """A training run.

    Attributes:
        width: of a token.
        layers: of the transformer.
        supervision: weight of the outcomes' likelihood.
    """

    width: int = 32
    layers: int = 2
    supervision: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.width >= HEADS and self.width % HEADS == 0, f"width is a multiple of {HEADS}", self.width)
        require(self.layers >= 1, "layers is at least 1", self.layers)


@dataclass(frozen=True, eq=False)
class Turn:
    """One turn of a batch: what `look` is given, and legal rows [batch, rows]."""

    seen: tuple[Tensor, ...]
    legal: Tensor


def nap(recipe: NAPRecipe, run: Path, *, progress: bool = True) -> dict[str, Any]:
    """Train the network of a recipe, as RUN/nap/nap.npz, and return the manifest. Raises as `games.train`."""
    return train("nap", recipe, lambda games: learn(games, recipe, progress=progress), run, progress=progress)


def learn(games: Games, recipe: NAPRecipe, *, progress: bool = False) -> tuple[dict[str, FloatArray], list[float]]:
    """The trained network, and the mean final regret of each batch."""
    import torch
    from tqdm import tqdm

    torch.set_num_threads(1)  # small matrices: more threads only wait for each other
    rng = np.random.default_rng(recipe.seed)
    network = drawn(rng, recipe.width, recipe.layers)
    adam = torch.optim.Adam(network.values(), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, recipe.steps * recipe.passes)
    regrets = []
    for _ in tqdm(range(recipe.steps), desc="nap", unit="batch", disable=not progress):
        budget = int(rng.choice(recipe.budgets))
        turns, chosen, rewards, buckets = _play(games, network, recipe, budget, rng)
        regrets.append(float(-rewards[:, -1].mean()))
        gains, before = torch.from_numpy(advantages(rewards, recipe.discount)), None
        legal = torch.stack([turn.legal for turn in turns], dim=1)
        for _ in range(recipe.passes):
            said = [look(network, *turn.seen, budget=budget) for turn in turns]
            scores = torch.stack([s for s, _ in said], dim=1)
            objective, taken = loss(scores, legal, chosen, before, gains, recipe)
            before = taken if before is None else before
            wrong = torch.stack([_surprise(o, buckets, t.legal) for (_, o), t in zip(said, turns, strict=True)]).mean()
            adam.zero_grad()
            (objective + recipe.supervision * wrong).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(list(network.values()), 1.0)
            adam.step()
            schedule.step()
    return {name: w.detach().numpy() for name, w in network.items()}, regrets


def _play(
    games: Games, network: Network, recipe: NAPRecipe, budget: int, rng: np.random.Generator
) -> tuple[list[Turn], Tensor, FloatArray, Tensor]:
    """A batch of episodes.

    Returns:
        The turns, which rows were chosen [batch, budget], rewards [batch, budget], and each row's bucket [batch, rows].
    """
    import torch

    g = rng.integers(len(games.noise), size=recipe.batch)
    told: NDArray[np.int64] = np.zeros((recipe.batch, 0), dtype=np.int64)
    free = np.isfinite(games.losses[g])
    covariance = games.covariance[g].astype(np.float32)
    cheap = torch.from_numpy(games.cheap[g].astype(np.float32))
    each = np.arange(recipe.batch)
    turns = []
    for _ in range(budget):
        cross = np.take_along_axis(covariance, told[:, None, :], axis=2)
        within = np.take_along_axis(cross, told[:, :, None], axis=1)
        losses = np.take_along_axis(games.losses[g], told, axis=1)
        arrays = (told, standardised(losses).astype(np.float32), cross, within)
        turn = Turn((cheap, *map(torch.from_numpy, arrays)), torch.from_numpy(free.copy()))
        with torch.no_grad():
            scores = look(network, *turn.seen, budget=budget)[0].numpy()
        taken = np.where(free, scores + rng.gumbel(size=scores.shape), -np.inf).argmax(axis=1)
        turns.append(turn)
        free[each, taken] = False
        told = np.concatenate([told, taken[:, None]], axis=1)
    regrets = games.regrets[g]
    rewards = -np.minimum.accumulate(np.take_along_axis(regrets, told, axis=1), axis=1)
    buckets = np.minimum((regrets * BUCKETS).astype(np.int64), BUCKETS - 1)
    return turns, torch.from_numpy(told), rewards, torch.from_numpy(buckets)


def _surprise(outcomes: Tensor, buckets: Tensor, legal: Tensor) -> Tensor:
    """Mean over the legal rows of minus the logarithm of the probability of their outcome."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(outcomes[legal], buckets[legal])
