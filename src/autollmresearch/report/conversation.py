"""Conversations: episodes turn by turn as plain JSON data, as `show` prints them: read, thought, chosen, told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autollmresearch.dialogue import CLOSE, values
from autollmresearch.episode import Turn
from autollmresearch.live.spec import Spec
from autollmresearch.live.trial import LiveTrial
from autollmresearch.policy import Candidate
from autollmresearch.trajectories import from_dict
from llmconfig_gym.text import number


def episode_of(data: dict[str, Any]) -> dict[str, Any]:
    """A line of a benchmark's `episodes.jsonl`. Raises the errors of plain Python where `data` is something else."""
    trajectory = from_dict(data)
    return {
        "method": str(data["method"]),
        "protocol": str(data["protocol"]),
        "seed": trajectory.seed,
        "turns": [
            {"n": n, **_turn(turn), **_beside(raw)}
            for n, (turn, raw) in enumerate(zip(trajectory.turns, data["turns"], strict=True), start=1)
        ],
    }


def _turn(turn: Turn) -> dict[str, Any]:
    proposal, outcome = turn.proposal, turn.outcome
    told = f"{outcome.kind} {outcome.value:.5g}" if outcome.value is not None else outcome.kind
    if outcome.kind == "snapped" and outcome.config is not None:
        told += f" at {values(outcome.config)}"
    told += details_text(outcome.details)
    told += f": {outcome.message}" if outcome.message and outcome.value is None else ""
    if isinstance(proposal.config, str):
        chosen = proposal.config.split(CLOSE, 1)[-1].strip() or "(nothing)"
    else:
        chosen = values(proposal.config)
    return {
        "read": proposal.prompt,
        "thought": str(proposal.reasoning),
        "chose": chosen,
        "told": told,
        "state": "failed" if outcome.value is None else "complete",
        "likely": _likely(proposal.candidates),
    }


def _beside(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What a line holds beside a trajectory: what was expected, and the trends seen."""
    return {
        "expected": expected_text(raw.get("expected"), raw.get("expected_sd")),
        "trends": str(raw.get("trends", "")),
    }


def trial_turn(spec: Spec, trial: LiveTrial) -> dict[str, Any]:
    """A trial of a live study."""
    if trial.value is not None:
        told = f"{spec.metric.name} {number(trial.value, 5)}{details_text(trial.details)}"
    else:
        told = f"failed: {trial.failure}" if trial.status == "failed" else "not told yet"
    return {
        "n": trial.number,
        "read": "",
        "thought": trial.reasoning,
        "chose": values(trial.config),
        "told": told,
        "state": trial.status,
        "likely": _likely(trial.candidates),
        "expected": expected_text(trial.mean, trial.sd),
        "trends": trial.trends,
    }


def _likely(candidates: tuple[Candidate, ...]) -> list[str]:
    return [f"{100 * c.probability:.0f} %: {values(c.config)}" for c in candidates]


def expected_text(mean: float | None, sd: float | None) -> str:
    """E.g. `2.31 ± 0.04`; empty if nothing is expected."""
    if mean is None:
        return ""
    return number(mean, 5) + ("" if sd is None else f" ± {number(sd)}")


def details_text(details: Mapping[str, float]) -> str:
    """Details in brackets, with a blank before; empty for none."""
    return f" ({', '.join(f'{k} {v:.4g}' for k, v in details.items())})" if details else ""
