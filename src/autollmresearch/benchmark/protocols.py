"""Protocols: what a method may see before its first trial on the target.

- `full`: the whole tables of all cheaper experiments.
- `metered:N`: N cheap outcomes in all, drawn uniformly from those tables; the same N for every method, and another
  draw for each seed.
- `active:B`: nothing. The method runs what it likes, of the cheaper experiments and of the target, and pays for each
  run its cost over the target's, B in all; what it recommends then is scored on the target without being told.

Cheaper experiments are those of the target's family at every lower level of the suite's split.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise

import numpy as np

from autollmresearch.active.records import ActiveProblem, Source
from autollmresearch.errors import InvalidProtocol
from autollmresearch.evidence.records import CheapRuns, Problem
from llmconfig_gym.experiment import Experiment


@dataclass(frozen=True)
class Protocol:
    """`full` (outcomes is None) or `metered:N` (outcomes is N)."""

    outcomes: int | None = None

    @classmethod
    def parse(cls, text: str) -> Protocol:
        """The protocol of this name. Raises `InvalidProtocol`."""
        kind, _, number = text.partition(":")
        if text == "full":
            return cls()
        if kind == "metered" and (count := _count(number)):
            return cls(count)
        close = get_close_matches(kind, ("full", "metered"), n=1, cutoff=0.5)
        advice = f"did you mean {'full' if close == ['full'] else 'metered:10'!r}? " if close else ""
        raise InvalidProtocol(f"{text!r} is not a protocol; {advice}expected 'full' or 'metered:N' with N at least 1")

    def __str__(self) -> str:
        return "full" if self.outcomes is None else f"metered:{self.outcomes}"

    def problems(self, target: Experiment, cheaper: list[Experiment], budget: int, seeds: list[int]) -> list[Problem]:
        """What a method may know, one problem per seed (the same object for all seeds of `full`)."""
        if self.outcomes is None:
            return [_problem(target, tuple(CheapRuns.of(e) for e in cheaper), budget)] * len(seeds)
        return [_problem(target, _draw(target, cheaper, self.outcomes, seed), budget) for seed in seeds]


@dataclass(frozen=True)
class Active:
    """`active:B`; the budget B is in costs of one run of the target."""

    budget: int

    def __str__(self) -> str:
        return f"active:{self.budget}"

    def problem(self, target: Experiment, cheaper: list[Experiment]) -> ActiveProblem:
        """What a method may know: the experiments that can be run, and what a run of each costs."""
        sources = [Source(e.fidelity, e.pool, e.fidelity.cost / target.fidelity.cost) for e in (*cheaper, target)]
        return ActiveProblem(target.task, target.metric, tuple(sources), float(self.budget), target.clip)


def parse_protocol(text: str) -> Protocol | Active:
    """The protocol of this name, `active:B` among them. Raises `InvalidProtocol`."""
    kind, _, number = text.partition(":")
    if get_close_matches(kind, ("full", "metered", "active"), n=1, cutoff=0.5) != ["active"]:
        return Protocol.parse(text)
    if kind == "active" and (count := _count(number)):
        return Active(count)
    raise InvalidProtocol(
        f"{text!r} is not a protocol; did you mean 'active:1'? expected 'active:B' with B, the budget in costs of one "
        "run of the target, at least 1"
    )


def _count(text: str) -> int | None:
    """A whole number of at least 1, or None."""
    legal = text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= 1
    return int(text) if legal else None


def _draw(target: Experiment, cheaper: list[Experiment], outcomes: int, seed: int) -> tuple[CheapRuns, ...]:
    """The same draw for every method: it depends on the target, the number of outcomes and the seed alone."""
    rng = np.random.default_rng([seed, outcomes, zlib.crc32(target.id.encode())])
    sizes = [len(e.pool) for e in cheaper]
    total = sum(sizes)
    drawn = np.sort(rng.choice(total, size=min(outcomes, total), replace=False))
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    parts = [drawn[(drawn >= a) & (drawn < b)] - a for a, b in pairwise(bounds)]
    return CheapRuns.drawn([(e, rows) for e, rows in zip(cheaper, parts, strict=True) if len(rows)])


def _problem(target: Experiment, cheaper: tuple[CheapRuns, ...], budget: int) -> Problem:
    return Problem(target.task, target.fidelity, target.metric, target.pool, cheaper, budget, target.clip)
