"""Parameters: what one setting of an experiment may be.

Five kinds cover the configurations people tune in LLM experiments: `Grid` (ordered numeric levels),
`Integer`, `Real`, `Categorical`, and `Simplex` (mixture weights that sum to one). Each knows how to
check a proposed value, how to encode it as numbers between 0 and 1, and how to say in words what is legal.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.errors import InvalidConfig, InvalidSpace
from llmconfig_gym.text import number, value_text

Value: TypeAlias = float | int | str | bool | Mapping[str, float]
FloatArray: TypeAlias = NDArray[np.float64]

WRITTEN = 5e-3
"""Relative tolerance within which two numbers are the same setting: settings are written with three digits."""

IN_FULL = 1e5
"""Whole numbers below this are written with all their digits (text.py), so that neighbours are two settings."""

EXACT = 2**53
"""Largest whole number up to which a float holds every one."""

SUM_TOLERANCE = 0.02
"""How far written mixture weights may be from summing to one (rounding) before they are refused."""


def as_number(name: str, value: object) -> float:
    """`value` as a finite float.

    Raises:
        InvalidConfig: it is not a number (booleans are not), not finite, or too large for a float.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise InvalidConfig(f"{name} must be a number, found {shown(value)}")
    try:
        result = float(value)
    except OverflowError:
        raise InvalidConfig(f"{name} must be a finite number, found one too large to represent") from None
    if not math.isfinite(result):
        raise InvalidConfig(f"{name} must be a finite number, found {result}")
    return result


def shown(value: object) -> str:
    """What was found, short enough for one line."""
    try:
        text = ascii(value)  # observations are printable ASCII, whatever was proposed
    except (RecursionError, ValueError):  # a deep nesting, or an int past Python's digit limit
        return f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


@dataclass(frozen=True)
class Parameter(ABC):
    """One setting. `about` says in a researcher's words what it does; `unit` what it counts.

    `relative` says how a value carries over to an experiment with another range: by its value (False:
    a learning rate is a learning rate) or by its position in the range (True: the widest of the widths on offer).
    """

    kind: ClassVar[str]
    name: str
    unit: str = field(default="", kw_only=True)
    about: str = field(default="", kw_only=True)
    relative: bool = field(default=False, kw_only=True)

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of encoded coordinates."""

    @abstractmethod
    def check(self, value: object) -> Value:
        """`value` in its canonical type. Raises `InvalidConfig` if it cannot be one of this parameter's."""

    @abstractmethod
    def encode(self, value: Value) -> FloatArray:
        """A checked value as `width` coordinates; legal values lie in [0, 1]."""

    @abstractmethod
    def decode(self, vector: FloatArray) -> Value:
        """The legal value nearest to `width` coordinates."""

    @abstractmethod
    def legal(self) -> str:
        """The legal values in words, in order."""

    def same(self, a: Value, b: Value) -> bool:
        """Whether two checked values are one setting, as far as three written digits can tell."""
        return a == b

    def same_many(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
        """`same` for two columns [n] (a simplex: [n, width]) of checked values."""
        return np.asarray(a == b)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data from which `plain.parameter_from_dict` makes this parameter again."""
        data: dict[str, Any] = {"kind": self.kind}
        for f in fields(self):
            value = getattr(self, f.name)
            if value != f.default:
                data[f.name] = list(value) if isinstance(value, tuple) else value
        return data


@dataclass(frozen=True)
class Ordered(Parameter):
    """What `Grid`, `Integer` and `Real` share: a numeric range on a linear or logarithmic scale."""

    @abstractmethod
    def limits(self) -> tuple[float, float, bool]:
        """Lower end, upper end, and whether the scale is logarithmic."""

    @property
    def width(self) -> int:
        return 1

    def position(self, values: FloatArray) -> FloatArray:
        """Position in the range: 0 at its lower end, 1 at its upper end, beyond them outside. Any shape."""
        low, high, log = self.limits()
        if high == low:
            return np.full_like(np.asarray(values, dtype=np.float64), 0.5)
        if log:
            return (np.log(values) - math.log(low)) / (math.log(high) - math.log(low))
        with np.errstate(over="ignore"):  # 1e308 in a range of [0, 0.1] lies at infinity
            return (np.asarray(values, dtype=np.float64) - low) / (high - low)

    def at(self, position: float) -> float:
        """The number at a position in the range (the inverse of `position`)."""
        low, high, log = self.limits()
        if log:
            return math.exp(math.log(low) + position * (math.log(high) - math.log(low)))
        return low + position * (high - low)

    def encode(self, value: Value) -> FloatArray:
        assert isinstance(value, int | float)
        return self.position(np.array([value], dtype=np.float64))

    def same(self, a: Value, b: Value) -> bool:
        assert isinstance(a, int | float)
        assert isinstance(b, int | float)
        return math.isclose(a, b, rel_tol=WRITTEN, abs_tol=self._rounding)

    def same_many(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
        apart = np.abs(a - b)
        return np.asarray((apart <= WRITTEN * np.maximum(np.abs(a), np.abs(b))) | (apart <= self._rounding))

    @cached_property
    def _rounding(self) -> float:
        """What rounding may leave of a zero; nothing where settings go down to 1e-15 for a reason."""
        low, high, log = self.limits()
        return 0.0 if log else 1e-12 * max(abs(low), abs(high))

    def _positive_if_log(self, value: float) -> float:
        if self.limits()[2] and value <= 0:
            raise InvalidConfig(f"{self.name} must be positive, found {number(value)}; legal: {self.legal()}")
        return value


@dataclass(frozen=True)
class Grid(Ordered):
    """Ordered numeric levels, e.g. learning rates on a lattice. A number between levels is told as the nearest."""

    kind: ClassVar[str] = "grid"
    levels: tuple[float, ...]
    log: bool = False

    def __post_init__(self) -> None:
        levels = self.levels
        if not levels or any(b <= a for a, b in pairwise(levels)):
            raise InvalidSpace(f"{self.name}: levels must be one or more ascending numbers, found {levels}")
        finite = all(math.isfinite(v) for v in levels) and math.isfinite(levels[-1] - levels[0])
        if not finite or (self.log and levels[0] <= 0):
            raise InvalidSpace(f"{self.name}: levels must be finite, and positive on a log scale, found {levels}")

    def limits(self) -> tuple[float, float, bool]:
        return self.levels[0], self.levels[-1], self.log

    @property
    def options(self) -> tuple[float, ...]:
        """The finitely many values."""
        return self.levels

    @cached_property
    def whole(self) -> bool:
        """Whether every level is an integer (then values are ints)."""
        return all(isinstance(v, int) for v in self.levels)

    @cached_property
    def midpoints(self) -> list[float]:
        """Where one level's neighbourhood ends and the next begins: [levels - 1] ascending numbers."""
        return [math.sqrt(a) * math.sqrt(b) if self.log else (a + b) / 2 for a, b in pairwise(self.levels)]

    def check(self, value: object) -> Value:
        result = self._positive_if_log(as_number(self.name, value))
        return int(result) if self.whole and result.is_integer() else result

    def decode(self, vector: FloatArray) -> Value:
        encoded = self.position(np.asarray(self.levels, dtype=np.float64))
        return self.levels[int(np.argmin(np.abs(encoded - vector[0])))]

    def legal(self) -> str:
        return ", ".join(number(v) for v in self.levels)


@dataclass(frozen=True)
class Integer(Ordered):
    """A whole number from `low` to `high`, both included."""

    kind: ClassVar[str] = "integer"
    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        if self.low > self.high or (self.log and self.low < 1):
            raise InvalidSpace(f"{self.name}: no whole number lies in [{self.low}, {self.high}] (log={self.log})")
        if max(-self.low, self.high) > EXACT:
            raise InvalidSpace(f"{self.name}: whole numbers go up to {EXACT}, found [{self.low}, {self.high}]")

    def limits(self) -> tuple[float, float, bool]:
        return self.low, self.high, self.log

    def check(self, value: object) -> Value:
        result = self._positive_if_log(as_number(self.name, value))
        if not result.is_integer():
            raise InvalidConfig(f"{self.name} must be a whole number, found {number(result)}; legal: {self.legal()}")
        return int(result)

    def decode(self, vector: FloatArray) -> Value:
        return int(np.clip(round(self.at(float(vector[0]))), self.low, self.high))

    def same(self, a: Value, b: Value) -> bool:
        assert isinstance(a, int | float)
        assert isinstance(b, int | float)
        return a == b or (min(abs(a), abs(b)) >= IN_FULL and super().same(a, b))

    def same_many(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
        long = np.minimum(np.abs(a), np.abs(b)) >= IN_FULL
        return np.asarray((a == b) | (long & super().same_many(a, b)))

    def legal(self) -> str:
        return f"whole numbers from {number(self.low)} to {number(self.high)}"


@dataclass(frozen=True)
class Real(Ordered):
    """A number from `low` to `high`."""

    kind: ClassVar[str] = "real"
    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        finite = math.isfinite(self.high - self.low)
        if not finite or self.low > self.high or (self.log and self.low <= 0):
            least = "0 < low < high, as log is true" if self.log else "low < high"
            raise InvalidSpace(f"{self.name}: low {self.low} and high {self.high} are no range; expected {least}")

    def limits(self) -> tuple[float, float, bool]:
        return self.low, self.high, self.log

    def check(self, value: object) -> Value:
        return self._positive_if_log(as_number(self.name, value))

    def decode(self, vector: FloatArray) -> Value:
        return float(np.clip(self.at(float(vector[0])), self.low, self.high))

    def legal(self) -> str:
        return f"{number(self.low)} to {number(self.high)}"


@dataclass(frozen=True)
class Categorical(Parameter):
    """One of a few unordered choices: strings or booleans."""

    kind: ClassVar[str] = "categorical"
    choices: tuple[str | bool, ...]

    def __post_init__(self) -> None:
        if not self.choices or len(set(self.choices)) != len(self.choices):
            raise InvalidSpace(f"{self.name}: choices must be one or more distinct values, found {self.choices}")
        if {type(c) for c in self.choices} not in ({str}, {bool}):
            raise InvalidSpace(f"{self.name}: choices must be all text or all booleans, found {self.choices}")

    @property
    def options(self) -> tuple[str | bool, ...]:
        """The finitely many values."""
        return self.choices

    @property
    def width(self) -> int:
        return len(self.choices)

    def check(self, value: object) -> Value:
        if isinstance(value, np.str_ | np.bool_):  # what ConfigSpace draws
            value = value.item()
        for choice in self.choices:
            if type(value) is type(choice) and value == choice:
                return choice
        raise InvalidConfig(f"{self.name} must be one of {self.legal()}, found {shown(value)}")

    def encode(self, value: Value) -> FloatArray:
        return np.array([float(value is c or value == c) for c in self.choices])

    def decode(self, vector: FloatArray) -> Value:
        return self.choices[int(np.argmax(vector))]

    def legal(self) -> str:
        return ", ".join(value_text(c) for c in self.choices)


@dataclass(frozen=True)
class Simplex(Parameter):
    """Mixture weights over named components: none negative, summing to one; a component not named has weight 0."""

    kind: ClassVar[str] = "simplex"
    components: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.components) < 2 or len(set(self.components)) != len(self.components):
            raise InvalidSpace(f"{self.name}: components must be two or more distinct names, found {self.components}")

    @property
    def width(self) -> int:
        return len(self.components)

    def check(self, value: object) -> Value:
        if not isinstance(value, Mapping):
            raise InvalidConfig(f"{self.name} must map components to weights, found {shown(value)}")
        unknown = [k for k in value if k not in self.components]
        if unknown:
            raise InvalidConfig(f"{self.name} has no component {shown(unknown[0])}; legal: {self.legal()}")
        weights = {c: as_number(f"{self.name}.{c}", value.get(c, 0.0)) for c in self.components}
        negative = [c for c, w in weights.items() if w < 0]
        if negative:
            raise InvalidConfig(f"{self.name}.{negative[0]} must not be negative, found {number(weights[negative[0]])}")
        total = sum(weights.values())
        if abs(total - 1) > SUM_TOLERANCE:
            raise InvalidConfig(f"the weights of {self.name} must sum to 1, found a sum of {number(total)}")
        return weights

    def encode(self, value: Value) -> FloatArray:
        assert isinstance(value, Mapping)
        weights = np.array([value[c] for c in self.components], dtype=np.float64)
        return np.asarray(weights / weights.sum())

    def decode(self, vector: FloatArray) -> Value:
        weights = np.clip(np.asarray(vector, dtype=np.float64), 0.0, None)
        total = weights.sum()
        weights = weights / total if total > 0 else np.full(self.width, 1 / self.width)
        return {c: float(w) for c, w in zip(self.components, weights, strict=True)}

    def same(self, a: Value, b: Value) -> bool:
        return bool(np.max(np.abs(self.encode(a) - self.encode(b))) <= WRITTEN)

    def same_many(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
        apart = np.abs(a / a.sum(axis=1, keepdims=True) - b / b.sum(axis=1, keepdims=True))
        return np.asarray(apart.max(axis=1) <= WRITTEN)

    def legal(self) -> str:
        return f"weights, none negative, summing to 1, over {', '.join(self.components)}"
