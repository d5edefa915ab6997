"""SMAC3 as a policy: Bayesian optimisation with a random forest (Lindauer et al., JMLR 2022), on the target alone."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autollmresearch.baselines.random import RandomPolicy
from autollmresearch.policy import Proposal, State, nearest_untried
from llmconfig_gym.errors import need
from llmconfig_gym.parameter import Grid
from llmconfig_gym.space import Config, Space

if TYPE_CHECKING:
    from ConfigSpace import Configuration
    from smac import Scenario


@dataclass(frozen=True)
class SmacPolicy:
    """SMAC's facade for hyperparameter optimisation with its authors' defaults, by ask and tell.

    It begins with a Sobol design of a quarter of the budget (its `max_ratio`: one trial of five, two of ten); then
    a fifth of the trials is drawn at random and the others maximise the expected improvement of the logarithm under the
    forest. A trial is not repeated with other seeds (`deterministic`). The facade is made anew from the trials at
    every turn, on one thread; its files go to a directory that is removed, and it is silent. Where it finds nothing
    that it has not tried, the trial is random.

    Raises:
        MissingExtra: SMAC is not installed.
    """

    target_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need("smac", "bench", "the method smac")

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        from joblib import parallel_config

        logging.getLogger("smac").setLevel(logging.CRITICAL)  # it complains of designs that are empty on purpose
        with (
            warnings.catch_warnings(),
            TemporaryDirectory() as directory,
            parallel_config("sequential"),  # its forest asks for all cores, and then waits for threads
        ):
            warnings.simplefilter("ignore")
            found = _next(state, Path(directory))
        if found is None:
            return RandomPolicy().propose([state])[0]
        space = state.problem.space
        return Proposal(nearest_untried(state, space.encode(_from_smac(space, found))), "SMAC")


def _next(state: State, directory: Path) -> Configuration | None:
    """What SMAC would try next; None if that is nothing."""
    from ConfigSpace import Configuration
    from smac import HyperparameterOptimizationFacade
    from smac.main.exceptions import ConfigurationSpaceExhaustedException
    from smac.runhistory.dataclasses import TrialInfo, TrialValue

    rows, losses = state.told()
    start = np.random.default_rng(state.seed)  # the design is one for the whole episode, not one for each turn
    scenario = _scenario(state, directory, int(start.integers(2**31)))
    design = HyperparameterOptimizationFacade.get_initial_design(scenario).select_configurations()
    if len(rows) < len(design):
        return design[len(rows)]
    scenario = _scenario(state, directory, int(state.rng().integers(2**31)))
    done = HyperparameterOptimizationFacade.get_initial_design(scenario, n_configs=0)
    forest = HyperparameterOptimizationFacade.get_model(scenario)
    forest._rf_opts["max_leaf_nodes"] = max(2, len(rows))  # none has more, and 2**20 are allocated for each tree
    search = HyperparameterOptimizationFacade.get_acquisition_maximizer(scenario)
    starts = search._local_search._get_init_points_from_previous_configs
    search._local_search._get_init_points_from_previous_configs = (  # type: ignore[method-assign]
        lambda *args: sorted(starts(*args), key=repr)  # a list of a set of text: another order in every process
    )
    facade = HyperparameterOptimizationFacade(
        scenario,
        model=forest,
        acquisition_maximizer=search,
        initial_design=done,
        logging_level=False,
        overwrite=True,
    )
    space = state.problem.space
    for row, loss in zip(rows, losses, strict=True):
        values = _to_smac(space, state.problem.pool.config(int(row)))
        config = Configuration(scenario.configspace, values=values)
        facade.tell(TrialInfo(config, seed=0), TrialValue(float(loss)), save=False)
    try:
        return facade.ask().config
    except (StopIteration, ConfigurationSpaceExhaustedException):
        return None


def _scenario(state: State, directory: Path, seed: int) -> Scenario:
    from smac import Scenario

    trials = max(1, state.problem.budget)
    space = state.problem.space.to_configspace()
    return Scenario(space, output_directory=directory, deterministic=True, n_trials=trials, seed=seed)


def _to_smac(space: Space, config: Config) -> dict[str, Any]:
    """A legal configuration as ConfigSpace's values (see `Space.to_configspace`)."""
    values = space.optuna_params(config)
    return values | {p.name: p.levels[values[p.name]] for p in space.parameters if isinstance(p, Grid)}


def _from_smac(space: Space, found: Mapping[str, Any]) -> Config:
    """The configuration that ConfigSpace's values stand for."""
    values = {name: v.item() if isinstance(v, np.generic) else v for name, v in found.items()}
    values |= {p.name: p.levels.index(values[p.name]) for p in space.parameters if isinstance(p, Grid)}
    return space.from_optuna(values)
