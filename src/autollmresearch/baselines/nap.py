"""NAP: surrogate and acquisition in one transformer, learned by playing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autollmresearch.baselines.cheap_gps import standardised
from autollmresearch.baselines.choosing import least_untried
from autollmresearch.baselines.metabo import prior_of
from autollmresearch.baselines.pooling import clip_losses
from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.policy import Proposal, State
from llmconfig_gym.errors import need

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINT = Path(__file__).with_name("nap.npz")
"""The shipped network. recipes/baselines/nap.yaml makes it."""


@dataclass(frozen=True)
class NAPPolicy:
    """The neural acquisition process of Maraval et al. 2023, "End-to-end meta-Bayesian optimisation with transformer
    neural processes".

    One transformer reads the trials and scores every configuration (see `nap_network`); it was trained by proximal
    policy optimisation for the least regret and, beside it, to predict outcomes, both on problems like these. The paper
    trains one for every search space; here one serves all. With nothing cheaper known it is random search.
    """

    def __post_init__(self) -> None:
        need("torch", "bench", "the method nap")

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        import torch

        from autollmresearch.baselines.nap_network import look

        problem = state.problem
        if not problem.cheaper:
            return RandomPolicy().propose([state])[0]
        torch.set_num_threads(1)  # small matrices: more threads only wait for each other
        told, losses = state.told()
        prior, x = prior_of(problem), problem.pool.encoded
        y = standardised(clip_losses(losses, problem.clip))
        numbers = (prior.cheap, y, prior.covariance(x, x[told]), prior.covariance(x[told], x[told]))
        cheap, outcomes, cross, within = (torch.tensor(a, dtype=torch.float32)[None] for a in numbers)
        with torch.no_grad():
            rows, budget = torch.tensor(told)[None], problem.budget
            scores, _ = look(_shipped(), cheap, rows, outcomes, cross, within, budget=budget)
        reason = f"highest learned score after {len(told)} trials"
        return Proposal(least_untried(state, -np.asarray(scores[0], dtype=np.float64)), reason)


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Tensor]:
    import torch

    with np.load(CHECKPOINT, allow_pickle=False) as file:
        return {name: torch.tensor(file[name]) for name in file.files}
