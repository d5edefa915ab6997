"""BoTorch as a policy: a Gaussian process and the logarithm of expected improvement, on the target alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.policy import Proposal, State
from llmconfig_gym.errors import need
from llmconfig_gym.parameter import FloatArray


@dataclass(frozen=True)
class BoTorchPolicy:
    """The untried configuration with the greatest LogEI (Ament et al., NeurIPS 2023) under a `SingleTaskGP`.

    Attributes:
        startup: random trials before the model is used. BoTorch prescribes none; its tutorials take more than a study
            of five trials has.

    The model is BoTorch's default: RBF with ARD and length scales that grow with the number of settings (Hvarfner et
    al., ICML 2024), fitted noise, standardised losses; double precision, one thread. Categories are encoded one-hot
    and mixtures by their weights. A pool is finite, so the greatest is found by looking at all of it.

    Raises:
        MissingExtra: BoTorch is not installed.
    """

    target_only: ClassVar[bool] = True
    startup: int = 3

    def __post_init__(self) -> None:
        need("botorch", "bench", "the method botorch-logei")

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        told, losses = state.told()
        rows = state.untried()
        if len(told) < self.startup or len(rows) == 0:
            return RandomPolicy().propose([state])[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its import, and of fits to few points that are tried again
            best = _greatest(state.problem.pool.encoded, told, losses, rows, int(state.rng().integers(2**31)))
        config = state.problem.pool.config(int(rows[best]))
        return Proposal(config, f"greatest LogEI of {len(rows)} configurations")


def _greatest(
    pool: FloatArray, told: NDArray[np.int64], losses: FloatArray, untried: NDArray[np.int64], seed: int
) -> int:
    """Which of the untried rows of a pool [rows, width] has the greatest LogEI, given the losses of those told."""
    import torch
    from botorch.acquisition.analytic import LogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.utils.sampling import manual_seed
    from gpytorch.mlls import ExactMarginalLogLikelihood

    torch.set_num_threads(1)  # small problems: more threads only wait for each other
    x = torch.tensor(pool, dtype=torch.float64)
    y = -torch.tensor(losses, dtype=torch.float64)[:, None]
    with manual_seed(seed):  # a fit that is tried again starts from a draw
        model = SingleTaskGP(x[told], y)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        improvement = LogExpectedImprovement(model, best_f=y.max())
        with torch.no_grad():
            return int(improvement(x[untried][:, None]).argmax())  # a batch for each row, of one point
