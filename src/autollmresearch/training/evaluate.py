"""Evaluate: how well any policy does on drawn landscapes that nobody was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from autollmresearch.benchmark.metrics import episode_metrics
from autollmresearch.episode import Trajectory, run_episodes
from autollmresearch.errors import InvalidSettings
from autollmresearch.faithfulness import Faithfulness, faithfulness
from autollmresearch.policy import Policy
from autollmresearch.training.landscapes import HELD_OUT, LandscapeSettings, draw
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.parameter import FloatArray


@dataclass(frozen=True)
class Evaluation:
    """Means over episodes, one per seed.

    Attributes:
        episodes: how many.
        reward, reward_error: mean of an episode's reward, and its standard error.
        regret, regret_error: mean simple regret after each trial, [budget], and its standard errors.
        invalid, duplicates: shares of trials.
        thoughts: whether what was thought is true; counts nothing for policies that read no text.
    """

    episodes: int
    reward: float
    reward_error: float
    regret: tuple[float, ...]
    regret_error: tuple[float, ...]
    invalid: float
    duplicates: float
    thoughts: Faithfulness = field(default_factory=Faithfulness)

    def __str__(self) -> str:
        regrets = "/".join(f"{r:.3f}".lstrip("0") for r in self.regret)
        return (
            f"reward {self.reward:.3f} +- {self.reward_error:.3f}, simple regret {regrets}, "
            f"invalid {self.invalid:.1%}, duplicates {self.duplicates:.1%} ({self.episodes} episodes)"
            + (f"; {self.thoughts}" if self.thoughts.numbers else "")
        )


def evaluate(
    policy: Policy, settings: LandscapeSettings, seeds: Sequence[int], budget: int = 5, batch: int = 64
) -> Evaluation:
    """Play one episode of `budget` trials on the landscape of each seed, `batch` of them together.

    Raises:
        InvalidSettings: no seeds, or one that training may draw.
    """
    if not seeds or not all(0 <= s < HELD_OUT for s in seeds):
        raise InvalidSettings(f"evaluation needs seeds in [0, {HELD_OUT}), where nothing is trained on; found {seeds}")
    settings = replace(settings, budgets=(budget,))
    played: list[Trajectory] = []
    targets: list[Experiment] = []
    for start in range(0, len(seeds), batch):
        some = list(seeds[start : start + batch])
        drawn = [draw(s, settings) for s in some]
        targets += [e for e, _ in drawn]
        played += run_episodes(policy, [e for e, _ in drawn], [p for _, p in drawn], some)
    regrets = np.array([_regrets(e, t, budget) for e, t in zip(targets, played, strict=True)])
    rewards = np.array([t.reward for t in played])
    kinds = [outcome.kind for t in played for outcome in t.outcomes]
    return Evaluation(
        episodes=len(played),
        reward=float(rewards.mean()),
        reward_error=float(_error(rewards)),
        regret=tuple(regrets.mean(axis=0).tolist()),
        regret_error=tuple(_error(regrets).tolist()),
        invalid=kinds.count("invalid") / len(kinds),
        duplicates=kinds.count("duplicate") / len(kinds),
        thoughts=faithfulness(played),
    )


def _regrets(experiment: Experiment, trajectory: Trajectory, budget: int) -> list[float]:
    """Simple regret after each trial; a small pool may allow for fewer trials than the budget."""
    told = [float(row["simple_regret"] or 0.0) for row in episode_metrics(experiment, trajectory.outcomes)]
    return told + told[-1:] * (budget - len(told))


def _error(values: FloatArray) -> FloatArray:
    """Standard error of the mean over the first axis."""
    return np.asarray(values.std(axis=0, ddof=min(1, len(values) - 1)) / np.sqrt(len(values)))
