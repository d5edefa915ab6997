"""Verify a collected suite: its tables follow from its runs, and runs drawn at random come out again as stored.

Where code, PyTorch and processor are those that made the suite, a run comes out the same to the last bit. Elsewhere
sums are rounded otherwise, training amplifies that, and two such runs differ like two seeds do, at most: their
difference has sqrt(2) times the standard deviation sigma of one run. A run passes within 4 * sqrt(2) * sigma. Runs
far from the optimum scatter more than the experiment's noise floor, so sigma is the largest spread between the
replicates of one configuration. What is compared is the value a run was stored with: of an architecture its loss.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llmconfig_gym.collect.driver import Row, VerifiableRunner
from llmconfig_gym.collect.embed import read_manifest, remake
from llmconfig_gym.collect.raw_runs import RAW_RUNS, read_runs
from llmconfig_gym.collect.runners import parts_of, runner_of
from llmconfig_gym.collect.table import tabulate
from llmconfig_gym.errors import CollectError
from llmconfig_gym.parameter import Value
from llmconfig_gym.suite import Suite

FACTOR = 4 * math.sqrt(2)
UNREPLICATED = 0.01
"""Tolerance relative to the stored value in an experiment that holds no replicates."""


@dataclass(frozen=True)
class Check:
    """One run, stored and found. `difference` is NaN where one of the two gave no value."""

    experiment: str
    config: Mapping[str, Value]
    seed: int
    stored: float | None
    found: float | None
    tolerance: float

    @property
    def difference(self) -> float:
        return math.nan if self.stored is None or self.found is None else self.found - self.stored

    @property
    def exact(self) -> bool:
        """Whether the very number came out again."""
        return self.stored == self.found

    @property
    def ok(self) -> bool:
        """Whether the difference is within the tolerance, or neither run gave a value."""
        return self.exact or abs(self.difference) <= self.tolerance


@dataclass(frozen=True)
class Plan:
    """What a verification is about to do.

    Attributes:
        runner, suite: what is verified, and with what.
        rows: the runs drawn, in the order of the suite.
        sigmas: see `largest_spreads`.
        seconds: about how long they take on one core.
        problems: what is wrong with the suite already: tables that are not what its runs give.
        notes: what may explain differences: other code, another PyTorch.
    """

    runner: VerifiableRunner
    suite: Suite
    rows: tuple[Row, ...]
    sigmas: Mapping[str, float]
    seconds: float
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def plan(root: Path, count: int, seed: int, device: str | None = None) -> Plan:
    """Check a suite against its own runs and draw `count` of them, spread evenly over its experiments.

    Raises:
        CollectError: it was not made by a runner of this package, or has fewer runs than that.
        SuiteFormatError: it is damaged.
        MissingExtra: PyTorch is not installed.
    """
    manifest = read_manifest(root)
    runner = runner_of(manifest, device)
    suite = Suite.load(root)
    rows = read_runs(root / RAW_RUNS)
    if not 1 <= count <= len(rows):
        raise CollectError(f"{suite.name} has {len(rows)} runs; found a wish to verify {count}")
    now = runner.manifest()
    notes: dict[str, None] = {}  # each once, though several parts may share a file
    for then, here in zip(parts_of(manifest), parts_of(now), strict=True):
        for name in _differing(then["sources"], here["sources"]):
            notes[f"{name} is not the file the suite was made with"] = None
        if then["torch"] != here["torch"]:
            notes[f"the suite was made with PyTorch {then['torch']}, here is {here['torch']}"] = None
    drawn = _draw(rows, count, seed)
    seconds = sum(runner.alone(r.run).seconds for r in drawn)
    problems = tuple(_problems(suite, remake(root, suite.name)))
    return Plan(runner, suite, drawn, largest_spreads(rows), seconds, problems, tuple(notes))


def verify(chosen: Plan, *, progress: bool = True) -> list[Check]:
    """Run what the plan drew, each run by itself, and compare."""
    from tqdm import tqdm

    checks = []
    with tqdm(
        total=chosen.seconds,
        bar_format="{percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]{postfix}",
        smoothing=0,
        disable=not progress,
    ) as bar:
        for row in chosen.rows:
            group = chosen.runner.alone(row.run)
            (measurement,) = chosen.runner.measure(group)
            stored = row.measurement.value
            found = (stored, measurement.value, tolerance(chosen.sigmas[row.run.experiment], stored))
            checks.append(Check(row.run.experiment, row.run.config, row.run.seed, *found))
            bar.set_postfix_str(f"{len(checks)}/{len(chosen.rows)} runs", refresh=False)
            bar.update(group.seconds)
    return checks


def tolerance(sigma: float, stored: float | None) -> float:
    """How far a run may come out from its stored value; see the top of this file. NaN for an unknown sigma."""
    return FACTOR * sigma if math.isfinite(sigma) else UNREPLICATED * abs(stored or 0.0)


def largest_spreads(rows: Sequence[Row]) -> dict[str, float]:
    """For each `Run.experiment` the largest standard deviation between replicates; NaN where there are none."""
    found = {}
    for name in dict.fromkeys(r.run.experiment for r in rows):
        spread = tabulate([r for r in rows if r.run.experiment == name]).spread
        found[name] = float(np.nanmax(spread)) if np.isfinite(spread).any() else math.nan
    return found


def _draw(rows: Sequence[Row], count: int, seed: int) -> tuple[Row, ...]:
    """`count` distinct rows: one of each experiment in random order, then a second of each, and so on."""
    rng = random.Random(seed)
    piles: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        piles.setdefault(row.run.experiment, []).append(index)
    for pile in piles.values():
        rng.shuffle(pile)
    drawn: list[int] = []
    while len(drawn) < count:
        order = [pile for pile in piles.values() if pile]
        rng.shuffle(order)
        drawn += [pile.pop() for pile in order]
    return tuple(rows[i] for i in sorted(drawn[:count]))


def _problems(stored: Suite, remade: Suite) -> list[str]:
    """What the suite holds otherwise than its runs give."""
    problems = [f"{i} is in one of suite.json and {RAW_RUNS} only" for i in sorted({*stored.ids} ^ {*remade.ids})]
    for id_ in [i for i in stored.ids if i in remade.ids]:
        a, b = stored.experiment(id_), remade.experiment(id_)
        if stored.summary(id_) != remade.summary(id_) or not np.array_equal([a.noise], [b.noise], equal_nan=True):
            problems.append(f"{id_} is not what {RAW_RUNS} gives")
    return problems


def _differing(stored: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [name for name in sorted({*stored, *now}) if stored.get(name) != now.get(name)]
