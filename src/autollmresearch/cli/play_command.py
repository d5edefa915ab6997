"""`play` lets a method play one episode and shows it as it comes: what it reads, thinks, chooses, and the outcome."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from autollmresearch.cli.study_commands import add_decode
from llmconfig_gym.cli.common import Commands, add_format, print_json

if TYPE_CHECKING:
    from autollmresearch.episode import Turn

EPILOG = """examples:
  autollmresearch play micro/N98k-D1M --protocol metered:10
  autollmresearch play micro/N98k-D1M --policy endpoint:MODEL,evidence=1 --budget 5
"""


def register(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser(
        "play",
        help="watch a method think",
        description="Play one episode on an experiment that was measured, and show it turn by turn.",
        epilog=EPILOG,
    )
    p.add_argument("experiment", metavar="EXPERIMENT", help="its id (llmconfig-gym list SUITE)")
    p.add_argument("--policy", metavar="NAME", help="who plays, a method of `benchmark` (researcher-mini)")
    add_decode(p)
    p.add_argument("--budget", type=int, default=3, metavar="T", help="trials (3)")
    p.add_argument("--protocol", default="full", metavar="P", help="what is known before: full, metered:N (full)")
    p.add_argument("--seed", type=int, default=0, help="of the protocol's draw and of the method's own randomness (0)")
    add_format(p)
    p.set_defaults(run=run_play, resume_hint="Nothing was kept: the same command plays the same episode again.")


def run_play(args: argparse.Namespace) -> int:
    from autollmresearch.benchmark.protocols import Protocol
    from autollmresearch.cli.show_command import print_turn
    from autollmresearch.episode import run_episodes
    from autollmresearch.errors import InvalidSettings
    from autollmresearch.methods import make_policy
    from autollmresearch.policies.named import decoding, default_policy
    from autollmresearch.trajectories import to_dict
    from llmconfig_gym.catalog import load_experiment, load_suite

    if args.budget < 1 or args.seed < 0:
        raise InvalidSettings(f"--budget is at least 1 and --seed at least 0, found {args.budget} and {args.seed}")
    name = args.policy or default_policy()
    if args.decode:
        name = decoding(name, args.decode)
    policy = make_policy(name)
    target = load_experiment(args.experiment)
    cheaper = load_suite(args.experiment.rpartition("/")[0]).cheaper(target.id)
    problems = Protocol.parse(args.protocol).problems(target, cheaper, args.budget, [args.seed])
    played: list[Turn] = []

    def watch(turn: Turn) -> None:
        played.append(turn)
        if args.format == "table":
            print_turn(turn, len(played), args.budget)

    (trajectory,) = run_episodes(policy, [target], problems, [args.seed], watch=watch)
    if args.format == "json":
        print_json({"policy": name, "protocol": args.protocol, **to_dict(trajectory)})
    else:
        print(f"\n{name} on {target.id}: reward {trajectory.reward:.3f} of 1")
    return 0
