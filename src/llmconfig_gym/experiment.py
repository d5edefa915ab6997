"""Experiment: one task at one fidelity, with everything that was measured there, and `tell`.

`Experiment.tell(config) -> Outcome` is pure: the same configuration gives the same outcome, bit for bit, in any
order and any process. It knows three kinds of outcome: `measured`, `snapped` (the most similar measured
configuration answered, and the outcome names it) and `invalid`. The two others need a memory and come from the
environment that keeps it (env.py): `duplicate` and `over_budget`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llmconfig_gym.errors import InvalidConfig, SuiteFormatError
from llmconfig_gym.parameter import Categorical, FloatArray, Grid, Simplex, Value
from llmconfig_gym.pool import Pool, read_only
from llmconfig_gym.space import Space, plain_config
from llmconfig_gym.text import number, value_text

Level: TypeAlias = Literal["low", "medium", "high"]
LEVELS: tuple[Level, ...] = ("low", "medium", "high")
Direction: TypeAlias = Literal["minimize", "maximize"]
Kind: TypeAlias = Literal["measured", "snapped", "duplicate", "invalid", "over_budget"]

_PLAIN = frozenset((int, float, str))


@dataclass(frozen=True)
class Fidelity:
    """How expensive and how true an experiment is: open metadata plus a cost, never a fixed scale.

    Attributes:
        values: what was scaled, e.g. `{"parameters": 2.1e8, "tokens": 1e11}`; numbers or words.
        cost: what one trial costs, in `unit`. Costs are comparable within a suite.
        unit: e.g. `FLOPs` or `GPU hours`.
    """

    values: Mapping[str, float | str]
    cost: float
    unit: str = "FLOPs"

    def text(self) -> str:
        """E.g. `parameters 2.15e8, tokens 1.0e11 (1.29e20 FLOPs)`."""
        values = ", ".join(f"{k} {value_text(v)}" for k, v in self.values.items())
        cost = f"{number(self.cost)} {self.unit}"
        return f"{values} ({cost})" if values else cost


@dataclass(frozen=True)
class Metric:
    """What is optimised. `about` explains it in a researcher's words; so does `details` for what comes with it."""

    name: str
    direction: Direction
    about: str = ""
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def sign(self) -> float:
        """Multiplying a value by this makes smaller better."""
        return 1.0 if self.direction == "minimize" else -1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one trial gave: a value with details, or a typed refusal.

    Attributes:
        kind: `measured`, `snapped`, `duplicate`, `invalid` or `over_budget`.
        config: the configuration that was told (the snapped one if `snapped`); None if none was.
        value: the metric there; None unless `measured` or `snapped`, and None if that run diverged.
        details: what else was measured in that run.
        message: what happened and what is legal, in one line; empty for a plain measurement.
    """

    kind: Kind
    config: Mapping[str, Value] | None = None
    value: float | None = None
    details: Mapping[str, float] = field(default_factory=dict)
    message: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; empty fields are left out."""
        data: dict[str, Any] = {"kind": self.kind}
        if self.config is not None:
            data["config"] = plain_config(self.config)
        if self.value is not None:
            data["value"] = self.value
        if self.details:
            data["details"] = dict(self.details)
        if self.message:
            data["message"] = self.message
        return data


@dataclass(frozen=True, eq=False)
class Experiment:
    """One task at one fidelity and its table of outcomes.

    Attributes:
        id: `suite/name`, unique; never shown to an agent (it may name a data set).
        family: experiments of one family differ in fidelity only and can learn from each other.
        level: the suite's split: `low`, `medium` or `high` fidelity.
        pool: the measured configurations; all arrays below have one entry per row of it.
        values: [rows] the metric; NaN or inf for a run that diverged before giving one.
        details: for each detail an array [rows].
        spread: [rows] standard deviation between replicates; NaN where there was one run.
        replicates: [rows] number of runs behind each value.
        noise: standard deviation of one run's value around its expectation, for the whole experiment; NaN if unknown.
        clip: worst value that counts on the regret scale, as a multiple of the best (None: the table's worst).
    """

    id: str
    suite: str
    task: str
    family: str
    level: Level
    fidelity: Fidelity
    metric: Metric
    pool: Pool
    values: FloatArray
    details: Mapping[str, FloatArray] = field(default_factory=dict)
    spread: FloatArray | None = None
    replicates: NDArray[np.int64] | None = None
    noise: float = float("nan")
    clip: float | None = None

    def __post_init__(self) -> None:
        extra = {"spread": self.spread, "replicates": self.replicates}
        columns = {"value": self.values, **self.details, **{n: c for n, c in extra.items() if c is not None}}
        for name, column in columns.items():
            if column.dtype.kind not in "biuf":
                raise SuiteFormatError(f"{self.id}: {name} must be a column of numbers, found {column.dtype}")
            if column.shape != (len(self.pool),):
                raise SuiteFormatError(
                    f"{self.id}: {name} has {len(column)} rows, expected {len(self.pool)} as the parameters"
                )
        if not np.isfinite(self.values).any():
            raise SuiteFormatError(f"{self.id}: no run has a finite {self.metric.name}")
        object.__setattr__(self, "values", read_only(self.values))  # policies share these arrays
        object.__setattr__(self, "details", {k: read_only(v) for k, v in self.details.items()})

    @property
    def space(self) -> Space:
        """The configuration space."""
        return self.pool.space

    def tell(self, config: object) -> Outcome:
        """The outcome of `config`: `measured`, `snapped` or `invalid`. Never raises, for any value whatsoever."""
        try:
            key = tuple(config.values())  # type: ignore[attr-defined]
            row = self._known.get(key)
            if row is not None and tuple(config) == self.space.names:  # type: ignore[arg-type]
                for value in key:
                    if type(value) not in _PLAIN:  # True == 1, but is no number
                        break
                else:
                    return self.outcome(row)
        except (AttributeError, TypeError, ValueError):
            pass  # not a flat mapping in the table's own words: take the careful way
        return self._tell_carefully(config)

    def _tell_carefully(self, config: object) -> Outcome:
        try:
            checked = self.space.check(config)
        except InvalidConfig as problem:
            return Outcome("invalid", message=f"invalid: {problem}.")
        row, exact = self.pool.find(checked)
        outcome = self.outcome(row)
        if exact:
            return outcome
        told = ", ".join(f"{k} {value_text(v)}" for k, v in outcome.config.items())  # type: ignore[union-attr]
        message = f"not available as proposed; the most similar available configuration was run instead: {told}."
        message = f"{message} {outcome.message}".rstrip()
        return Outcome("snapped", outcome.config, outcome.value, outcome.details, message)

    def outcome(self, row: int) -> Outcome:
        """The measured outcome of one row of the pool, in fresh containers that the caller may change."""
        if (known := self._outcomes.get(row)) is None:
            value = float(self.values[row])
            finite = np.isfinite(value)
            known = self._outcomes[row] = (
                self.pool.config(row),
                value if finite else None,
                {k: v for k, c in self.details.items() if np.isfinite(v := float(c[row]))},
                "" if finite else "the run diverged: it gave no value.",
            )
        config, told, details, message = known
        fresh = config.copy()
        for name in self._mixtures:
            fresh[name] = config[name].copy()  # type: ignore[union-attr]  # a mixture's value is a dict
        return Outcome("measured", fresh, told, details.copy(), message)

    @cached_property
    def _mixtures(self) -> tuple[str, ...]:
        """Names of the parameters whose values are mappings."""
        return tuple(p.name for p in self.space.parameters if isinstance(p, Simplex))

    @cached_property
    def _outcomes(self) -> dict[int, tuple[dict[str, Value], float | None, dict[str, float], str]]:
        """The parts of outcomes told before: tables are columns, so making one from scratch is slow."""
        return {}

    @cached_property
    def _known(self) -> dict[tuple[Value, ...], int]:
        """Rows by the very values of their configurations: what makes `tell` fast."""
        flat = all(isinstance(p, Grid | Categorical) for p in self.space.parameters)
        has_bool = any(isinstance(p, Categorical) and bool in map(type, p.choices) for p in self.space.parameters)
        if not flat or has_bool:
            return {}
        columns = [self.pool.columns[n].tolist() for n in self.space.names]
        return {key: row for row, key in reversed(list(enumerate(zip(*columns, strict=True))))}

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in ("_outcomes", "_known")}

    def __deepcopy__(self, memo: object) -> Experiment:
        return self  # nothing in it ever changes

    def tell_many(self, columns: Mapping[str, ArrayLike]) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.bool_]]:
        """`tell` for n legal configurations given as columns: values [n], rows [n], exact [n].

        A row that is not exact was snapped. This is the fast path for code that enumerates; it checks nothing.
        """
        rows, exact = self.pool.find_many(columns)
        return self.values[rows], rows, exact

    @cached_property
    def losses(self) -> FloatArray:
        """[rows] values oriented so that smaller is better; a run without a finite value is the worst finite one."""
        losses = self.metric.sign * self.values
        finite = np.isfinite(losses)
        return read_only(np.where(finite, losses, losses[finite].max()))

    @cached_property
    def best(self) -> float:
        """The best oriented value. Benchmark and reward only: no agent may see it."""
        return float(self.losses.min())

    @cached_property
    def worst(self) -> float:
        """The worst oriented value on the regret scale, clipped at `clip` times the best so that one blow-up does
        not flatten every other difference (the table keeps its runs)."""
        worst = float(self.losses.max())
        if self.clip is None or self.best == 0:  # no multiple of zero is worse than it
            return worst
        return min(worst, self.best + (self.clip - 1) * abs(self.best))

    def regret(self, loss: float | FloatArray) -> FloatArray:
        """Normalised regret of oriented values: 0 at the best, 1 at the clipped worst and beyond. Any shape."""
        scale = self.worst - self.best
        if scale <= 0:
            return np.zeros_like(np.asarray(loss, dtype=np.float64))
        return (np.clip(np.asarray(loss, dtype=np.float64), self.best, self.worst) - self.best) / scale
