"""Several sweeps as one: how the embedded suite, which holds all four tasks, is measured and checked.

Each part keeps its own groups, runs and experiments; names of experiments are distinct over all parts. A part's rows
mean the same here as in a sweep of that part alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llmconfig_gym.collect.driver import Group, Measurement, Row, Run, VerifiableRunner, check_names
from llmconfig_gym.suite import Card, Suite


@dataclass(frozen=True)
class CompositeRunner:
    """Sweeps all its parts (see `llmconfig_gym.collect.driver.Runner`).

    Attributes:
        parts: runners of this package, by what they are called.

    Raises:
        CollectError: two parts have an experiment of the same name.
    """

    parts: tuple[tuple[str, VerifiableRunner], ...]

    def __post_init__(self) -> None:
        check_names(name for _, part in self.parts for name in _experiments(part))

    def manifest(self) -> dict[str, Any]:
        """The manifests of the parts. Raises MissingExtra without PyTorch."""
        return {"runner": "composite", "parts": [part.manifest() for _, part in self.parts]}

    def groups(self) -> list[Group]:
        """The groups of all parts."""
        return [group for _, part in self.parts for group in part.groups()]

    def alone(self, run: Run) -> Group:
        """The group that measures one run by itself."""
        return self._part_of[run.experiment].alone(run)

    def measure(self, group: Group) -> Sequence[Measurement]:
        """One measurement per run, by the part whose experiment it is. Raises CollectError as that part does."""
        return self._part_of[group.runs[0].experiment].measure(group)

    def suite(self, name: str, rows: Sequence[Row]) -> Suite:
        """The experiments of all parts."""
        suites = []
        for title, part in self.parts:
            own = {*_experiments(part)}
            suites.append((title, part.suite(name, [r for r in rows if r.run.experiment in own])))
        return Suite.of(name, _card(suites), [s.experiment(i) for _, s in suites for i in s.ids])

    @cached_property
    def _part_of(self) -> dict[str, VerifiableRunner]:
        return {name: part for _, part in self.parts for name in _experiments(part)}


def _experiments(part: VerifiableRunner) -> list[str]:
    """Names of the experiments that a part's runs are of, as `Run.experiment` has them."""
    return list(dict.fromkeys(run.experiment for group in part.groups() for run in group.runs))


def _card(suites: Sequence[tuple[str, Suite]]) -> Card:
    counted = [(title, len(s.ids)) for title, s in suites]
    total, listed = sum(n for _, n in counted), ", ".join(f"{title} ({count})" for title, count in counted)
    return Card(
        title=f"Tiny decoders, every number measured by this repository: {total} experiments, {listed}",
        licence="Apache-2.0, as the project",
        maker="llmconfig_gym.collect.composite/1",
        notes=tuple(f"{title}: {note}" for title, s in suites for note in (f"{s.card.title}.", *s.card.notes)),
    )
