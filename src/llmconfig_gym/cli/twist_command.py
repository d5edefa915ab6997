"""`twist`: a suite whose targets or cheaper experiments are changed on purpose, to test how far knowledge carries."""

from __future__ import annotations

import argparse
from pathlib import Path

from llmconfig_gym.catalog import load_suite
from llmconfig_gym.cli.common import Commands, add_format, print_json, print_table
from llmconfig_gym.errors import InvalidTwist
from llmconfig_gym.twist import HOWS, twist

EXAMPLES = """dropped:  targets lack a third of each grid's levels
shifted:  targets keep two thirds of each grid at one end, cheaper experiments two thirds at the other
reversed: every grid of the cheaper experiments is mirrored, so that their best configurations mislead

examples:
  llmconfig-gym twist micro --how reversed --targets medium --out micro-reversed
  autollmresearch benchmark --suite ./micro-reversed --level medium --methods random,copy,analyst --out runs/reversed
"""


def register(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser(
        "twist",
        help="derive a suite that tests transfer",
        description="Derive a suite that tests how far a method's knowledge carries; nothing is measured anew.",
        epilog=EXAMPLES,
    )
    p.add_argument("suite", metavar="SUITE", help="the name of a suite, or the path of its directory")
    p.add_argument("--how", required=True, choices=HOWS, help="see below")
    p.add_argument("--seed", type=int, default=0, help="what is dropped, and which way it is shifted (default: 0)")
    p.add_argument("--targets", choices=("high", "medium"), default="high", help="level of the targets (default: high)")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the suite goes")
    add_format(p)
    p.set_defaults(run=run_twist)


def run_twist(args: argparse.Namespace) -> int:
    """Derive, write, show. Raises `GymError` for bad input."""
    out: Path = args.out
    if out.exists():
        raise InvalidTwist(f"{out} exists already; choose another place with --out")
    source = load_suite(args.suite)
    suite = twist(source, args.how, seed=args.seed, targets=args.targets)
    suite.save(out)
    notes = suite.card.notes[: len(suite.card.notes) - len(source.card.notes)]  # the rest are the source's own
    before = {s.id.partition("/")[2]: s.configurations for s in source.summaries}
    rows = [(s.id, s.level, before[s.id.partition("/")[2]], s.configurations) for s in suite.summaries]
    if args.format == "json":
        keys = ("id", "level", "configurations_before", "configurations")
        experiments = [dict(zip(keys, row, strict=True)) for row in rows]
        print_json({"suite": suite.name, "path": str(out), "notes": notes, "experiments": experiments})
        return 0
    print_table(("id", "level", "configurations before", "configurations"), rows)
    print()
    for note in notes:
        print(f"note: {note}")
    print(f"written to {out}")
    return 0
