"""`leaderboard` puts the rows of benchmarks together and says how all methods stand."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from llmconfig_gym.cli.common import Commands, add_format, print_json

EPILOG = """examples:
  autollmresearch leaderboard runs/micro
  autollmresearch leaderboard benchmarks/kept.parquet runs/mine --suite micro --protocol metered:10 --against copy
  autollmresearch leaderboard benchmarks/kept.parquet --out leaderboard.html

Rows of a method of your own compare with rows that others made of the same suites, protocols and --budget, on the seeds
that all have.
"""


def register(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser(
        "leaderboard",
        help="rank all methods, from rows alone",
        description="Put the rows of benchmarks together and rank all methods; the HTML page needs no other file.",
        epilog=EPILOG,
    )
    p.add_argument("rows", nargs="+", type=Path, metavar="ROWS", help="Parquet files of rows, or a benchmark's --out")
    p.add_argument("--suite", dest="suites", default="", metavar="S,...", help="only these suites (default: all)")
    p.add_argument(
        "--protocol", dest="protocols", default="", metavar="P,...", help="only these protocols (default: all)"
    )
    p.add_argument("--against", metavar="METHOD", help="compare all with this one (default: the best by rank)")
    p.add_argument("--out", type=Path, metavar="FILE", help="also write a page")
    add_format(p)
    p.set_defaults(run=run_leaderboard)


def run_leaderboard(args: argparse.Namespace) -> int:
    from autollmresearch.benchmark.leaderboard import read_rows, tables, write_leaderboard
    from llmconfig_gym.errors import unknown_name

    suites, protocols = ([name for name in text.split(",") if name] for text in (args.suites, args.protocols))
    frame = read_rows(args.rows, suites, protocols)
    if args.against is not None and args.against not in {*frame["method"]}:
        raise unknown_name("method", args.against, {*frame["method"]})
    found = tables(frame, args.against)
    page = None if args.out is None else str(write_leaderboard(args.out, frame, found))
    if args.format == "json":
        print_json({"page": page, "standings": [asdict(standing) for standing, _ in found]})
        return 0
    for standing, table in found:
        print(f"{table.title}\n{table.plain()}")
        print(f"not run on all of them: {', '.join(standing.missing)}\n" if standing.missing else "")
    if page is not None:
        print(f"page: {page}")
    return 0
