"""From Optuna's distributions to a `Space` and back: what `Space.to_optuna` does, the other way round.

An Optuna user's search space is a mapping from names to distributions. A policy needs a `Space`, whose parameters know
order and scale. Numbers become ranges, or grids where they have a step; a categorical over numbers is ordered too (a
batch size is no colour); any other choices become text. Values on the way back are plain Python scalars, legal in the
distribution they go to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeGuard

from llmconfig_gym.errors import InvalidConfig, InvalidSpace
from llmconfig_gym.parameter import EXACT, Categorical, Grid, Integer, Parameter, Real, Simplex, Value
from llmconfig_gym.space import Config, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

MAX_LEVELS = 1024
"""A stepped range of more levels is treated as a continuous one; what is proposed is rounded to its step."""

LOG_RATIO = 4.0
"""Numbers among a categorical's choices that span at least this factor lie on a logarithmic scale."""


@dataclass(frozen=True, eq=False)
class SearchSpace:
    """A space, and how Optuna knows its configurations.

    Attributes:
        space: what a policy sees.
        distributions: the search space in Optuna's terms. A parameter whose names all are as `space.to_optuna()` has
            them is read and written that way (a grid by its index, a mixture by one number per component); every
            other one under its own name.
    """

    space: Space
    distributions: Mapping[str, BaseDistribution]

    @classmethod
    def natural(cls, space: Space) -> SearchSpace:
        """A space whose parameters Optuna knows under their own names and values; only mixtures need several."""
        mixtures = tuple(p for p in space.parameters if isinstance(p, Simplex))
        return cls(space, Space(mixtures).to_optuna() if mixtures else {})

    @classmethod
    def of(cls, distributions: Mapping[str, BaseDistribution], known: Space | None = None) -> SearchSpace | None:
        """The search space of these distributions; None if none of them can be modelled.

        Args:
            distributions: by name. Those that no `Space` can hold (a range too wide for floats) are left out.
            known: a space some of whose parameters these distributions were made from by `Space.to_optuna`.
        """
        parameters: list[Parameter] = []
        modelled: dict[str, BaseDistribution] = {}
        for p in known.parameters if known is not None else ():
            own = Space((p,)).to_optuna()
            if all(distributions.get(name) == d for name, d in own.items()):
                parameters.append(p)
                modelled |= own
        for name, d in distributions.items():
            if name not in modelled:
                try:
                    parameters.append(parameter_of(name, d))
                except InvalidSpace:
                    continue
                modelled[name] = d
        return cls(Space(tuple(parameters)), modelled) if parameters else None

    @cached_property
    def _own(self) -> dict[str, tuple[Space, Mapping[str, BaseDistribution]]]:
        """For each parameter that Optuna knows as `to_optuna` has it: itself as a space, and those distributions."""
        result: dict[str, tuple[Space, Mapping[str, BaseDistribution]]] = {}
        for p in self.space.parameters:
            alone = Space((p,))
            own = alone.to_optuna()
            if all(self.distributions.get(name) == d for name, d in own.items()):
                result[p.name] = (alone, own)
        return result

    @cached_property
    def rounds(self) -> bool:
        """Whether `write` may round: a range has so many steps that its parameter ignores them."""
        ranges = {p.name for p in self.space.parameters if isinstance(p, Integer | Real)}
        return any(getattr(d, "step", None) not in (None, 1) for n, d in self.distributions.items() if n in ranges)

    def same_as(self, other: SearchSpace) -> bool:
        """Whether both are the same space, known to Optuna in the same way."""
        return self.space == other.space and dict(self.distributions) == dict(other.distributions)

    def read(self, params: Mapping[str, Any], known_as: Mapping[str, BaseDistribution]) -> dict[str, Value]:
        """The configuration that Optuna's values stand for; it lacks the parameters that `params` lacks.

        Args:
            params: values by name, of this study or another.
            known_as: the distributions under which they were drawn.

        Raises:
            InvalidConfig: a value cannot be one of its parameter's.
        """
        values = {p.name: self.read_one(p, params, known_as) for p in self.space.parameters}
        return {name: value for name, value in values.items() if value is not None}

    def read_one(
        self, p: Parameter, params: Mapping[str, Any], known_as: Mapping[str, BaseDistribution]
    ) -> Value | None:
        """`read` for one parameter; None if `params` lacks it."""
        alone, own = self._own.get(p.name, (None, {}))
        if alone is not None and all(n in params and known_as.get(n) == d for n, d in own.items()):
            try:
                return p.check(alone.from_optuna(params)[p.name])
            except (TypeError, ValueError, IndexError) as problem:  # a queued trial may hold anything
                raise InvalidConfig(f"{p.name}: no value of Optuna's stands for one ({problem})") from None
        return p.check(self._label(p, params[p.name])) if p.name in params else None

    def write(self, config: Config) -> dict[str, Any]:
        """The values under which Optuna knows a legal configuration: Python scalars, legal in their distributions."""
        params: dict[str, Any] = {}
        for p in self.space.parameters:
            if p.name in self._own:
                alone, own = self._own[p.name]
                params |= {n: legal_value(own[n], v) for n, v in alone.optuna_params(config).items()}
                continue
            value = next((c for c, ours in self._choices(p) if ours == config[p.name]), config[p.name])
            known = self.distributions.get(p.name)
            params[p.name] = value if known is None else legal_value(known, value)
        return params

    def _choices(self, p: Parameter) -> list[tuple[object, str | bool]]:
        """The choices of a categorical as Optuna has them, each with what the parameter calls it; else none."""
        choices = getattr(self.distributions.get(p.name), "choices", ())
        if not isinstance(p, Categorical) or len(choices) != len(p.choices):
            return []
        return list(zip(choices, p.choices, strict=True))

    def _label(self, p: Parameter, value: object) -> object:
        """A value as users write it in the words of its parameter."""
        if isinstance(p, Integer) and isinstance(value, float) and math.isfinite(value):
            return round(value)
        return next((ours for choice, ours in self._choices(p) if _same_choice(choice, value)), value)


def parameter_of(name: str, distribution: BaseDistribution) -> Parameter:
    """The parameter that a distribution stands for.

    Raises:
        InvalidSpace: no parameter can hold it (a range whose width is no finite number).
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(distribution, FloatDistribution):
        if distribution.step is not None and (levels := _levels(distribution)):
            return Grid(name, levels)
        return Real(name, distribution.low, distribution.high, log=distribution.log)
    if isinstance(distribution, IntDistribution):
        if distribution.step != 1 and (levels := _levels(distribution)):
            return Grid(name, levels)
        if max(-distribution.low, distribution.high) > EXACT:
            return Real(name, float(distribution.low), float(distribution.high), log=distribution.log)
        return Integer(name, distribution.low, distribution.high, log=distribution.log)
    if not isinstance(distribution, CategoricalDistribution):
        raise InvalidSpace(f"{name}: no parameter stands for a {type(distribution).__name__}")
    choices = distribution.choices
    numbers = sorted({c for c in choices if _is_number(c)})
    if len(numbers) == len(choices):
        return Grid(name, tuple(numbers), log=numbers[0] > 0 and numbers[-1] >= LOG_RATIO * numbers[0])
    truths = tuple(c for c in choices if isinstance(c, bool))
    if len(truths) == len(choices) == len(set(truths)):
        return Categorical(name, truths)
    return Categorical(name, labels(choices))


def labels(choices: tuple[Any, ...]) -> tuple[str, ...]:
    """Distinct texts for choices of any types, in their order: text as it is, everything else as Python writes it."""
    result: list[str] = []
    for choice in choices:
        label = choice if isinstance(choice, str) else repr(choice)
        while label in result:
            label += "'"
        result.append(label)
    return tuple(result)


def legal_value(distribution: BaseDistribution, value: object) -> Any:
    """The value of `distribution` nearest to `value`, as a plain Python scalar.

    Raises:
        InvalidConfig: none is near: a categorical without this choice, or text where a number is needed.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return _choice(distribution, value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidConfig(f"{value!r} is no finite number")
    if isinstance(distribution, FloatDistribution):
        inside = min(max(float(value), distribution.low), distribution.high)
        if distribution.step is None:
            return inside
        return float(_stepped(distribution, round((inside - distribution.low) / distribution.step)))
    assert isinstance(distribution, IntDistribution)
    whole = min(max(round(value), distribution.low), distribution.high)
    steps = (whole - distribution.low + distribution.step // 2) // distribution.step
    return min(distribution.low + steps * distribution.step, distribution.high)


def _choice(distribution: CategoricalDistribution, value: object) -> Any:
    """The choice that `value` names: itself, its label, or the nearest number."""
    choices = distribution.choices
    for choice in choices:
        if _same_choice(choice, value):
            return choice
    if isinstance(value, str):
        for choice, label in zip(choices, labels(choices), strict=True):
            if label == value:
                return choice
    if _is_number(value) and all(_is_number(c) for c in choices):
        return min(choices, key=lambda c: abs(c - value))  # type: ignore[operator]  # both are numbers
    raise InvalidConfig(f"{value!r} is not among the choices {choices}")


def _same_choice(a: object, b: object) -> bool:
    """Whether two choices are one: True is not 1, and NaN is itself."""
    return type(a) is type(b) and (a == b or (a != a and b != b))


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _levels(distribution: FloatDistribution | IntDistribution) -> tuple[float, ...]:
    """The levels of a stepped range; none if they are many."""
    assert distribution.step is not None
    count = int((Decimal(str(distribution.high)) - Decimal(str(distribution.low))) // Decimal(str(distribution.step)))
    if count >= MAX_LEVELS:
        return ()
    return tuple(_stepped(distribution, k) for k in range(count + 1))


def _stepped(distribution: FloatDistribution | IntDistribution, k: int) -> float:
    """The k-th level, written without what binary rounding would add (0.3, not 0.30000000000000004)."""
    if isinstance(distribution.low, int) and isinstance(distribution.step, int):
        return distribution.low + k * distribution.step
    exact = Decimal(str(distribution.low)) + k * Decimal(str(distribution.step))
    return min(max(float(exact), distribution.low), distribution.high)
