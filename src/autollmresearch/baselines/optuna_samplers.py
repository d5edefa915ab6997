"""Optuna's samplers as policies: what most people would run on the target alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar

from autollmresearch.policy import Proposal, State, nearest_untried
from llmconfig_gym.errors import missing_extra

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study


@dataclass(frozen=True)
class OptunaPolicy:
    """One of Optuna's samplers with its authors' defaults.

    Attributes:
        sampler: `tpe` (tree-structured Parzen estimator) or `gp` (Gaussian process with logEI).
        startup: random trials before the model is used. Optuna's default is 10, which in studies of five or ten
            trials is random search; a smaller number is the fair setting at such budgets.

    The study is made anew from the trials at every turn, so the policy keeps no state. A proposal that was told
    before, or that the table does not hold, moves to the nearest configuration not told yet.
    """

    target_only: ClassVar[bool] = True
    sampler: str
    startup: int = 10

    def __post_init__(self) -> None:
        if self.sampler == "gp" and find_spec("torch") is None:  # said before a benchmark starts, not in its middle
            raise missing_extra("torch", "bench", "the method gp")

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        study = self._study(state)
        space = state.problem.space
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna announces experimental parts at each call
            trial = study.ask(space.to_optuna())
        config = space.from_optuna(trial.params)
        return Proposal(nearest_untried(state, space.encode(config)), f"Optuna's {self.sampler} sampler")

    def _study(self, state: State) -> Study:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=self._make(int(state.rng().integers(2**31))))
        space, pool = state.problem.space, state.problem.pool
        distributions = space.to_optuna()
        for row, loss in zip(*state.told(), strict=True):
            params = space.optuna_params(pool.config(int(row)))
            study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=float(loss)))
        return study

    def _make(self, seed: int) -> BaseSampler:
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self.sampler == "tpe":
                return optuna.samplers.TPESampler(n_startup_trials=self.startup, seed=seed)
            import torch

            torch.set_num_threads(1)  # small problems: more threads only wait for each other
            return optuna.samplers.GPSampler(n_startup_trials=self.startup, seed=seed)
