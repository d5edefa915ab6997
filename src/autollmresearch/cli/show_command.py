"""`show` prints a trajectory as a conversation: what was read, thought and chosen, and what came of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from llmconfig_gym.cli.common import Commands, add_format, print_json

if TYPE_CHECKING:
    from autollmresearch.episode import Turn

EPILOG = """example:
  autollmresearch show runs/smoke/simulate/trajectories.jsonl
  autollmresearch show runs/smoke/simulate/trajectories.jsonl --index 4
"""


def register(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser(
        "show",
        help="read a trajectory",
        description="Print one trajectory of a file, turn by turn.",
        epilog=EPILOG,
    )
    p.add_argument("trajectories", type=Path, metavar="FILE", help="a file of trajectories (JSON lines)")
    p.add_argument("--index", type=int, default=1, metavar="N", help="which one, counted from 1 (1)")
    add_format(p)
    p.set_defaults(run=run_show)


def run_show(args: argparse.Namespace) -> int:
    from autollmresearch.errors import TrajectoryProblem
    from autollmresearch.trajectories import read_trajectories, to_dict

    known = list(read_trajectories(args.trajectories))
    if not 1 <= args.index <= len(known):
        raise TrajectoryProblem(
            f"{args.trajectories} holds {len(known)} trajectories; --index is between 1 and that, found {args.index}"
        )
    trajectory = known[args.index - 1]
    if args.format == "json":
        print_json(to_dict(trajectory))
        return 0
    print(
        f"trajectory {args.index} of {len(known)}: {trajectory.experiment}, budget {trajectory.budget}, "
        f"seed {trajectory.seed}, reward {trajectory.reward:.3f}"
    )
    for number, turn in enumerate(trajectory.turns, start=1):
        print_turn(turn, number, trajectory.budget)
    return 0


def print_turn(turn: Turn, number: int, budget: int) -> None:
    """What was read, thought and chosen in one trial, and what came of it."""
    print(f"\n--- trial {number} of {budget} ---")
    for label, text in _parts(turn, budget):
        print(_block(label, text))


def _parts(turn: Turn, budget: int) -> list[tuple[str, str]]:
    """What is said of one turn, with what each piece is."""
    from autollmresearch.cli.suggest_command import percent
    from autollmresearch.dialogue import CLOSE, values

    proposal, outcome = turn.proposal, turn.outcome
    if isinstance(proposal.config, str):
        chosen = proposal.config.split(CLOSE, 1)[-1].strip() or "(nothing)"
    else:
        chosen = values(proposal.config)
    parts = [("read", proposal.prompt), ("thought", proposal.reasoning), ("chose", chosen)]
    parts += [("best", "\n".join(f"{percent(c.probability)} {values(c.config)}" for c in proposal.candidates))]
    told = f"{outcome.kind} {outcome.value:.5g}" if outcome.value is not None else outcome.kind
    if outcome.kind == "snapped" and outcome.config is not None:
        told += f" at {values(outcome.config)}"
    details = ", ".join(f"{k} {v:.4g}" for k, v in outcome.details.items())
    told += f" ({details})" if details else ""
    told += f": {outcome.message}" if outcome.message and outcome.value is None else ""
    parts += [("outcome", told), ("reward", f"{turn.reward:.3f} of {1 / budget:.3f}")]
    return [(label, text) for label, text in parts if text]


def _block(label: str, text: str) -> str:
    """A labelled text whose further lines stand under its first."""
    first, *rest = text.splitlines()
    return "\n".join([f"{label:<8} {first}", *(f"{'':<8} {line}".rstrip() for line in rest)])
