"""Mixture weights: columns that together say what share of the data each source had."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from llmconfig_gym.importing.columns import Column
from llmconfig_gym.importing.names import is_known_parameter
from llmconfig_gym.parameter import SUM_TOLERANCE, FloatArray

_MARK = re.compile(r"[./:_ -]")
_MOST = 0.75
"""Share of rows whose weights must sum to one before columns are taken for a mixture."""


def weights(columns: Sequence[Column]) -> FloatArray:
    """[rows, components] the weights; one that a row does not name is 0 if the others make up the whole."""
    matrix = np.stack([c.numbers for c in columns], axis=1)
    rest = np.nansum(matrix, axis=1, keepdims=True)
    complete = np.abs(rest - 1) <= SUM_TOLERANCE
    unnamed = np.stack([c.missing for c in columns], axis=1)
    return np.where(unnamed & complete, 0.0, matrix)


def sums_to_one(matrix: FloatArray) -> float:
    """Share of rows of [rows, components] that are weights: none negative, the sum 1 within rounding."""
    good = (matrix >= 0).all(axis=1) & (np.abs(matrix.sum(axis=1) - 1) <= SUM_TOLERANCE)
    return float(good.mean())


def guess_mixtures(free: Sequence[Column]) -> dict[str, tuple[str, ...]]:
    """Groups of columns among `free` that are mixture weights, by the group's name.

    Columns with a common prefix come first, the longest prefix that works; then, without a prefix, all columns left
    that lie between 0 and 1 and are no known setting, if there are three or more.
    """
    shares = [c for c in free if c.kind == "number" and _between_0_and_1(c)]
    groups: dict[str, tuple[str, ...]] = {}
    taken: set[str] = set()
    prefixes = {c.short[: m.end()] for c in shares for m in _MARK.finditer(c.short) if m.end() < len(c.short)}
    for prefix in sorted(prefixes, key=lambda p: (-len(p), p)):
        members = [c for c in shares if c.short.startswith(prefix) and c.name not in taken]
        if len(members) >= 2 and _is_mixture(members):
            groups[prefix[:-1] or "mixture"] = tuple(c.name for c in members)
            taken.update(c.name for c in members)
    rest = [c for c in shares if c.name not in taken and c.distinct > 1 and not is_known_parameter(c.short)]
    if not groups and len(rest) >= 3 and _is_mixture(rest):
        groups["mixture"] = tuple(c.name for c in rest)
    return groups


def component_names(columns: Mapping[str, Column], members: Sequence[str]) -> tuple[str, ...]:
    """The components of a mixture: its columns' names, without the prefix that all of them have."""
    shorts = [columns[m].short for m in members]
    ends = [m.end() for m in _MARK.finditer(shorts[0]) if all(len(s) > m.end() for s in shorts)]
    common = max((end for end in ends if len({s[:end] for s in shorts}) == 1), default=0)
    shorts = [s[common:] for s in shorts]
    return tuple(shorts) if len(set(shorts)) == len(shorts) else tuple(members)


def _between_0_and_1(column: Column) -> bool:
    finite = column.numbers[np.isfinite(column.numbers)]
    return bool(len(finite)) and float(finite.min()) >= 0 and float(finite.max()) <= 1


def _is_mixture(members: Sequence[Column]) -> bool:
    return any(c.distinct > 1 for c in members) and sums_to_one(weights(members)) >= _MOST
