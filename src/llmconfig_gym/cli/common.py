"""What every command of both programs shares: how options, errors, interruptions and output behave.

Results go to standard output, everything else to standard error; what went wrong is one line there, and an exit code
(exits.py). Colour only marks words that stand there anyway, only on a terminal, and never where `NO_COLOR` is set.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stderr
from difflib import get_close_matches
from io import TextIOBase
from typing import IO, Any, NoReturn, TypeAlias

from llmconfig_gym.exits import Exit

Commands: TypeAlias = "argparse._SubParsersAction[Any]"
"""What a command's `register` adds its parser to."""

RESUME_HINT = "Nothing half-made is left: run the same command again."
"""What is said after Ctrl-C of a command that has no `resume_hint` of its own: files are whole or absent."""

COLOURS = {"red": "1;31", "green": "32", "yellow": "33"}


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors and examples kept as written in `epilog`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        say_error(self.prog, f"{message} (see {self.prog} --help)")
        raise SystemExit(int(Exit.WRONG_USE))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """As argparse, with what may have been meant, and in the same words for every version of Python."""
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            close = get_close_matches(str(value), known, n=1)
            meant = f"did you mean {close[0]!r}? " if close else ""
            raise argparse.ArgumentError(action, f"invalid choice: {value!r}; {meant}choose from {', '.join(known)}")


def program(prog: str, description: str, examples: str) -> tuple[Parser, Commands]:
    """The parser of a program, with what both have (`--version`, exit codes in its help), and its commands' place."""
    codes = "\n".join(f"  {code:<4} {code.meaning}" for code in Exit)
    parser = Parser(prog=prog, description=description, epilog=f"{examples}\nexit codes:\n{codes}\n")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands: Commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    return parser, commands


class _Version(argparse.Action):
    """`--version`; argparse's own would have to look the version up for every command."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"{parser.prog} {version('autollmresearch')}")
        parser.exit()


def add_format(parser: argparse.ArgumentParser) -> None:
    """The `--format table|json` and the `--quiet` that every command takes; JSON goes to standard output alone."""
    parser.add_argument("--format", choices=("table", "json"), default="table", help="output format (default: table)")
    parser.add_argument("--quiet", action="store_true", help="nothing but the result and errors")


def add_progress(parser: argparse.ArgumentParser) -> None:
    """The `--no-progress` of every command that may take more than two seconds; it has a `resume_hint` as well."""
    parser.add_argument("--no-progress", dest="progress", action="store_false", help="no progress bar")


def run_command(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, errors: tuple[type[Exception], ...]
) -> int:
    """Parse, run the chosen command's `run(args)`, and turn what went wrong into an exit code.

    Args:
        errors: the typed errors whose message is for the user; each class has its `exit_code`.
    """
    args = parser.parse_args(argv)
    quiet = getattr(args, "quiet", False)
    if quiet:
        args.progress = False
    try:
        with _silence() if quiet else nullcontext():
            return int(args.run(args))
    except errors as problem:
        say_error(parser.prog, str(problem))
        return int(getattr(problem, "exit_code", Exit.WRONG_USE))
    except OSError as problem:
        if isinstance(problem, BrokenPipeError):  # the reader of our output went away: nobody is left to tell
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return Exit.DONE
        say_error(parser.prog, _of_the_system(problem))
        return Exit.WRONG_USE
    except KeyboardInterrupt:
        print(file=sys.stderr)  # the terminal's ^C, or a progress bar, stands on this line
        say_error(parser.prog, f"interrupted. {getattr(args, 'resume_hint', RESUME_HINT)}")
        return Exit.INTERRUPTED


def _of_the_system(problem: OSError) -> str:
    """What the system refused and, of a full disk, which no code can foresee, what to do."""
    if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
        return str(problem)
    where = f" ({problem.filename})" if problem.filename else ""
    return f"the disk is full{where}; make room, then run the same command again: what was finished is kept"


class _Nowhere(TextIOBase):
    """A text file that keeps nothing. It is never closed: a library may hold on to it for its log."""

    def write(self, text: str, /) -> int:
        return len(text)


_NOWHERE = _Nowhere()


def _silence() -> AbstractContextManager[object]:
    """Notes, bars and warnings go nowhere; what is raised is said as ever."""
    return redirect_stderr(_NOWHERE)


def say_error(prog: str, text: str) -> None:
    """The one line that says what went wrong, on standard error."""
    print(f"{coloured(f'{prog}:', 'red', sys.stderr)} {' '.join(text.split())}", file=sys.stderr)


def coloured(text: str, colour: str, stream: IO[str]) -> str:
    """`text` in one of `COLOURS` where `stream` is a terminal that shows them and nobody said `NO_COLOR`."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty()
    return text if plain else f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"


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
