"""Measured LLM experiments as an Optuna objective."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import optuna
import optunahub

from llmconfig_gym import load_experiment, load_suite

if TYPE_CHECKING:
    from llmconfig_gym import Experiment, Outcome

__all__ = ["Problem"]


class Problem(optunahub.benchmarks.BaseProblem):
    """One experiment: every configuration was run before, so a trial is a look-up.

    Each trial keeps what was measured in its user attribute `outcome`. A run that diverged gives NaN: a failed trial.

    Args:
        experiment: its id, e.g. `micro/N98k-D1M`; `llmconfig-gym list` names all.
    """

    def __init__(self, experiment: str = "micro/N98k-D1M") -> None:
        self.experiment: Experiment = load_experiment(experiment)
        self.cheaper: list[Experiment] = load_suite(experiment.rpartition("/")[0]).cheaper(self.experiment.id)

    @property
    def search_space(self) -> dict[str, optuna.distributions.BaseDistribution]:
        """Grids are numbered by level, a mixture is one uniform number per component (`Space.to_optuna`)."""
        return self.experiment.space.to_optuna()

    @property
    def directions(self) -> list[optuna.study.StudyDirection]:
        """One objective."""
        return [optuna.study.StudyDirection[self.experiment.metric.direction.upper()]]

    def outcome(self, params: dict[str, Any]) -> Outcome:
        """What was measured there, with details."""
        return self.experiment.tell(self.experiment.space.from_optuna(params))

    def evaluate(self, params: dict[str, Any]) -> float:
        """The metric; NaN if that run diverged."""
        value = self.outcome(params).value
        return float("nan") if value is None else value

    def __call__(self, trial: optuna.Trial) -> float:
        """Optuna's objective."""
        value = super().__call__(trial)
        trial.set_user_attr("outcome", self.outcome(trial.params).to_dict())
        return value
