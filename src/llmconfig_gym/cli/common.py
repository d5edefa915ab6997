"""What every command of both programs shares: how errors, interruptions and output behave.

Exit codes: 0 done; 2 bad input (one line on standard error says what was found, what was expected and what to do);
130 interrupted. Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[Any]"
"""What a command's `register` adds its parser to."""

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors and examples kept as written in `epilog`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def add_format(parser: argparse.ArgumentParser) -> None:
    """The `--format table|json` that every command takes; JSON goes to standard output alone."""
    parser.add_argument("--format", choices=("table", "json"), default="table", help="output format (default: table)")


def add_progress(parser: argparse.ArgumentParser) -> None:
    """The `--no-progress` of every command that takes a while."""
    parser.add_argument("--no-progress", dest="progress", action="store_false", help="no progress bar")


def run_command(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, errors: tuple[type[Exception], ...]
) -> int:
    """Parse, run the chosen command's `run(args)`, and turn what went wrong into an exit code.

    Args:
        errors: the typed errors whose message is for the user.
    """
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except errors as problem:
        print(f"{parser.prog}: {_one_line(str(problem))}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except OSError as problem:
        if isinstance(problem, BrokenPipeError):  # the reader of our output went away: nobody is left to tell
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"{parser.prog}: {_one_line(str(problem))}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        hint = getattr(args, "resume_hint", "")
        print(f"\n{parser.prog}: interrupted.{' ' + hint if hint else ''}", file=sys.stderr)
        return EXIT_INTERRUPTED


def _one_line(text: str) -> str:
    return " ".join(text.split())


def print_json(data: Any) -> None:
    """One JSON document on standard output. NaN and infinity, which JSON lacks, become null."""
    print(json.dumps(_finite(data), indent=1, ensure_ascii=False))


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if abs(data) < float("inf") else None
    if isinstance(data, dict):
        return {k: _finite(v) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(v) for v in data]
    return data


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A plain table on standard output."""
    from tabulate import tabulate

    print(tabulate([[str(c) for c in row] for row in rows], headers, tablefmt="simple", disable_numparse=True))
