"""From the rows of a sweep to the table of an experiment: replicates become a mean, a spread and a noise floor.

All sums are correctly rounded (`math.fsum`, `statistics`), so that the same rows give the same table, byte for byte,
on every machine.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmconfig_gym.collect.driver import Measurement, Row
from llmconfig_gym.experiment import Direction
from llmconfig_gym.parameter import FloatArray, Value

NAN = float("nan")


@dataclass(frozen=True)
class Table:
    """What was measured in one experiment, one entry per configuration in the order of the rows.

    Attributes:
        configs: the distinct configurations.
        values: [configs] mean over the replicates (other seeds) of the metric; NaN if one of them gave none.
        details: for each detail [configs] its mean over the replicates; NaN if one of them lacks it.
        spread: [configs] sample standard deviation over the replicates; NaN where there was one, or no value.
        replicates: [configs] number of runs.
    """

    configs: list[Mapping[str, Value]]
    values: FloatArray
    details: dict[str, FloatArray]
    spread: FloatArray
    replicates: NDArray[np.int64]

    def outcomes(self, direction: Direction) -> dict[str, Any]:
        """What an `Experiment` keeps of it beside the pool, by the names of its fields."""
        noise = noise_floor(self.values, self.spread, direction)
        fields = {"values": self.values, "details": self.details, "spread": self.spread, "noise": noise}
        return {**fields, "replicates": self.replicates}


def tabulate(rows: Sequence[Row], details: Iterable[str] = ()) -> Table:
    """The table of one experiment's rows, with these details."""
    runs: dict[str, list[Row]] = {}
    for row in rows:
        runs.setdefault(json.dumps(row.run.config, sort_keys=True), []).append(row)
    values = [[_number(r.measurement.value) for r in group] for group in runs.values()]

    def mean(name: str, group: Sequence[Row]) -> float:
        return statistics.fmean(_number(r.measurement.details.get(name)) for r in group)

    return Table(
        configs=[group[0].run.config for group in runs.values()],
        values=np.array([statistics.fmean(v) for v in values]),
        details={
            name: np.array(
                [statistics.fmean(_number(r.measurement.details.get(name)) for r in g) for g in runs.values()]
            )
            for name in details
        },
        spread=np.array([statistics.stdev(v) if len(v) > 1 and all(map(math.isfinite, v)) else NAN for v in values]),
        replicates=np.array([len(v) for v in values]),
    )


def revalued(rows: Sequence[Row], value: Callable[[Measurement], float | None]) -> list[Row]:
    """The rows with another metric, made from what each measured."""
    return [replace(r, measurement=replace(r.measurement, value=value(r.measurement))) for r in rows]


def short(count: int) -> str:
    """1,048,576 -> `1M`; 98,304 -> `98k`."""
    for suffix, unit in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= unit:
            return f"{count / unit:.0f}{suffix}"
    return str(count)


def noise_floor(values: FloatArray, spread: FloatArray, direction: Direction) -> float:
    """Standard deviation of one run around its expectation, among configurations worth running.

    The root mean square of the spreads [configs] of the replicated configurations in the better half of the table:
    undertrained and unstable runs scatter more, and nobody chooses between those. Where that half holds no replicates,
    the spread of the best configuration that has some; NaN if none has.
    """
    order = np.argsort(values if direction == "minimize" else -values, kind="stable")  # NaN comes last
    known = [(place, s) for place, s in enumerate(spread[order].tolist()) if math.isfinite(s)]
    better = [s for place, s in known if 2 * place < len(order)] or [s for _, s in known[:1]]
    return math.sqrt(math.fsum(s * s for s in better) / len(better)) if better else NAN


def _number(value: float | None) -> float:
    return NAN if value is None else float(value)
