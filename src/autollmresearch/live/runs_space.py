"""Runs of a file in the target's space: their range, where nothing else is said, and which runs have a place in it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from autollmresearch.errors import EvidenceProblem
from autollmresearch.evidence.records import CheapRuns
from llmconfig_gym.errors import InvalidConfig
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.importing.columns import Column
from llmconfig_gym.parameter import Categorical, Grid, Integer, Parameter, Real, Simplex, Value, as_number
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space


def is_text_choice(p: Parameter) -> bool:
    """Whether a parameter's values are texts, even where a file writes them like numbers."""
    return isinstance(p, Categorical) and isinstance(p.choices[0], str)


def space_of(experiments: list[Experiment]) -> Space:
    """The range of all runs: choices and levels of whole numbers as they were run, other numbers from least to most."""
    result: list[Parameter] = []
    for p in experiments[0].space.parameters:
        alike = [e.space[p.name] for e in experiments]
        if isinstance(p, Simplex | Categorical):
            result.append(p)
            continue
        numbers = np.unique(np.concatenate([e.pool.columns[p.name] for e in experiments]))
        log = any(getattr(q, "log", False) for q in alike)
        if all(isinstance(q, Grid) for q in alike) and numbers.dtype.kind == "i":
            result.append(Grid(p.name, tuple(numbers.tolist()), log=log, relative=p.relative))
        elif numbers.dtype.kind == "i":
            result.append(Integer(p.name, int(numbers[0]), int(numbers[-1]), log=log, relative=p.relative))
        else:
            result.append(Real(p.name, float(numbers[0]), float(numbers[-1]), log=log, relative=p.relative))
    return Space(tuple(result))


def runs_in(
    space: Space,
    experiments: list[Experiment],
    settings: Mapping[str, tuple[str, ...]],
    columns: Mapping[str, Column],
    where: str,
) -> tuple[tuple[CheapRuns, ...], list[str]]:
    """The runs of each experiment that have a place in the target's space, and which have none.

    A parameter that all runs share is no setting of the experiments; it is added to their spaces here.
    """
    shared: dict[str, Value] = {}
    for p in space.parameters:
        if p.name not in experiments[0].space.names:
            column = columns[settings[p.name][0]]
            present = np.flatnonzero(~(column.missing | column.wrong))
            if not len(present):
                raise EvidenceProblem(f"{where}: {column.name} is empty; fill it in, or take {p.name} out of the space")
            value = column.value(int(present[0]))
            shared[p.name] = str(column.cells[int(present[0])]) if is_text_choice(p) else value
    result: list[CheapRuns] = []
    reasons: dict[str, int] = {}
    for e in experiments:
        extra = tuple(_constant(space[n], v, where) for n, v in shared.items())
        pool_space = Space((*e.space.parameters, *extra))
        keep = []
        for row in range(len(e.pool)):
            try:
                space.translate({**e.pool.config(row), **shared}, pool_space)
                keep.append(row)
            except InvalidConfig as problem:
                reasons[str(problem)] = reasons.get(str(problem), 0) + 1
        if keep:
            taken = {n: c[keep] for n, c in e.pool.columns.items()}
            taken |= {n: np.full(len(keep), v) for n, v in shared.items()}
            details = {n: c[keep] for n, c in e.details.items()}
            result.append(CheapRuns(e.fidelity, Pool(pool_space, taken), e.losses[keep], details))
    if not result:
        first = next(iter(reasons))
        raise EvidenceProblem(f"no run of {where} has a place in the space: {first}")
    return tuple(result), [f"{n} configurations of {where} have no place in the space: {r}" for r, n in reasons.items()]


def _constant(p: Parameter, value: Value, where: str) -> Parameter:
    """A parameter like `p` that may only be `value`."""
    try:
        if isinstance(p, Categorical):
            return Categorical(p.name, (p.check(value),), relative=p.relative)  # type: ignore[arg-type]
        return Grid(p.name, (as_number(p.name, p.check(value)),), relative=p.relative)
    except InvalidConfig as problem:
        raise EvidenceProblem(
            f"every run of {where} has {p.name} {value}, which the space does not know: {problem}"
        ) from None
