"""The command line of the researcher: `autollmresearch benchmark | report`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from autollmresearch.cli import benchmark_command
from autollmresearch.errors import ResearchError
from llmconfig_gym.cli.common import Commands, Parser, run_command
from llmconfig_gym.errors import GymError

EXAMPLES = """examples:
  autollmresearch benchmark --out runs/micro
  autollmresearch benchmark --suite steplaw --protocol full,metered:10 --methods random,copy,pooled-gp --out runs/s
  autollmresearch report runs/micro
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_command(build_parser(), argv, (ResearchError, GymError))


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = Parser(
        prog="autollmresearch",
        description="Learn from cheap LLM experiments, propose the configuration for the expensive one.",
        epilog=EXAMPLES,
    )
    commands: Commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    benchmark_command.register(commands)
    return parser
