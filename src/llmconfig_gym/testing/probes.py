"""What the checks share: how to look for an outcome in a text, and what else to confront a subject with.

Two probes look for a leak. What is said if all that was not paid for had come out differently (`other_outcomes`) shows
any dependence on it, however it is written; `tells` finds a number in words that were written beforehand, which that
cannot see.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from llmconfig_gym.errors import BrokenPromise
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.parameter import FloatArray

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")

NONSENSE: tuple[Any, ...] = (
    *(None, 3, float("nan"), "", "nothing", "{}", "[1]", "null", b"{}", [], {}, object()),
    *({"no such parameter": 1}, {1: 2}, "<config></config>", "<config>{</config>", "\ud800", "[" * 5000),
)
"""What is no configuration in any space."""


def require(holds: object, message: str) -> None:
    """Raises `BrokenPromise` unless `holds`."""
    if not holds:
        raise BrokenPromise(message)


def tells(text: str, values: ArrayLike, digits: int) -> list[str]:
    """The numbers of a text, of at least so many significant digits, that one of these values would be rounded to."""
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    found = []
    for said in _NUMBER.findall(text):
        mantissa, _, exponent = said.lower().partition("e")
        if len(mantissa.replace(".", "").lstrip("-0")) < digits:
            continue
        half = 0.5 * 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
        if (np.abs(finite - float(said)) <= half * (1 + 1e-9)).any():
            found.append(said)
    return found


def other_outcomes(e: Experiment, kept: Collection[int] = ()) -> Experiment:
    """The same experiment as if all but these rows had come out the other way round: what was best is worst."""

    def turned(column: FloatArray) -> FloatArray:
        finite = np.isfinite(column)
        if not finite.any():
            return column
        low, high = float(column[finite].min()), float(column[finite].max())
        step = 0.0123456789 * (high - low or 1.0)
        other = np.where(finite, high + low + step - np.where(finite, column, 0.0), low - step)
        return np.where(np.isin(np.arange(len(column)), list(kept)), column, other)

    return replace(e, values=turned(e.values), details={k: turned(c) for k, c in e.details.items()})


def some_rows(e: Experiment, count: int, seed: int = 0) -> list[int]:
    """Rows of an experiment's pool, at random, none twice."""
    return [int(r) for r in np.random.default_rng(seed).permutation(len(e.pool))[:count]]


@contextmanager
def global_randomness(seed: int) -> Iterator[None]:
    """Everybody's random numbers stand elsewhere inside this block, and where they stood after it."""
    plain, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002  # the global state is the point
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        yield
    finally:
        random.setstate(plain)
        np.random.set_state(numpys)  # noqa: NPY002


def emptied(data: Any) -> None:
    """What a careless caller does to containers: all of them, however deep, are empty."""
    if isinstance(data, dict):
        for value in data.values():
            emptied(value)
        data.clear()


def raised(call: Callable[[], object]) -> str:
    """What is said by the error that a call raises; empty if it raises none."""
    try:
        call()
    except Exception as problem:  # whatever it is, an agent may read it
        return f"{type(problem).__name__}: {problem}"
    return ""
