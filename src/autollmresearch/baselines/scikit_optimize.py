"""scikit-optimize's optimizers as policies: Bayesian optimisation with scikit-learn's models, on the target alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autollmresearch.baselines.cheap_gps import standardised
from autollmresearch.policy import Proposal, State, nearest_untried
from llmconfig_gym.errors import need
from llmconfig_gym.space import Space

if TYPE_CHECKING:
    from skopt.space import Dimension

ESTIMATORS = {"gp": "GP", "forest": "ET"}
"""What scikit-optimize calls its models; extra trees are the default of its `forest_minimize`."""


@dataclass(frozen=True)
class SkoptPolicy:
    """Expected improvement under a Gaussian process (Matern 5/2, ARD, fitted noise) or a forest of extra trees.

    Attributes:
        model: `gp` or `forest`.
        startup: random trials before the model is used; the library's default is 10.

    All else is the library's default but for two things. Losses are standardised, because its margin of improvement
    (`xi`, .01) is in units of the loss. And the acquisition of `gp` is expected improvement: its default, GP-Hedge,
    learns from turn to turn which of three to believe, and a policy keeps nothing between turns.

    Raises:
        MissingExtra: scikit-optimize is not installed.
    """

    target_only: ClassVar[bool] = True
    model: str
    startup: int = 10

    def __post_init__(self) -> None:
        need("skopt", "bench", f"the method skopt-{self.model}", package="scikit-optimize")

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        return [self._one(state) for state in states]

    def _one(self, state: State) -> Proposal:
        from skopt import Optimizer

        space, pool = state.problem.space, state.problem.pool
        names = list(space.to_optuna())
        rows, losses = state.told()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # length scales at their bounds; a point that was told before
            optimizer = Optimizer(
                _dimensions(space),
                ESTIMATORS[self.model],
                n_initial_points=self.startup,
                acq_func="EI",
                random_state=int(state.rng().integers(2**31)),
            )
            if len(rows):
                told = [space.optuna_params(pool.config(int(row))) for row in rows]
                optimizer.tell([[params[n] for n in names] for params in told], standardised(losses).tolist())
            point = [v.item() if isinstance(v, np.generic) else v for v in optimizer.ask()]
        config = space.from_optuna(dict(zip(names, point, strict=True)))
        return Proposal(nearest_untried(state, space.encode(config)), f"scikit-optimize's {self.model} optimizer")


def _dimensions(space: Space) -> list[Dimension]:
    """Optuna's distributions of a space (`Space.to_optuna`) as scikit-optimize's dimensions, in their order."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
    from skopt.space import Categorical, Integer, Real

    dimensions: list[Any] = []
    for distribution in space.to_optuna().values():
        if isinstance(distribution, CategoricalDistribution):
            dimensions.append(Categorical(distribution.choices))
            continue
        assert isinstance(distribution, FloatDistribution | IntDistribution)
        low, high = distribution.low, distribution.high
        kind = Integer if isinstance(distribution, IntDistribution) else Real
        single = distribution.single()  # no range of one value is known there
        dimensions.append(
            Categorical([low]) if single else kind(low, high, prior="log-uniform" if distribution.log else "uniform")
        )
    return dimensions
