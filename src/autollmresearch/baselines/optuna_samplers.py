"""Optuna's samplers as policies: what most people would run on the target alone, or start from a cheaper run's best."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autollmresearch.baselines.copy import best_cheap
from autollmresearch.policy import Proposal, State, nearest_untried
from llmconfig_gym.errors import need

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study

NEEDS = {"gp": "torch", "cmaes": "cmaes"}
"""What a sampler imports beside Optuna."""


@dataclass(frozen=True)
class OptunaPolicy:
    """One of Optuna's samplers with its authors' defaults.

    Attributes:
        sampler: `tpe` (tree-structured Parzen estimator as Optuna sets it up: since 5.0 the multivariate one),
            `tpe-multivariate` (one density over all settings, whatever the version), `tpe-independent` (one density per
            setting, as in Bergstra et al. 2011), `gp` (Gaussian process with logEI) or `cmaes` (CMA-ES; it knows no
            categories, so Optuna draws those at random, and with them alone it is random search).
        startup: random trials before the model is used. Optuna's default is 10 (1 for `cmaes`), which in studies of
            five or ten trials is random search; a smaller number is the fair setting at such budgets.
        warm: first trials that go to the best cheaper configurations, as enqueued, in the order in which `copy` takes
            them. They are trials on the target like any other, count as startup, and the sampler learns from them.

    The study is made anew from the trials at every turn, so the policy keeps no state. A proposal that was told
    before, or that the table does not hold, moves to the nearest configuration not told yet.

    Raises:
        MissingExtra: the sampler needs a package that is not installed.
    """

    sampler: str
    startup: int = 10
    warm: int = 0

    def __post_init__(self) -> None:
        if self.sampler in NEEDS:
            need(NEEDS[self.sampler], "bench", f"the method {self.sampler}")

    @property
    def target_only(self) -> bool:
        """Whether it learns nothing from cheaper runs."""
        return self.warm == 0

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        enqueued = best_cheap(state) if len(state.trials) < self.warm else None
        if enqueued is not None:
            return enqueued
        space = state.problem.space
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna announces experimental parts at each call
            trial = self._study(state).ask(space.to_optuna())
        config = space.from_optuna(trial.params)
        return Proposal(nearest_untried(state, space.encode(config)), f"Optuna's {self.sampler} sampler")

    def _study(self, state: State) -> Study:
        """The study that has seen the trials.

        CMA-ES reads only trials it was asked for: it writes its own state into them. So each trial is asked for, and
        told as if what was tried were what it sampled.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=self._make(int(state.rng().integers(2**31))))
        space, pool = state.problem.space, state.problem.pool
        distributions = space.to_optuna()
        for row, loss in zip(*state.told(), strict=True):
            params = space.optuna_params(pool.config(int(row)))
            if self.sampler == "cmaes":
                study.enqueue_trial(params)
                asked = study.ask(distributions)
                _ = asked.relative_params  # Optuna samples them only when read, which for an enqueued trial is never
                study.tell(asked, float(loss))
            else:  # the others only read what a trial was and gave, and modelling each again would be for nothing
                told = optuna.trial.create_trial(params=params, distributions=distributions, value=float(loss))
                study.add_trial(told)
        return study

    def _make(self, seed: int) -> BaseSampler:
        import optuna

        if self.sampler == "cmaes":
            return optuna.samplers.CmaEsSampler(
                n_startup_trials=self.startup, warn_independent_sampling=False, seed=seed
            )
        if self.sampler == "gp":
            import torch

            torch.set_num_threads(1)  # small problems: more threads only wait for each other
            return optuna.samplers.GPSampler(n_startup_trials=self.startup, seed=seed)
        if self.sampler == "tpe":
            return optuna.samplers.TPESampler(n_startup_trials=self.startup, seed=seed)
        joint = self.sampler == "tpe-multivariate"
        return optuna.samplers.TPESampler(n_startup_trials=self.startup, seed=seed, multivariate=joint)
