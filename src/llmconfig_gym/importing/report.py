"""What an import did with every row: used, merged as a replicate, or reported with its line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from llmconfig_gym.importing.read import BadRow
from llmconfig_gym.importing.roles import Guess
from llmconfig_gym.parameter import Value


@dataclass(frozen=True)
class Replicates:
    """Runs of one configuration at one fidelity, which became one outcome: their mean, and their spread.

    Attributes:
        experiment: the id of the experiment.
        config: the configuration.
        lines: where the runs are in the file.
        value: the mean of their metric; infinite if one of them diverged.
        spread: its sample standard deviation; NaN if one of them diverged.
    """

    experiment: str
    config: Mapping[str, Value]
    lines: tuple[int, ...]
    value: float
    spread: float


@dataclass(frozen=True)
class Report:
    """What an import did. Every row of the file is used or reported: `used + len(bad) == read`.

    Attributes:
        path: the file.
        unit: what `line` counts: `line` of a text file, `row` or `run` of anything else.
        read: rows in the file (blank lines are none).
        used: rows that are in the suite.
        bad: the others, each with its line and why.
        replicates: where several rows became one outcome.
        diverged: how many of the rows used are runs that diverged.
        notes: what else a reader should know.
        guess: what each column was taken for, and why.
    """

    path: Path
    unit: Literal["line", "row", "run"]
    read: int
    used: int
    bad: tuple[BadRow, ...]
    replicates: tuple[Replicates, ...]
    diverged: int
    notes: tuple[str, ...]
    guess: Guess

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; numbers that JSON cannot write (inf, NaN) are null."""
        return {
            "path": str(self.path),
            "unit": self.unit,
            "read": self.read,
            "used": self.used,
            "bad": [asdict(b) for b in self.bad],
            "replicates": [_json(r) for r in self.replicates],
            "diverged": self.diverged,
            "notes": list(self.notes),
        }


def _json(r: Replicates) -> dict[str, Any]:
    finite = {k: v if abs(v) < float("inf") else None for k, v in (("value", r.value), ("spread", r.spread))}
    return {"experiment": r.experiment, "config": dict(r.config), "lines": list(r.lines), **finite}
