"""Space: the parameters of an experiment together, and how a configuration moves between spaces.

A configuration is a plain mapping from parameter names to values. `Space.check` decides whether one is
legal; `encode` and `decode` go to and from coordinates in [0, 1]; `translate` carries a configuration of a
cheaper experiment over to this one. Which configurations were measured is the `Pool`'s business (pool.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from llmconfig_gym.errors import InvalidConfig, InvalidSpace
from llmconfig_gym.parameter import (
    Categorical,
    FloatArray,
    Grid,
    Integer,
    Ordered,
    Parameter,
    Real,
    Simplex,
    Value,
    shown,
)
from llmconfig_gym.plain import parameter_from_dict

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace
    from optuna.distributions import BaseDistribution

Config: TypeAlias = Mapping[str, Value]

SMALLEST = 1e-12
"""Smallest uniform draw of a mixture that Optuna or ConfigSpace may propose: its logarithm must be finite."""


def plain_config(config: Config) -> dict[str, Any]:
    """The configuration as plain JSON data, which shares nothing with it."""
    return {k: dict(v) if isinstance(v, Mapping) else v for k, v in config.items()}


@dataclass(frozen=True)
class Space:
    """An ordered tuple of parameters with distinct names."""

    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        names = [p.name for p in self.parameters]
        if not names or len(set(names)) != len(names):
            raise InvalidSpace(f"a space needs one or more parameters with distinct names, found {names}")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Parameter names, in order."""
        return tuple(p.name for p in self.parameters)

    @cached_property
    def width(self) -> int:
        """Number of encoded coordinates of a configuration."""
        return sum(p.width for p in self.parameters)

    def __getitem__(self, name: str) -> Parameter:
        return self.parameters[self.names.index(name)]

    def check(self, config: object) -> dict[str, Value]:
        """`config` with every value in its canonical type, in the space's order.

        Numbers outside a range or between levels pass: they are snapped when told. Raises `InvalidConfig`,
        naming what was found and what is legal, for anything else that is not a configuration of this space.
        """
        if not isinstance(config, Mapping):
            raise InvalidConfig(f"a configuration must map parameter names to values, found {shown(config)}")
        unknown = [k for k in config if k not in self.names]
        if unknown:
            raise InvalidConfig(f"no parameter is called {shown(unknown[0])}; legal: {', '.join(self.names)}")
        missing = [n for n in self.names if n not in config]
        if missing:
            raise InvalidConfig(f"{missing[0]} is missing; a configuration names {', '.join(self.names)}")
        return {p.name: p.check(config[p.name]) for p in self.parameters}

    def encode(self, config: Config) -> FloatArray:
        """A checked configuration as [width] coordinates; legal ones lie in [0, 1]."""
        return np.concatenate([p.encode(config[p.name]) for p in self.parameters])

    def decode(self, vector: FloatArray) -> dict[str, Value]:
        """The legal configuration nearest to [width] coordinates, parameter by parameter."""
        config, start = {}, 0
        for p in self.parameters:
            config[p.name] = p.decode(vector[start : start + p.width])
            start += p.width
        return config

    def translate(self, config: Config, source: Space) -> dict[str, Value]:
        """A configuration of `source` as one of this space, not yet snapped to a measured one.

        Ordered parameters marked `relative` keep their position in the range, everything else its value. A
        parameter that `source` lacks takes the middle of its range.

        Raises:
            InvalidConfig: a categorical or mixture value does not exist here.
        """
        result: dict[str, Value] = {}
        for p in self.parameters:
            if p.name not in source.names:
                result[p.name] = p.decode(np.full(p.width, 0.5))
                continue
            value, origin = config[p.name], source[p.name]
            if p.relative and isinstance(p, Ordered) and isinstance(origin, Ordered):
                moved = p.at(float(origin.encode(value)[0]))
                result[p.name] = round(moved) if isinstance(p, Integer) else moved
            else:
                result[p.name] = p.check(value)
        return result

    def same(self, a: Config, b: Config) -> bool:
        """Whether two checked configurations are one, as far as three written digits can tell."""
        return all(p.same(a[p.name], b[p.name]) for p in self.parameters)

    def to_list(self) -> list[dict[str, Any]]:
        """Plain JSON data from which `from_list` makes this space again."""
        return [p.to_dict() for p in self.parameters]

    @classmethod
    def from_list(cls, data: Iterable[Mapping[str, Any]]) -> Space:
        """The space that `to_list` wrote. Raises `InvalidSpace`."""
        return cls(tuple(parameter_from_dict(d) for d in data))

    def to_optuna(self) -> dict[str, BaseDistribution]:
        """Optuna distributions that propose configurations of this space; `from_optuna` reads their values back.

        A grid becomes the index of its level (an ordered integer), so that the sampler sees the order and a
        logarithmic lattice is evenly spaced. A simplex becomes one float in [0, 1] per component, named
        `parameter.component`; `-log` of it, normalised, is the weight, so that a uniform draw is uniform on the
        simplex (the recipe of Optuna's own FAQ for proportions).
        """
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        result: dict[str, BaseDistribution] = {}
        for p in self.parameters:
            if isinstance(p, Grid):
                result[p.name] = IntDistribution(0, len(p.levels) - 1)
            elif isinstance(p, Integer):
                result[p.name] = IntDistribution(p.low, p.high, log=p.log)
            elif isinstance(p, Real):
                result[p.name] = FloatDistribution(p.low, p.high, log=p.log)
            elif isinstance(p, Categorical):
                result[p.name] = CategoricalDistribution(p.choices)
            elif isinstance(p, Simplex):
                result |= {f"{p.name}.{c}": FloatDistribution(0.0, 1.0) for c in p.components}
        return result

    def from_optuna(self, params: Mapping[str, Any]) -> dict[str, Value]:
        """The configuration that Optuna's values stand for (see `to_optuna`)."""
        config: dict[str, Value] = {}
        for p in self.parameters:
            if isinstance(p, Grid):
                config[p.name] = p.levels[int(params[p.name])]
            elif isinstance(p, Simplex):
                draws = np.array([params[f"{p.name}.{c}"] for c in p.components], dtype=np.float64)
                config[p.name] = p.decode(-np.log(np.clip(draws, SMALLEST, 1.0)))
            else:
                config[p.name] = params[p.name]
        return config

    def optuna_params(self, config: Config) -> dict[str, Any]:
        """The values under which Optuna knows a legal configuration (the inverse of `from_optuna`)."""
        params: dict[str, Any] = {}
        for p in self.parameters:
            value = config[p.name]
            if isinstance(p, Grid):
                params[p.name] = int(np.argmin(np.abs(p.position(np.asarray(p.levels)) - p.encode(value)[0])))
            elif isinstance(p, Simplex):
                weights = p.encode(value)
                scale = min(p.width, -math.log(SMALLEST) / weights.max())  # -log of a uniform draw is 1 on average
                draws = np.exp(-scale * weights)
                params |= {f"{p.name}.{c}": float(u) for c, u in zip(p.components, draws, strict=True)}
            else:
                params[p.name] = value
        return params

    def to_configspace(self, seed: int | None = None) -> ConfigurationSpace:
        """The same space for ConfigSpace (SMAC and friends): grids as ordinals, a simplex as floats as in `to_optuna`.

        A range of one value becomes a constant: ConfigSpace knows no such range.

        Raises:
            MissingExtra: the package ConfigSpace is not installed.
        """
        try:
            import ConfigSpace as CS
        except ImportError:
            from llmconfig_gym.errors import missing_extra

            raise missing_extra("ConfigSpace", "bench", "Space.to_configspace") from None
        space = CS.ConfigurationSpace(seed=seed)
        for p in self.parameters:
            if isinstance(p, Integer | Real) and p.low == p.high:
                space.add(CS.Constant(p.name, p.low))
            elif isinstance(p, Grid):
                space.add(CS.OrdinalHyperparameter(p.name, list(p.levels)))
            elif isinstance(p, Integer):
                space.add(CS.UniformIntegerHyperparameter(p.name, p.low, p.high, log=p.log))
            elif isinstance(p, Real):
                space.add(CS.UniformFloatHyperparameter(p.name, p.low, p.high, log=p.log))
            elif isinstance(p, Categorical):
                space.add(CS.CategoricalHyperparameter(p.name, list(p.choices)))
            elif isinstance(p, Simplex):
                space.add([CS.UniformFloatHyperparameter(f"{p.name}.{c}", 0.0, 1.0) for c in p.components])
        return space
