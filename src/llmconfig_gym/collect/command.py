"""The command runner: sweeps a program of the user's own, one process per run.

The command is a template such as `python train.py --lr {lr} --seed {seed}`. It is split into arguments first and
filled in second, and it never meets a shell. What the program prints goes to a log file per run; the metric is the
last `name=number` or `name: number` in it. A run that exits with an error, takes too long or prints no metric has
failed, one whose metric is not finite has diverged; both are rows of the table without a value.
"""

from __future__ import annotations

import itertools
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from llmconfig_gym.collect.driver import Group, Measurement, Row, Run, finite
from llmconfig_gym.collect.sweep_file import Sweep
from llmconfig_gym.collect.table import tabulate
from llmconfig_gym.errors import CollectError, InvalidCommand
from llmconfig_gym.experiment import Experiment, Fidelity, Level
from llmconfig_gym.importing.levels import experiment_ids
from llmconfig_gym.keeper import run_command
from llmconfig_gym.parameter import Categorical, Grid
from llmconfig_gym.pool import Pool
from llmconfig_gym.suite import Card, Suite
from llmconfig_gym.template import Template, read_number

SEED = "seed"
REPLICATED, LEAST_REPLICATED = 0.1, 3
"""Share and least number of configurations that are also run with seeds 1 and 2, if the command takes a seed."""


@dataclass(frozen=True)
class CommandRunner:
    """Sweeps a command (see `llmconfig_gym.collect.driver.Runner`).

    Attributes:
        template: the command, with a placeholder for each parameter, and for fidelities and `{seed}` if it wants them.
        sweep: what to run it with.
        logs: directory for a log file per run.
        timeout: seconds after which a run has failed; None for never.

    Raises:
        InvalidCommand: the template lacks a parameter, or every fidelity's numbers, or names something unknown.
        CollectError: two fidelities are the same.
    """

    template: str
    sweep: Sweep
    logs: Path
    timeout: float | None = None

    def __post_init__(self) -> None:
        asked = self._command.names
        if missing := sorted({*self.sweep.space.names} - asked):
            raise InvalidCommand(f"--command has no {{{missing[0]}}}: what is not told to it cannot be swept")
        for _, fidelity in self.sweep.fidelities:
            known = {*self.sweep.space.names, *fidelity.values, SEED}
            if unknown := sorted(asked - known):
                raise InvalidCommand(f"--command asks for {{{unknown[0]}}}; known: {', '.join(sorted(known))}")
        if len(self._experiments) < len(self.sweep.fidelities):
            raise CollectError("two fidelities are the same; each makes one experiment")
        scaled = {name for _, fidelity in self.sweep.fidelities for name in fidelity.values}
        if len(self.sweep.fidelities) > 1 and not scaled & asked:
            raise InvalidCommand(
                f"--command has none of {', '.join(f'{{{name}}}' for name in sorted(scaled))}: it would run the same "
                f"thing at all {len(self.sweep.fidelities)} fidelities; name one, or leave one fidelity in the YAML"
            )

    def manifest(self) -> dict[str, Any]:
        """The command and what it is run with. The program itself is the user's: nobody watches whether it changes."""
        return {
            "runner": "command",
            "command": self.template,
            "timeout": self.timeout,
            "task": self.sweep.task,
            "metric": asdict(self.sweep.metric),
            "space": self.sweep.space.to_list(),
            "fidelities": [{"level": level, **asdict(f)} for level, f in self.sweep.fidelities],
        }

    def groups(self) -> list[Group]:
        """One group per run: every combination with seed 0, some evenly spread ones also with seeds 1 and 2."""
        axes = [p.options for p in self.sweep.space.parameters if isinstance(p, Grid | Categorical)]
        configs = [dict(zip(self.sweep.space.names, c, strict=True)) for c in itertools.product(*axes)]
        seeded = SEED in self._command.names
        count = min(len(configs), max(LEAST_REPLICATED, math.ceil(REPLICATED * len(configs))))
        again = {(2 * i + 1) * len(configs) // (2 * count) for i in range(count)} if seeded else {}
        groups = []
        for experiment in self._experiments:
            for index, config in enumerate(configs):
                for seed in range(3 if index in again else 1):
                    groups.append(Group(f"{experiment}-{index}-{seed}", (Run(experiment, config, seed),)))
        return groups

    def measure(self, group: Group) -> list[Measurement]:
        """Run the command once. Raises CollectError if there is no such program."""
        (run,) = group.runs
        _, fidelity = self._experiments[run.experiment]
        filled = {**fidelity.values, **run.config, SEED: run.seed}
        argv = self._command.fill(filled)
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{group.name}.log"
        with log.open("wb") as file:
            file.write((shlex.join(argv) + "\n").encode())
            file.flush()
            how, code, seconds, message = run_command(argv, file, timeout=self.timeout)
            if how == "absent":
                raise CollectError(message)
            if how == "timeout":
                file.write(f"\nended after {self.timeout} s\n".encode())
        _, _, output = log.read_text(encoding="utf-8", errors="replace").partition("\n")
        value = read_number(output, self.sweep.metric.name) if (how, code) == ("exited", 0) else None
        details = {name: finite(read_number(output, name)) for name in self.sweep.metric.details}
        status: Literal["ok", "diverged", "failed"] = "failed"
        if value is not None:
            status = "ok" if math.isfinite(value) else "diverged"
        return [Measurement(finite(value), status, details, seconds, "command")]

    def suite(self, name: str, rows: Sequence[Row]) -> Suite:
        """One experiment per fidelity. Raises CollectError if all runs of one failed."""
        experiments = []
        for experiment, (level, fidelity) in self._experiments.items():
            mine = [r for r in rows if r.run.experiment == experiment]
            if all(r.measurement.value is None for r in mine):
                raise CollectError(
                    f"no run of {experiment} gave a finite {self.sweep.metric.name}; read what they printed in "
                    f"{self.logs}, mend the command, remove {self.logs.parent} and start again"
                )
            experiments.append(self._experiment(f"{name}/{experiment}", level, fidelity, mine))
        card = Card(
            title=f"{len(rows)} runs of a command",
            maker="llmconfig_gym.collect.command/1",
            notes=(
                f"Command: `{self.template}`",
                f"value: the last {self.sweep.metric.name} that a run printed; the mean where it was run with several "
                "seeds, and then spread is the sample standard deviation.",
                "A run that failed, or whose metric was not finite, has no value.",
                "noise: root mean square of the spreads of the replicated configurations in the better half of the "
                "table.",
            ),
        )
        return Suite.of(name, card, experiments)

    def _experiment(self, id_: str, level: Level, fidelity: Fidelity, rows: Sequence[Row]) -> Experiment:
        metric = self.sweep.metric
        table = tabulate(rows, metric.details)
        return Experiment(
            id=id_,
            suite=id_.partition("/")[0],
            task=self.sweep.task,
            family=self.sweep.task,
            level=level,
            fidelity=fidelity,
            metric=metric,
            pool=Pool.from_configs(self.sweep.space, table.configs),
            **table.outcomes(metric.direction),
        )

    @property
    def _command(self) -> Template:
        return Template.parse(self.template, "--command")

    @property
    def _experiments(self) -> Mapping[str, tuple[Level, Fidelity]]:
        """Level and fidelity by the experiment's name, without the suite's."""
        ids = experiment_ids("", [f.values for _, f in self.sweep.fidelities])
        return {id_.partition("/")[2]: f for id_, f in zip(ids, self.sweep.fidelities, strict=True)}
