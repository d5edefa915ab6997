"""Files of trajectories: one JSON object per line, for people to read and for training to learn from.

A line holds the experiment's id, budget, seed, reward, and for each turn what was `read` and `wrote` (a language
model's words, or a configuration), the outcome, the reward and, where the policy works on tokens, their ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from autollmresearch.episode import Trajectory, Turn
from autollmresearch.errors import TrajectoryProblem
from autollmresearch.policy import Candidate, Proposal, Tokens, Usage
from llmconfig_gym.experiment import Outcome
from llmconfig_gym.files import append_lines, read_lines
from llmconfig_gym.parameter import shown


def append_trajectories(path: Path, trajectories: Iterable[Trajectory]) -> None:
    """Add whole lines to a file; one that a killed process left unfinished is dropped first."""
    append_lines(path, [json.dumps(to_dict(t)) for t in trajectories])


def read_trajectories(path: Path) -> Iterator[Trajectory]:
    """The trajectories of a file, in order.

    Raises:
        TrajectoryProblem: there is none, or a line is no trajectory.
    """
    try:
        lines = read_lines(path)
    except (OSError, UnicodeDecodeError) as problem:
        raise TrajectoryProblem(f"{path} cannot be read: {problem}") from None
    for number, line in enumerate(lines, start=1):
        try:
            yield from_dict(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as problem:
            kind = type(problem).__name__
            raise TrajectoryProblem(
                f"{path}, line {number} is no trajectory ({kind}: {problem}); expected a file that `train` wrote"
            ) from None


def to_dict(trajectory: Trajectory) -> dict[str, Any]:
    """Plain JSON data."""
    return {
        "experiment": trajectory.experiment,
        "budget": trajectory.budget,
        "seed": trajectory.seed,
        "reward": trajectory.reward,
        "turns": [_turn_to_dict(t) for t in trajectory.turns],
    }


def from_dict(data: dict[str, Any]) -> Trajectory:
    """The inverse of `to_dict`. Raises the errors of plain Python where `data` is something else."""
    turns = tuple(_turn_from_dict(t) for t in data["turns"])
    return Trajectory(str(data["experiment"]), int(data["budget"]), int(data["seed"]), turns)


def _turn_to_dict(turn: Turn) -> dict[str, Any]:
    proposal = turn.proposal
    data: dict[str, Any] = {"read": proposal.prompt, "wrote": _plain(proposal.config)}
    if proposal.reasoning and not isinstance(proposal.config, str):  # else it stands in the words
        data["reasoning"] = proposal.reasoning
    data |= {"outcome": turn.outcome.to_dict(), "reward": turn.reward, "seconds": round(turn.seconds, 6)}
    if proposal.usage != Usage():
        data["usage"] = {"read": proposal.usage.read, "wrote": proposal.usage.wrote, "cost": proposal.usage.cost}
    if proposal.candidates:
        data["candidates"] = [c.to_dict() for c in proposal.candidates]
    if (tokens := proposal.tokens) is not None:
        data["tokens"] = {"read": tokens.read, "wrote": tokens.wrote, "logprobs": tokens.logprobs}
    return data


def _turn_from_dict(data: dict[str, Any]) -> Turn:
    from autollmresearch.dialogue import reasoning

    wrote, tokens = data["wrote"], data.get("tokens")
    thought = reasoning(wrote) if isinstance(wrote, str) else data.get("reasoning", "")
    proposal = Proposal(
        wrote,
        thought,
        prompt=str(data["read"]),
        tokens=Tokens(*(tuple(tokens[k]) for k in ("read", "wrote", "logprobs"))) if tokens else None,
        usage=Usage(**data.get("usage", {})),
        candidates=tuple(Candidate(c["config"], c["probability"]) for c in data.get("candidates", ())),
    )
    outcome = Outcome(**data["outcome"])
    known = (
        {} if outcome.config is None else outcome.config,
        outcome.details,
        *(c.config for c in proposal.candidates),
    )
    if not all(isinstance(mapping, Mapping) for mapping in known):
        raise TypeError("configurations and details map names to values")
    return Turn(proposal, outcome, float(data["reward"]), float(data["seconds"]))


def _plain(config: object) -> object:
    """A configuration as JSON can hold it: whatever else a policy proposed is shown in words."""
    try:
        json.dumps(config, allow_nan=False)
        return config
    except (TypeError, ValueError, RecursionError):
        return shown(config)
