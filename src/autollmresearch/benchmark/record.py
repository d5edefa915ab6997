"""What a benchmark keeps beside its rows, so that its report needs nothing else.

- `targets.json`: each target's landscape (see `report/landscape.py`), optimum and cheaper experiments.
- `episodes.jsonl`: the first seed's episode of every method that says why or reads words, as a trajectory
  (`autollmresearch show` prints it) with the method, the protocol and what was expected, without token ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from autollmresearch.report.landscape import axes_of, layer, rounded
from autollmresearch.trajectories import to_dict

if TYPE_CHECKING:
    from autollmresearch.benchmark.settings import BenchmarkSettings
    from autollmresearch.episode import Trajectory
    from llmconfig_gym.experiment import Experiment
    from llmconfig_gym.suite import Suite

TARGETS, EPISODES = "targets.json", "episodes.jsonl"


def targets_text(settings: BenchmarkSettings, suites: Iterable[Suite]) -> str:
    """The content of `targets.json`: by id."""
    data = {}
    for suite in suites:
        for target in suite.split(settings.level):
            if cheaper := suite.cheaper(target.id):
                data[target.id] = _target(target, cheaper)
    return json.dumps(data) + "\n"


def _target(target: Experiment, cheaper: list[Experiment]) -> dict[str, Any]:
    axes = axes_of(target.space, [target.pool])
    losses = np.where(np.isfinite(target.values), target.losses, np.nan)
    return {
        "fidelity": target.fidelity.text(),
        "metric": target.metric.name,
        "direction": target.metric.direction,
        "axes": [axis.to_dict() for axis in axes],
        "layer": layer("every measured configuration", axes, target.pool, losses, target.metric),
        "worst": rounded(target.metric.sign * target.worst),
        "best": _best(target),
        "cheaper": [{"fidelity": e.fidelity.text(), "runs": len(e.pool), **_best(e)} for e in cheaper],
    }


def _best(e: Experiment) -> dict[str, Any]:
    row = int(np.argmin(e.losses))
    return {"config": e.pool.config(row), "value": rounded(float(e.values[row]))}


def episode_line(method: str, protocol: str, trajectory: Trajectory) -> str:
    """An episode for `episodes.jsonl`; empty for a method that says nothing."""
    proposals = [turn.proposal for turn in trajectory.turns]
    if not any(p.reasoning or p.prompt for p in proposals):
        return ""
    data = {"method": method, "protocol": protocol, **to_dict(trajectory)}
    for turn, proposal in zip(data["turns"], proposals, strict=True):
        turn.pop("tokens", None)
        expected = {"expected": proposal.mean, "expected_sd": proposal.sd}
        turn |= {key: float(value) for key, value in expected.items() if value is not None}
        turn |= {"trends": proposal.trends} if proposal.trends else {}
    return json.dumps(data) + "\n"
