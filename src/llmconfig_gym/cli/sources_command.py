"""`download`: fetch public tables and convert them to suites in the cache."""

from __future__ import annotations

import argparse
import sys

from llmconfig_gym.catalog import SOURCES, load_suite
from llmconfig_gym.cli.common import Commands, add_format, add_progress, print_json, print_table
from llmconfig_gym.errors import unknown_name

EXAMPLES = """offline: set AUTOLLMRESEARCH_MIRROR to a folder laid out as owner/repo/commit/path

examples:
  llmconfig-gym download steplaw
  llmconfig-gym download --replace
"""


def register(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser(
        "download",
        help="fetch public tables",
        description="Fetch public tables at their pinned commits, check them, and keep them in the cache as suites.",
        epilog=EXAMPLES,
    )
    p.add_argument("sources", nargs="*", metavar="SOURCE", help=f"of {', '.join(SOURCES)} (default: all)")
    p.add_argument("--replace", action="store_true", help="convert again what is cached")
    add_progress(p)
    add_format(p)
    p.set_defaults(run=run_download, resume_hint="Run the same command again: files already checked are kept.")


def run_download(args: argparse.Namespace) -> int:
    from llmconfig_gym.sources.download import build

    names = args.sources or list(SOURCES)
    for name in names:
        if name not in SOURCES:
            raise unknown_name("source", name, SOURCES)
    results = []
    for name in names:
        path = build(name, progress=args.progress, replace=args.replace)
        suite = load_suite(name)
        print(f"{name}: {suite.card.title}", file=sys.stderr)
        print(f"  licence: {suite.card.licence}\n  cite: {suite.card.citation}", file=sys.stderr)
        results.append(
            {
                "suite": name,
                "experiments": len(suite.ids),
                "path": str(path),
                "licence": suite.card.licence,
                "citation": suite.card.citation,
            }
        )
    if args.format == "json":
        print_json(results)
    else:
        print_table(("suite", "experiments", "path"), [(r["suite"], r["experiments"], r["path"]) for r in results])
    return 0
