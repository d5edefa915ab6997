"""Summary: from rows to the numbers a report shows. Everything here is computed from the rows alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autollmresearch.benchmark.metrics import NOT_APPLICABLE, average_ranks, bootstrap_interval
from autollmresearch.methods import ALL, REFERENCES
from llmconfig_gym.parameter import FloatArray

if TYPE_CHECKING:
    import pandas as pd

SHOWN_BUDGETS = (1, 3, 5, 10)


@dataclass(frozen=True, eq=False)
class MethodSummary:
    """One method on one suite under one protocol. Arrays have one entry per trial.

    Attributes:
        regret, low, high: mean simple regret (clipped scale) with its 95 % bootstrap interval.
        unclipped: mean simple regret on the table's own scale.
        median_regret, excess_percent: means over the cases in which they are known.
        cumulative: mean cumulative regret.
        rank: average rank among the methods by simple regret.
        within_noise: share of cases within the noise floor; NaN where no experiment's is known.
        behind: paired difference of simple regret at the last trial to the best method: mean, low, high.
        seconds: mean time per proposal.
        read_tokens, written_tokens: mean tokens per proposal; 0 for what is no language model.
        cost: of all proposals together.
    """

    method: str
    regret: FloatArray
    low: FloatArray
    high: FloatArray
    unclipped: FloatArray
    median_regret: FloatArray
    excess_percent: FloatArray
    cumulative: FloatArray
    rank: FloatArray
    within_noise: FloatArray
    behind: tuple[float, float, float]
    seconds: float
    read_tokens: float
    written_tokens: float
    cost: float


@dataclass(frozen=True, eq=False)
class Group:
    """All methods on one suite's experiments of one task under one protocol.

    Attributes:
        missing: methods that cannot serve one of the experiments or more, and why: (method, reason).
    """

    suite: str
    task: str
    protocol: str
    experiments: tuple[str, ...]
    seeds: int
    budget: int
    methods: tuple[MethodSummary, ...]
    missing: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        """E.g. `steplaw (pretraining), protocol full`."""
        return f"{self.suite} ({self.task}), protocol {self.protocol}"

    @property
    def shown(self) -> list[int]:
        """The budgets worth a column."""
        return shown_budgets(self.budget)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data: one entry per method, lists by trial."""
        methods = [
            {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(m).items()} for m in self.methods
        ]
        return {**vars(self), "methods": methods}


def shown_budgets(budget: int) -> list[int]:
    """The budgets worth a column: 1, 3, 5, 10 as far as there are, and the last."""
    return sorted({b for b in SHOWN_BUDGETS if b <= budget} | {budget})


def method_order(names: Sequence[str]) -> list[str]:
    """Methods in the order of every table and picture: those of `ALL` first, then by name."""
    return sorted(names, key=lambda n: (ALL.index(n) if n in ALL else len(ALL), n))


def summarize(frame: pd.DataFrame) -> Iterator[Group]:
    """A benchmark's rows, group by group (suite, task, protocol), in the rows' own order."""
    for (suite, task, protocol), part in frame.groupby(["suite", "task", "protocol"], sort=False):
        refused = part[part["outcome"] == NOT_APPLICABLE].drop_duplicates("method")
        reasons = dict(zip(refused["method"], refused["config"], strict=True))
        methods = method_order([m for m in part["method"].unique() if m not in reasons])
        missing = tuple((m, reasons[m]) for m in method_order(list(reasons)))
        regret = {m: cube(part, m, "simple_regret") for m in methods}
        seeds, budget = part["seed"].nunique(), part["trial"].nunique()
        ranks = average_ranks(np.stack([regret[m].reshape(-1, budget) for m in methods])) if methods else ()
        best = min(methods, key=lambda m: (m in REFERENCES, regret[m][..., -1].mean()), default="")  # it is no method
        yield Group(
            suite=str(suite),
            task=str(task),
            protocol=str(protocol),
            experiments=tuple(part["experiment"].unique()),
            seeds=seeds,
            budget=budget,
            methods=tuple(_method(part, m, regret[m], ranks[i], regret[best]) for i, m in enumerate(methods)),
            missing=missing,
        )


def cube(frame: pd.DataFrame, method: str, column: str) -> FloatArray:
    """One column of one method as [experiments, seeds, trials]."""
    rows = frame[frame["method"] == method]
    counts = [rows[c].nunique() for c in ("experiment", "seed", "trial")]
    ordered = rows.sort_values(["experiment", "seed", "trial"], kind="stable")[column]
    return ordered.to_numpy(dtype=np.float64, na_value=np.nan).reshape(counts)


def _method(frame: pd.DataFrame, method: str, regret: FloatArray, rank: FloatArray, best: FloatArray) -> MethodSummary:
    intervals = np.array([bootstrap_interval(regret[..., t]) for t in range(regret.shape[-1])])
    behind = (regret - best)[..., -1]
    mine = frame[frame["method"] == method]
    return MethodSummary(
        method=method,
        regret=regret.mean(axis=(0, 1)),
        low=intervals[:, 0],
        high=intervals[:, 1],
        unclipped=cube(frame, method, "simple_regret_unclipped").mean(axis=(0, 1)),
        median_regret=_known_mean(cube(frame, method, "median_regret")),
        excess_percent=_known_mean(cube(frame, method, "excess_percent")),
        cumulative=cube(frame, method, "cumulative_regret").mean(axis=(0, 1)),
        rank=rank,
        within_noise=_known_mean(cube(frame, method, "within_noise")),
        behind=(float(behind.mean()), *bootstrap_interval(behind)),
        seconds=float(mine["seconds"].mean()),
        read_tokens=float(mine["read_tokens"].mean()),
        written_tokens=float(mine["written_tokens"].mean()),
        cost=float(mine["cost"].sum()),
    )


def _known_mean(values: FloatArray) -> FloatArray:
    """Mean over the first two axes of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    counts = known.sum(axis=(0, 1))
    totals = np.where(known, values, 0.0).sum(axis=(0, 1))
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
