"""MetaBO: trains the acquisition function of `baselines/metabo.py` by playing medium experiments and drawn landscapes.

Proximal policy optimisation (Schulman et al. 2017) as Volpp et al. 2019 use it: the network's scores are the logits of
a draw among the configurations not told yet, the reward of a turn is minus the simple regret after it, and the value
that a return is compared with knows only turn and budget: it is the mean over the batch, whose episodes share both.
The high experiments are locked (unlocked.py). It writes RUN/metabo/metabo.npz.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autollmresearch.baselines.metabo import FEATURES, features, prior_of
from autollmresearch.baselines.pooling import clip_losses
from autollmresearch.errors import InvalidRecipe
from autollmresearch.evidence.records import Problem
from autollmresearch.training.curate import CurateSettings, open_sample, samples
from autollmresearch.training.fields import build
from autollmresearch.training.landscapes import LandscapeSettings, draw, training_seed
from autollmresearch.training.step import run_step
from autollmresearch.training.unlocked import suite_files
from llmconfig_gym.description import read_yaml, require
from llmconfig_gym.errors import InvalidDescription
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.files import whole_file
from llmconfig_gym.parameter import FloatArray

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MetaBORecipe:
    """A training run. The constants of proximal policy optimisation are the paper's where it gives them.

    Attributes:
        seed: of everything that is drawn.
        curate: the low -> medium pairs; of its budgets nothing is used.
        landscapes: how landscapes are drawn.
        drawn: how many of them.
        rows: most configurations of a target that episodes choose among, drawn at random.
        budgets: trials of an episode, one of these for each batch.
        steps: batches.
        batch: episodes in a batch.
        passes: updates on one batch.
        hidden: units of each hidden layer.
        learning_rate: of Adam.
        discount: of a reward one turn later.
        clip: how far a probability ratio may go from one.
        entropy: what is paid for entropy.
    """

    seed: int = 0
    curate: CurateSettings = field(default_factory=CurateSettings)
    landscapes: LandscapeSettings = field(default_factory=LandscapeSettings)
    drawn: int = 80
    rows: int = 64
    budgets: tuple[int, ...] = (1, 2, 3, 5, 10)
    steps: int = 300
    batch: int = 128
    passes: int = 4
    hidden: tuple[int, ...] = (32, 32)
    learning_rate: float = 3e-3
    discount: float = 0.98
    clip: float = 0.2
    entropy: float = 0.01

    def __post_init__(self) -> None:
        require(0 <= self.seed < 1 << 32, "seed is at least 0 and below 2^32", self.seed)
        for name in ("drawn", "steps", "batch", "passes"):
            require(getattr(self, name) >= 1, f"{name} is at least 1", getattr(self, name))
        require(self.budgets and min(self.budgets) >= 1, "budgets are one or more, at least 1", list(self.budgets))
        require(self.rows > max(self.budgets), "rows is more than every budget", self.rows)


def read_metabo_recipe(path: Path) -> MetaBORecipe:
    """The recipe in a YAML file. Raises `InvalidRecipe`, as `read_recipe` does."""
    try:
        return build(MetaBORecipe, read_yaml(path, "a recipe", list(MetaBORecipe.__dataclass_fields__)))
    except InvalidDescription as problem:
        text = str(problem)
        raise InvalidRecipe(text if text.startswith(str(path)) else f"{path}: {text}") from None


def metabo(recipe: MetaBORecipe, run: Path, *, progress: bool = True) -> dict[str, Any]:
    """Train the network of a recipe, as RUN/metabo/metabo.npz, and return the manifest.

    Raises:
        LockedExperiment, InvalidProtocol, StepProblem: and the gym's errors for suites that cannot be loaded.
    """
    from tqdm import tqdm

    def work(out: Path) -> dict[str, Any]:
        known = tqdm(problems(recipe), desc="problems", unit="problem", disable=not progress)
        games = Games.of(known, recipe)
        network, regrets = learn(games, recipe, progress=progress)
        with whole_file(out / "metabo.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, **network)  # type: ignore[arg-type]  # no name is one of its options
        tenth = max(1, len(regrets) // 10)
        first, last = float(np.mean(regrets[:tenth])), float(np.mean(regrets[-tenth:]))
        return {"problems": len(games.noise), "regret_of_first_tenth": first, "regret_of_last_tenth": last}

    inputs = suite_files(recipe.curate.suites)
    return run_step(run, "metabo", work, settings={"metabo": asdict(recipe)}, inputs=inputs, seed=recipe.seed)


def problems(recipe: MetaBORecipe) -> Iterator[tuple[Experiment, Problem]]:
    """The low -> medium pairs, and the drawn landscapes."""
    for sample in samples(recipe.curate, recipe.seed):
        yield open_sample(sample)
    for index in range(recipe.drawn):
        yield draw(training_seed(recipe.seed, index), recipe.landscapes)


@dataclass(frozen=True, eq=False)
class Games:
    """Problems as arrays, each cut or filled up to the same number of rows.

    Attributes:
        cheap, covariance, noise: [games, rows, 4], [games, rows, rows] and [games], see `baselines.metabo.Prior`.
        losses: [games, rows], infinite where a row is only there to fill up.
        regrets: [games, rows] 0 at the best, 1 at the median and beyond.
    """

    cheap: FloatArray
    covariance: FloatArray
    noise: FloatArray
    losses: FloatArray
    regrets: FloatArray

    @classmethod
    def of(cls, known: Iterable[tuple[Experiment, Problem]], recipe: MetaBORecipe) -> Games:
        """Those that have more rows than any episode has trials."""
        rng = np.random.default_rng(recipe.seed)
        n = recipe.rows
        parts = []
        for experiment, problem in known:
            if len(problem.pool) <= max(recipe.budgets):
                continue
            keep = rng.permutation(len(problem.pool))[:n]
            fill = (0, n - len(keep))
            prior = prior_of(problem)
            x = problem.pool.encoded[keep]
            losses = clip_losses(experiment.losses[keep], problem.clip)
            span = max(float(np.median(losses) - losses.min()), 1e-12)
            parts.append(
                (
                    np.pad(prior.cheap[keep], (fill, (0, 0))),
                    np.pad(prior.covariance(x, x), (fill, fill)),
                    np.asarray(prior.noise),
                    np.pad(losses, fill, constant_values=np.inf),
                    np.pad(np.minimum((losses - losses.min()) / span, 1.0), fill, constant_values=1.0),
                )
            )
        return cls(*(np.stack(column) for column in zip(*parts, strict=True)))


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
        advantages = torch.from_numpy(_advantages(rewards, recipe.discount))
        before = None
        for _ in range(recipe.passes):
            logp = _scores(weights, seen).masked_fill(~legal, -torch.inf).log_softmax(-1)
            taken = logp.gather(-1, chosen[..., None])[..., 0]
            before = taken.detach() if before is None else before
            ratio = (taken - before).exp()
            gain = torch.minimum(ratio * advantages, ratio.clamp(1 - recipe.clip, 1 + recipe.clip) * advantages)
            entropy = -(logp.exp() * logp.masked_fill(~legal, 0.0)).sum(-1)
            adam.zero_grad()
            (-gain.mean() - recipe.entropy * entropy.mean()).backward()  # type: ignore[no-untyped-call]
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


def _advantages(rewards: FloatArray, discount: float) -> NDArray[np.float32]:
    """[batch, T] discounted returns, less the batch's mean at that turn, over the standard deviation of all."""
    returns = rewards.copy()
    for t in range(rewards.shape[1] - 2, -1, -1):
        returns[:, t] += discount * returns[:, t + 1]
    off = returns - returns.mean(axis=0)
    return np.asarray(off / max(float(off.std()), 1e-8), dtype=np.float32)


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
