"""Games: low -> medium pairs and drawn landscapes as arrays, on which a method learns to choose by playing.

What `metabo` and `nap` share: the problems, and proximal policy optimisation (Schulman et al. 2017). A network's scores
are the logits of a draw among the configurations not told yet; a turn's reward is minus the simple regret after it. The
high experiments are locked (unlocked.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from autollmresearch.baselines.metabo import prior_of
from autollmresearch.baselines.pooling import clip_losses
from autollmresearch.errors import InvalidRecipe, StepProblem
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
class PlayRecipe:
    """A training run; each method adds what its network needs.

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


R = TypeVar("R", bound=PlayRecipe)


def read_play_recipe(kind: type[R], path: Path) -> R:
    """The recipe in a YAML file. Raises `InvalidRecipe`, as `read_recipe` does."""
    try:
        return build(kind, read_yaml(path, "a recipe", [f.name for f in fields(kind)]))
    except InvalidDescription as problem:
        text = str(problem)
        raise InvalidRecipe(text if text.startswith(str(path)) else f"{path}: {text}") from None


Learn = Callable[["Games"], tuple[dict[str, FloatArray], list[float]]]
"""Trains on games: the network, and the mean final regret of each batch."""


def train(name: str, recipe: PlayRecipe, learn: Learn, run: Path, *, progress: bool) -> dict[str, Any]:
    """Train a network, as RUN/NAME/NAME.npz, and return the manifest.

    Raises:
        LockedExperiment, InvalidProtocol, StepProblem: and the gym's errors for suites that cannot be loaded.
    """
    from tqdm import tqdm

    def work(out: Path) -> dict[str, Any]:
        known = tqdm(problems(recipe), desc="problems", unit="problem", disable=not progress)
        games = Games.of(known, recipe)
        network, regrets = learn(games)
        with whole_file(out / f"{name}.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, **network)  # type: ignore[arg-type]  # no name is one of its options
        tenth = max(1, len(regrets) // 10)
        first, last = float(np.mean(regrets[:tenth])), float(np.mean(regrets[-tenth:]))
        return {"problems": len(games.noise), "regret_of_first_tenth": first, "regret_of_last_tenth": last}

    inputs = suite_files(recipe.curate.suites)
    return run_step(run, name, work, settings={name: asdict(recipe)}, inputs=inputs, seed=recipe.seed)


def problems(recipe: PlayRecipe) -> Iterator[tuple[Experiment, Problem]]:
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
    def of(cls, known: Iterable[tuple[Experiment, Problem]], recipe: PlayRecipe) -> Games:
        """Those that have more rows than any episode has trials. Raises `StepProblem` if there is none."""
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
        if not parts:
            raise StepProblem(
                f"no problem has more than {max(recipe.budgets)} configurations, the most trials of an episode; name "
                "more suites under curate.suites, draw more landscapes, or lower budgets"
            )
        return cls(*(np.stack(column) for column in zip(*parts, strict=True)))


def advantages(rewards: FloatArray, discount: float) -> NDArray[np.float32]:
    """[batch, T] discounted returns, less the batch's mean at that turn, over the standard deviation of all."""
    returns = rewards.copy()
    for t in range(rewards.shape[1] - 2, -1, -1):
        returns[:, t] += discount * returns[:, t + 1]
    off = returns - returns.mean(axis=0)
    return np.asarray(off / max(float(off.std()), 1e-8), dtype=np.float32)


def loss(
    scores: Tensor, legal: Tensor, chosen: Tensor, before: Tensor | None, gains: Tensor, recipe: PlayRecipe
) -> tuple[Tensor, Tensor]:
    """The clipped objective, negative, with entropy; and the logarithm of the probability of what was chosen.

    Args:
        scores, legal: [..., rows] the network's, and what could be chosen.
        chosen, gains: [...] rows, and their advantages.
        before: [...] that logarithm when it was chosen; None if the weights have not changed since.
    """
    import torch

    logp = scores.masked_fill(~legal, -torch.inf).log_softmax(-1)
    taken = logp.gather(-1, chosen[..., None])[..., 0]
    ratio = (taken - (taken.detach() if before is None else before)).exp()
    gain = torch.minimum(ratio * gains, ratio.clamp(1 - recipe.clip, 1 + recipe.clip) * gains)
    entropy = -(logp.exp() * logp.masked_fill(~legal, 0.0)).sum(-1)
    return -gain.mean() - recipe.entropy * entropy.mean(), taken.detach()
