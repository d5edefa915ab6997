"""What a live study asks, and what was known before its first trial: as data that is kept with the study."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from autollmresearch.evidence.records import CheapRuns
from llmconfig_gym.experiment import Fidelity, Metric
from llmconfig_gym.pool import Pool
from llmconfig_gym.space import Space

VERSION = 1


@dataclass(frozen=True, eq=False)
class Spec:
    """Everything that decides a study's proposals, beside the outcomes of its own trials.

    Attributes:
        task, fidelity, metric, space: what is asked, at which scale, which way is better, and what may be chosen.
        budget: trials in all.
        policy: the name of the method that proposes.
        seed: for the policy's own randomness.
        cheaper: what is known of cheaper runs, cheapest first.
        clip: as in `Problem`.
        source: where the cheaper runs came from, for people.
    """

    task: str
    fidelity: Fidelity
    metric: Metric
    space: Space
    budget: int
    policy: str
    seed: int = 0
    cheaper: tuple[CheapRuns, ...] = field(default=(), repr=False)
    clip: float | None = None
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data, without the cheaper runs but with their digest."""
        return {
            "version": VERSION,
            "task": self.task,
            "fidelity": asdict(self.fidelity),
            "metric": asdict(self.metric),
            "space": self.space.to_list(),
            "budget": self.budget,
            "policy": self.policy,
            "seed": self.seed,
            "clip": self.clip,
            "source": self.source,
            "evidence": digest(self.cheaper),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], cheaper: tuple[CheapRuns, ...]) -> Spec:
        """The spec that `to_dict` wrote. Raises KeyError, TypeError, ValueError or a GymError for anything else."""
        if data["version"] != VERSION:
            raise ValueError(f"version {data['version']}, expected {VERSION}")
        return cls(
            task=data["task"],
            fidelity=Fidelity(**data["fidelity"]),
            metric=Metric(**data["metric"]),
            space=Space.from_list(data["space"]),
            budget=data["budget"],
            policy=data["policy"],
            seed=data["seed"],
            cheaper=cheaper,
            clip=data["clip"],
            source=data["source"],
        )


def runs_to_list(cheaper: Sequence[CheapRuns]) -> list[dict[str, Any]]:
    """Cheaper runs as plain JSON data, column by column."""
    return [
        {
            "fidelity": asdict(r.fidelity),
            "space": r.space.to_list(),
            "columns": {n: c.tolist() for n, c in r.pool.columns.items()},
            "losses": r.losses.tolist(),
            "details": {n: [v if np.isfinite(v) else None for v in c.tolist()] for n, c in r.details.items()},
        }
        for r in cheaper
    ]


def runs_from_list(data: Sequence[Mapping[str, Any]]) -> tuple[CheapRuns, ...]:
    """The runs that `runs_to_list` wrote."""
    result = []
    for d in data:
        pool = Pool(Space.from_list(d["space"]), d["columns"])
        details = {
            n: np.array([np.nan if v is None else v for v in c], dtype=np.float64) for n, c in d["details"].items()
        }
        result.append(CheapRuns(Fidelity(**d["fidelity"]), pool, np.array(d["losses"], dtype=np.float64), details))
    return tuple(result)


def by_cost(*runs: Sequence[CheapRuns]) -> tuple[CheapRuns, ...]:
    """All of them, cheapest first."""
    return tuple(sorted((r for some in runs for r in some), key=lambda r: r.fidelity.cost))


def digest(cheaper: Sequence[CheapRuns]) -> str:
    """A SHA-256 that is the same for the same runs; empty for none."""
    if not cheaper:
        return ""
    return hashlib.sha256(json.dumps(runs_to_list(cheaper), sort_keys=True).encode()).hexdigest()
