"""`completion` prints what makes a shell complete a program's commands, options, choices and files."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from llmconfig_gym.cli.common import Commands
from llmconfig_gym.errors import missing_extra
from llmconfig_gym.exits import Exit

SHELLS = ("bash", "zsh", "fish")
DIRECTORIES = ("DIR", "RUN")
"""Metavariables of paths that are directories."""
FILES = ("RUNS",)
"""Metavariables of what is mostly a file, but may be a place that is no path."""

EPILOG = """examples:
  {prog} completion bash > ~/.local/share/bash-completion/completions/{prog}
  {prog} completion zsh > ~/.zfunc/_{prog}      # with fpath+=~/.zfunc before compinit in ~/.zshrc
  {prog} completion fish > ~/.config/fish/completions/{prog}.fish
"""


def register(commands: Commands, program: argparse.ArgumentParser) -> None:
    """Add the command that completes `program`; the script has all commands that `program` has when it is made."""
    p = commands.add_parser(
        "completion",
        help="make a shell complete this program",
        description="Print a completion script for a shell. It is static: pressing the key starts no Python.",
        epilog=EPILOG.format(prog=program.prog),
    )
    p.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"{', '.join(SHELLS)}")
    p.set_defaults(run=partial(run_completion, program))


def run_completion(program: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Print the script. Raises `MissingExtra` without shtab."""
    try:
        import shtab
    except ImportError:
        raise missing_extra("shtab", "completion", "completion") from None
    for parser in (program, *commands_of(program).values()):
        for action in parser._actions:
            if action.type is Path or action.metavar in FILES:
                action.complete = shtab.DIRECTORY if action.metavar in DIRECTORIES else shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(program, shell=args.shell))
    return Exit.DONE


def commands_of(program: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands of a program, by name."""
    (commands,) = (a for a in program._actions if isinstance(a, argparse._SubParsersAction))
    return dict(commands.choices)
