"""The only door through which training opens experiments: low and medium ones.

High-fidelity experiments are what the agent is measured on. Training never reads their tables; whoever asks for one,
in a recipe or in a file of samples, is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from autollmresearch.errors import LockedExperiment
from llmconfig_gym.catalog import load_suite, suite_path
from llmconfig_gym.errors import unknown_name
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.suite import Suite, Summary

LOCKED = "high"


def unlocked(suite: str) -> list[tuple[str, Summary]]:
    """What training may learn from in a suite: ids that `open_experiment` takes, and listing rows; cheapest first.

    Args:
        suite: a name or a path.

    Raises:
        UnknownName, SourceUnavailable, SuiteFormatError: the suite cannot be loaded.
    """
    found = [s for s in load_suite(suite).summaries if s.level != LOCKED]
    return [(f"{suite}/{s.id.partition('/')[2]}", s) for s in sorted(found, key=lambda s: (s.fidelity.cost, s.id))]


def suite_files(suites: Iterable[str]) -> dict[str, Path]:
    """The index of each suite, which holds the digests of its tables: what a step that reads them is made from."""
    return {f"suite {name}": suite_path(name) / "suite.json" for name in suites}


def check_unlocked(ids: Sequence[str]) -> None:
    """Refuse ids of high experiments, before any table is read.

    Raises:
        LockedExperiment: one of them is.
        UnknownName, SourceUnavailable, SuiteFormatError: one of them does not exist.
    """
    for id_ in ids:
        _find(id_)


def open_experiment(id_: str) -> Experiment:
    """The experiment `suite/name` or `path/to/suite/name`, with its table.

    Raises:
        LockedExperiment: it is a high-fidelity one; its table is not read.
        UnknownName, SourceUnavailable, SuiteFormatError: it cannot be loaded.
    """
    suite, summary = _find(id_)
    return suite.experiment(summary.id)


def _find(id_: str) -> tuple[Suite, Summary]:
    suite_name, _, name = id_.rpartition("/")
    if not suite_name:
        raise unknown_name("experiment", id_, (), "An id reads SUITE/NAME.")
    suite = load_suite(suite_name)
    summary = suite.summary(f"{suite.name}/{name}")
    if summary.level == LOCKED:
        raise LockedExperiment(
            f"{id_} is a high-fidelity experiment, and these are for the final measurement only; train on low and "
            f"medium ones (llmconfig-gym list {suite_name})"
        )
    return suite, summary
