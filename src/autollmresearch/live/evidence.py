"""Evidence as Optuna users have it: cheaper studies, read once, and told in the terms of the target's search space."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from autollmresearch.errors import EvidenceIgnored, InvalidEvidence
from autollmresearch.evidence.records import CheapRuns
from autollmresearch.live.candidates import nearest_legal
from autollmresearch.live.distributions import SearchSpace
from autollmresearch.live.fidelity import fidelity_of
from llmconfig_gym.errors import InvalidConfig, InvalidSpace
from llmconfig_gym.experiment import Fidelity
from llmconfig_gym.parameter import EXACT, Grid, Integer, Parameter, Real, Value
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

    EvidenceItem: TypeAlias = "Study | tuple[Study, Mapping[str, float | int | str] | Fidelity] | CheapRuns"

FIDELITY = "fidelity"
"""The study's user attribute that says at which fidelity its trials were run."""


@dataclass(frozen=True)
class Run:
    """One cheap trial: its values, the distributions they were drawn from, and its loss (None if it diverged)."""

    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    loss: float | None


@dataclass(frozen=True, eq=False)
class CheapStudy:
    """What is known of one cheaper study.

    Attributes:
        name: for messages.
        fidelity: at which its trials were run.
        direction: `minimize` or `maximize`; None where losses were oriented before.
        search_space: its own settings, of which a study whose search space is not known yet can be asked.
        runs: its finished trials, in order.
        known: the same as the gym has it, if it came so.
    """

    name: str
    fidelity: Fidelity
    direction: str | None
    search_space: SearchSpace | None
    runs: tuple[Run, ...]
    known: CheapRuns | None = None

    def in_space(self, target: SearchSpace) -> CheapRuns | None:
        """These runs for a policy that proposes in `target`; None if they say nothing about it.

        Settings that fewer than half of the runs have with a value that could be the target's are left out, and then
        runs that lack one of the rest. A diverged run carries the worst finite loss.
        """
        if self.known is not None and _translates(self.known, target.space):
            return self.known
        columns = {p.name: [_value(target, p, run) for run in self.runs] for p in target.space.parameters}
        missing = {name: sum(v is None for v in column) for name, column in columns.items()}
        names = [n for n in columns if 2 * missing[n] < len(self.runs)]
        rows = [i for i in range(len(self.runs)) if all(columns[n][i] is not None for n in names)]
        if not names or not rows:
            return None
        chosen = {n: [v for i in rows if (v := columns[n][i]) is not None] for n in names}
        space = Space(tuple(_wide_enough(target.space[n], chosen[n]) for n in names))
        configs = [dict(zip(names, values, strict=True)) for values in zip(*chosen.values(), strict=True)]
        worst = max(run.loss for run in self.runs if run.loss is not None)
        losses = np.array([worst if (x := self.runs[i].loss) is None else x for i in rows], dtype=np.float64)
        return CheapRuns(self.fidelity, Pool.from_configs(space, configs), losses, {})


def read_evidence(items: Iterable[EvidenceItem]) -> tuple[CheapStudy, ...]:
    """The evidence as plain data, cheapest first. Studies are read here and never again.

    Raises:
        InvalidEvidence: an item is of another kind, lacks a fidelity or has several objectives.
    """
    studies = [_read(item) for item in items]
    for study in studies:
        if all(run.loss is None for run in study.runs):
            message = f"evidence {study.name} has no finished run with a value: nothing is learned from it"
            warnings.warn(message, EvidenceIgnored, stacklevel=3)
    kept = [study for study in studies if any(run.loss is not None for run in study.runs)]
    return tuple(sorted(kept, key=lambda study: study.fidelity.cost))


def _read(item: EvidenceItem) -> CheapStudy:
    import optuna

    if isinstance(item, CheapRuns):
        pool = item.pool
        rows = tuple(Run(pool.config(row), {}, float(loss)) for row, loss in enumerate(item.losses))
        space = SearchSpace.natural(item.space)
        return CheapStudy(f"at {item.fidelity.text()}", item.fidelity, None, space, rows, item)
    study, fidelity = item if isinstance(item, tuple) and len(item) == 2 else (item, None)
    if not isinstance(study, optuna.study.Study):
        raise InvalidEvidence(
            f"evidence must be Optuna studies, pairs (study, fidelity) or CheapRuns; found a {type(item).__name__}"
        )
    if len(study.directions) != 1:
        raise InvalidEvidence(f"evidence study {study.study_name!r} has several objectives; evidence needs one")
    said = fidelity if fidelity is not None else study.user_attrs.get(FIDELITY)
    if said is None:
        raise InvalidEvidence(
            f"evidence study {study.study_name!r} does not say at which fidelity it was run; "
            f'say study.set_user_attr("{FIDELITY}", {{"N": 1e8}}) or pass the pair (study, {{"N": 1e8}})'
        )
    direction = study.direction.name.lower()
    sign = 1.0 if direction == "minimize" else -1.0
    trials = [t for t in study.get_trials(deepcopy=False) if t.state.is_finished() and t.params]
    runs = tuple(Run(dict(t.params), dict(t.distributions), _loss(t, sign)) for t in trials)
    shared = optuna.search_space.intersection_search_space(trials, include_pruned=True)
    name = f"study {study.study_name!r}"
    return CheapStudy(name, fidelity_of(said), direction, SearchSpace.of(shared) if shared else None, runs)


def _loss(trial: Any, sign: float) -> float | None:
    """A finished trial's oriented value; None if it failed, was pruned or gave no finite one."""
    complete = trial.state.name == "COMPLETE" and trial.value is not None and math.isfinite(trial.value)
    return sign * trial.value if complete else None


def _value(target: SearchSpace, p: Parameter, run: Run) -> Value | None:
    """A run's value of one of the target's parameters; None if it has none that could be."""
    try:
        return target.read_one(p, run.params, run.distributions)
    except InvalidConfig:
        return None


def _translates(runs: CheapRuns, space: Space) -> bool:
    """Whether every configuration of these runs, as they are, has a place in `space`."""
    if not set(runs.space.names) & set(space.names):
        return False
    try:
        runs.encoded_in(space)
    except InvalidConfig:
        return False
    return True


def _wide_enough(p: Parameter, values: list[Value]) -> Parameter:
    """The parameter itself where it holds these checked values, else one of its scale that does."""
    one = Space((p,))
    if not isinstance(p, Grid | Integer | Real):
        return p
    if all(nearest_legal(one, {p.name: v})[p.name] == v for v in values):
        return p
    numbers = [v for v in values if isinstance(v, int | float)]
    low, high = min(numbers), max(numbers)
    if isinstance(p, Integer) and max(-low, high) <= EXACT:
        return replace(p, low=int(low), high=int(high))
    try:
        return Real(p.name, float(low), float(high), log=p.log, unit=p.unit, about=p.about)
    except InvalidSpace as problem:  # values so far apart that their difference is no float
        raise InvalidEvidence(f"evidence on {p.name} spans {low} to {high}: {problem}") from None
