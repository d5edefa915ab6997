"""The command line of the gym.

`llmconfig-gym list | show | tell | download | import | export | twist | collect | verify |
completion`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from llmconfig_gym.cli import (
    collect_command,
    completion_command,
    export_command,
    import_command,
    look,
    sources_command,
    twist_command,
)
from llmconfig_gym.cli.common import program, run_command
from llmconfig_gym.errors import GymError

EXAMPLES = """examples:
  llmconfig-gym list
  llmconfig-gym show micro/N98k-D1M
  llmconfig-gym tell micro/N98k-D1M '{"lr": 0.008, "batch_size": 4}'
  llmconfig-gym download steplaw
  llmconfig-gym import runs.csv --name mine
  llmconfig-gym twist micro --how reversed --out micro-reversed
  llmconfig-gym collect --out my-micro
  llmconfig-gym verify micro --rows 5
  llmconfig-gym export micro --out micro.csv

`autollmresearch doctor` says what is installed for both programs.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_command(build_parser(), argv, (GymError,))


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser, commands = program("llmconfig-gym", "Measured LLM experiments as a multi-fidelity environment.", EXAMPLES)
    look.register(commands)
    sources_command.register(commands)
    import_command.register(commands)
    export_command.register(commands)
    twist_command.register(commands)
    collect_command.register(commands)
    completion_command.register(commands, parser)
    return parser
