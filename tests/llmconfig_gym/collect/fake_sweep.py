"""A sweep that trains nothing, also as a program: `python fake_sweep.py WORK OUT WORKERS SLEEP` collects it."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmconfig_gym.collect.driver import Group, Measurement, Row, Run, collect
from llmconfig_gym.collect.table import noise_floor, tabulate
from llmconfig_gym.experiment import Experiment, Fidelity, Metric
from llmconfig_gym.parameter import Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space
from llmconfig_gym.suite import Card, Suite

SPACE = Space((Grid("lr", (0.001, 0.01, 0.1), log=True), Grid("batch_size", (1, 2, 4, 8, 16, 32), log=True)))


@dataclass(frozen=True)
class FakeRunner:
    """Two experiments, a group per batch size, two seeds of every run; one run of each experiment diverges."""

    version: int = 1
    sleep: float = 0.0
    forbidden: bool = False  # nothing may be measured

    def manifest(self) -> dict[str, Any]:
        return {"runner": "fake", "version": self.version}

    def groups(self) -> list[Group]:
        return [
            Group(
                f"{experiment}-{batch_size}",
                tuple(
                    Run(experiment, {"lr": lr, "batch_size": batch_size}, seed)
                    for lr in SPACE["lr"].levels  # type: ignore[attr-defined]  # a grid
                    for seed in (0, 1)
                ),
                seconds=1.0,
            )
            for experiment in ("small", "large")
            for batch_size in SPACE["batch_size"].levels  # type: ignore[attr-defined]  # a grid
        ]

    def measure(self, group: Group) -> Sequence[Measurement]:
        assert not self.forbidden, group
        if marks := os.environ.get("FAKE_SWEEP_MARKS"):
            Path(marks, group.name).touch()
        time.sleep(self.sleep)
        return [self._measure(run) for run in group.runs]

    def _measure(self, run: Run) -> Measurement:
        rng = random.Random(f"{run}")
        if run.config == {"lr": 0.1, "batch_size": 1} and run.seed == 1:
            return Measurement(None, "diverged", {"steps": 3, "loss": None}, 0.5, "a machine")
        return Measurement(rng.random(), "ok", {"steps": 8, "loss": rng.random()}, time.monotonic(), "a machine")

    def suite(self, name: str, rows: Sequence[Row]) -> Suite:
        return Suite.of(name, Card("Fake"), [self._experiment(name, e, rows) for e in ("small", "large")])

    def _experiment(self, suite: str, name: str, rows: Sequence[Row]) -> Experiment:
        table = tabulate([r for r in rows if r.run.experiment == name], ["steps", "loss"])
        return Experiment(
            id=f"{suite}/{name}",
            suite=suite,
            task="pretraining",
            family="fake",
            level="low" if name == "small" else "high",
            fidelity=Fidelity({"parameters": 1.0 if name == "small" else 2.0}, 1.0),
            metric=Metric("loss", "minimize"),
            pool=Pool.from_configs(SPACE, table.configs),
            values=table.values,
            details=table.details,
            spread=table.spread,
            replicates=table.replicates,
            noise=noise_floor(table.values, table.spread, "minimize"),
        )


if __name__ == "__main__":
    work, out, workers, sleep = sys.argv[1:]
    runner = FakeRunner(sleep=float(sleep))
    runner.suite("fake", collect(runner, Path(work), workers=int(workers), progress=False)).save(Path(out))
