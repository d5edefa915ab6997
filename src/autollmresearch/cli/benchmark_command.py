"""`benchmark` runs methods on suites under protocols, and ends in a table and a report."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from llmconfig_gym.cli.common import Commands, Parser, add_format, add_progress, print_json
from llmconfig_gym.cli.workers import add_workers, read_workers

if TYPE_CHECKING:
    import pandas as pd

    from autollmresearch.benchmark.settings import BenchmarkSettings
    from llmconfig_gym.parallel import Workers

BENCHMARK_EXAMPLES = """it resumes: the same command with the same --out runs only what is missing.

examples:
  autollmresearch benchmark --out runs/micro
  autollmresearch benchmark --suite micro --protocol metered:10 --budget 3 --methods random,copy --out runs/ten
  autollmresearch benchmark --suite ./mine,steplaw --methods all --seeds 20 --workers 2 --out runs/all
"""


def register(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser(
        "benchmark",
        help="compare methods",
        description="Run methods on the targets of suites, each with the same information and budget.",
        epilog=BENCHMARK_EXAMPLES,
    )
    add_targets(p, protocols="full", budget=10, seeds=10)
    p.add_argument(
        "--methods",
        action="append",
        metavar="M,...",
        help="methods, e.g. random,tpe:startup=3,agent:PATH,endpoint:MODEL; all: every one that needs no path or model",
    )
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="where results, settings and report go")
    add_progress(p)
    add_format(p)
    hint = "Finished cells are kept; run the same command again to go on."
    p.set_defaults(run=run_benchmark_command, resume_hint=hint)


def add_targets(p: Parser, *, protocols: str, budget: int, seeds: int) -> None:
    """What every command that runs benchmarks is asked: on which targets, and how often. Defaults are as given."""
    p.add_argument("--suite", dest="suites", default="micro", metavar="S,...", help="suites by name or path (micro)")
    known = f"full, metered:N, active:B ({protocols})"
    p.add_argument("--protocol", dest="protocols", default=protocols, metavar="P,...", help=known)
    p.add_argument("--budget", type=int, default=budget, help=f"trials on each target, or parts of B ({budget})")
    p.add_argument("--seeds", type=int, default=seeds, help=f"episodes per method and target ({seeds})")
    p.add_argument("--level", choices=("medium", "high"), default="high", help="which experiments are targets (high)")
    add_workers(p, "all cores")


def read_targets(args: argparse.Namespace, methods: tuple[str, ...]) -> BenchmarkSettings:
    """The settings that `add_targets` asked for."""
    from autollmresearch.benchmark.settings import BenchmarkSettings

    suites, protocols = tuple(args.suites.split(",")), tuple(args.protocols.split(","))
    return BenchmarkSettings(suites, protocols, methods, args.budget, args.seeds, args.level)


def read_processes(args: argparse.Namespace) -> Workers:
    """Where `add_targets` was told to run. Raises `InvalidSettings`."""
    from autollmresearch.errors import InvalidSettings

    return read_workers(args, os.cpu_count() or 1, InvalidSettings)


def run_benchmark_command(args: argparse.Namespace) -> int:
    from autollmresearch.benchmark.runner import run_benchmark
    from autollmresearch.methods import ALL, DEFAULT, installed, split_methods

    if args.methods:
        named = [m for text in args.methods for m in split_methods(text)]
    else:
        named, notes = installed(DEFAULT)
        for note in notes:
            print(f"note: {note}", file=sys.stderr)
    methods = tuple(m for name in named for m in (ALL if name == "all" else (name,)))
    settings, workers = read_targets(args, methods), read_processes(args)
    frame = run_benchmark(settings, args.out, workers=workers, progress=args.progress)
    return show_benchmark(args, args.out, frame)


def show_benchmark(args: argparse.Namespace, out: Path, frame: pd.DataFrame) -> int:
    """Write the report of a benchmark into its directory and print its tables."""
    from autollmresearch.benchmark.report import write_report
    from autollmresearch.benchmark.standing import standings
    from autollmresearch.benchmark.summary import summarize
    from autollmresearch.benchmark.tables import headline, not_applicable, overall

    page = write_report(out, frame)
    groups, places = list(summarize(frame)), list(standings(frame))
    if args.format == "json":
        files = {"report": str(page), "results": str(out / "results.parquet")}
        print_json({**files, "groups": [g.to_dict() for g in groups], "standings": [asdict(s) for s in places]})
        return 0
    for group in groups:
        table = headline(group)
        print("\n".join(("", table.title, table.plain(), *not_applicable(group))))
    for table in map(overall, places):
        print("\n".join(("", table.title, table.plain())))
    print(f"\nreport: {page}")
    return 0
