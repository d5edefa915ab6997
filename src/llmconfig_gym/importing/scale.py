"""Which columns say at what scale a run was made, and what a run costs.

A scale is set once per experiment. Step counts that only follow from the token budget and the batch size are not one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.importing.columns import Column, sized
from llmconfig_gym.importing.names import (
    cost_unit,
    is_architecture,
    is_known_parameter,
    is_model,
    is_scale,
    is_size,
    is_steps,
    is_tokens,
    spelling,
)
from llmconfig_gym.importing.roles import Cost
from llmconfig_gym.parameter import WRITTEN, FloatArray
from llmconfig_gym.text import number

_MIN_COUNT = 1000.0
"""Below this a size or token count is in some other unit (`7` for 7B): 6ND would not be FLOPs."""


def merge_close(values: FloatArray) -> FloatArray:
    """Values closer than three written digits can tell apart become one: the most frequent of them. NaN stays.

    Args:
        values: [n].
    """
    result = values.copy()
    levels, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    start = 0
    while start < len(levels):
        end = start + 1
        while end < len(levels) and levels[end] - levels[start] <= WRITTEN * abs(levels[start]):
            end += 1
        if end > start + 1:
            chosen = max(range(start, end), key=lambda i: (counts[i], -len(number(float(levels[i]), 12)), -i))
            result[(values >= levels[start]) & (values <= levels[end - 1])] = levels[chosen]
        start = end
    return result


def group_codes(columns: Iterable[Column], rows: int) -> NDArray[np.int64]:
    """[rows] equal numbers for rows of one fidelity; values within the written precision are equal."""
    keys = [np.zeros(rows, dtype=np.int64)]
    for column in columns:
        codes = column.codes
        if column.kind == "number":
            codes = np.unique(merge_close(column.numbers), return_inverse=True)[1]
        keys.append(codes)
    return np.unique(np.stack(keys, axis=1), axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def varies_within(column: Column, groups: NDArray[np.int64]) -> bool:
    """Whether some group of rows holds two different values of the column."""
    present = column.codes >= 0
    pairs = np.unique(np.stack([groups[present], column.codes[present]], axis=1), axis=0)
    return len(pairs) > len(np.unique(groups[present]))


def guess_fidelity(free: Sequence[Column], rows: int) -> tuple[dict[str, str], dict[str, str]]:
    """The columns among `free` that are the fidelity, and those that only follow from it, each with the reason."""
    chosen: dict[str, Column] = {}
    why: dict[str, str] = {}
    follows: dict[str, str] = {}
    numeric = [c for c in free if c.kind == "number"]
    for column in numeric:
        if is_scale(column.short) and not is_steps(column.short):
            chosen[column.name] = column
            why[column.name] = f"its name is that of a scale; {column.text()}"
    tokens = [c for c in chosen.values() if is_tokens(c.short)]
    batches = [c for c in numeric if set(spelling(c.short).split("_")) & {"batch", "bs"}]
    for column in numeric:
        if is_steps(column.short):
            groups = group_codes(chosen.values(), rows)
            varies = varies_within(column, groups)
            if tokens and varies:
                follows[column.name] = f"it varies with other settings at fixed {tokens[0].short}: it follows from them"
            elif varies and any(inversely(column, b, groups) for b in batches):
                follows[column.name] = "it is inversely proportional to the batch size: it follows from it"
            else:
                chosen[column.name] = column
                why[column.name] = f"its name is that of a scale; {column.text()}"
    if not any(is_size(c.short) for c in chosen.values()):
        for column in free:
            carried = sized(column)
            if is_model(column.short) and carried.kind == "number" and carried.distinct > 1:
                chosen[column.name] = carried
                why[column.name] = f"the names of its models carry their sizes; {carried.text()}"
    if not chosen:
        why |= _shape_as_fidelity(numeric)
    if not why:
        why |= _cost_as_fidelity(numeric)
    return why, follows


def inversely(a: Column, b: Column, groups: NDArray[np.int64]) -> bool:
    """Whether a x b is the same for all rows of a group, within a hundredth (steps are rounded)."""
    if a.kind != "number" or b.kind != "number" or not varies_within(b, groups):
        return False
    product = a.numbers * b.numbers
    for group in np.unique(groups):
        inside = product[(groups == group) & np.isfinite(product)]
        if len(inside) and inside.max() > 1.01 * inside.min():
            return False
    return True


def _shape_as_fidelity(numeric: Sequence[Column]) -> dict[str, str]:
    """A lone width or depth beside training settings is a model size; several are an architecture's settings."""
    shapes = [c for c in numeric if is_architecture(c.short) and c.distinct > 1]
    tuned = [c for c in numeric if is_known_parameter(c.short) and c.distinct > 1]
    if len(shapes) == 1 and tuned and shapes[0].distinct <= 8:
        return {shapes[0].name: f"the only column about size, beside training settings; {shapes[0].text()}"}
    return {}


def _cost_as_fidelity(numeric: Sequence[Column]) -> dict[str, str]:
    """A cost that takes few values was set, not measured: it is the scale where nothing else is."""
    for column in numeric:
        if cost_unit(column.short) is not None and 1 < column.distinct <= len(column.numbers) / 2:
            return {column.name: f"nothing else says the scale, and this cost takes few values; {column.text()}"}
    return {}


def guess_cost(
    columns: Mapping[str, Column], fidelity: Sequence[str], free: Sequence[Column], said: str | None
) -> Cost:
    """How an experiment's cost is computed.

    Args:
        columns: all columns, those of the fidelity as numbers where model names carry sizes.
        fidelity: the columns of the fidelity.
        free: columns that may be the cost.
        said: the column that the user named, if any.

    Raises:
        ImportProblem: nothing tells what an experiment costs.
    """
    if said is not None:
        return Cost("column", (said,), cost_unit(columns[said].short) or columns[said].short)
    scale = [columns[f] for f in fidelity]
    groups = group_codes(scale, len(next(iter(columns.values())).cells))
    for column in (*free, *scale):
        unit = cost_unit(column.short)
        if unit is not None and column.kind == "number" and _known_everywhere(column, groups):
            return Cost("column", (column.name,), unit)
    if not fidelity:
        return Cost("one", (), "relative cost")
    numeric = [c for c in scale if c.kind == "number"]
    sizes = [c for c in numeric if is_size(c.short) or is_model(c.short)]
    tokens = [c for c in numeric if is_tokens(c.short)]
    if len(sizes) == 1 and len(tokens) == 1 and all(_counts(c) for c in (*sizes, *tokens)):
        return Cost("6ND", (sizes[0].name, tokens[0].name), "FLOPs")
    if numeric:
        return Cost("product", tuple(c.name for c in numeric), "relative cost")
    raise ImportProblem(
        f"the fidelity {', '.join(fidelity)} holds words, so the cost of a run is unknown; name a column with --cost"
    )


def _known_everywhere(column: Column, groups: NDArray[np.int64]) -> bool:
    """Whether every group has a row with this cost."""
    return len(np.unique(groups[np.isfinite(column.numbers)])) == len(np.unique(groups))


def _counts(column: Column) -> bool:
    finite = column.numbers[np.isfinite(column.numbers)]
    return bool(len(finite)) and float(finite.min()) >= _MIN_COUNT
