"""The exit codes of both programs, in one place; docs/cli.md has the same table for people.

Which typed error ends with which code stands with the error, as `exit_code` (errors.py of both packages).
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a command ended with. Whatever is not 0 was said on standard error, in one line."""

    DONE = 0
    NO = 1
    WRONG_USE = 2
    NOT_INSTALLED = 3
    UNAVAILABLE = 4
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """The code in words, for `--help`."""
        return _MEANINGS[self]


_MEANINGS = {
    Exit.DONE: "done",
    Exit.NO: "the answer is no: `verify` found a difference, `doctor` something broken (or a bug, with a traceback)",
    Exit.WRONG_USE: "what was asked for cannot be done: an option, a name, a file or what stands in it is wrong",
    Exit.NOT_INSTALLED: "packages are missing; the message has the command that installs them",
    Exit.UNAVAILABLE: "a public table, a server or a study's storage is not there, or cannot be used",
    Exit.INTERRUPTED: "interrupted by Ctrl-C; the message says how to go on",
}
