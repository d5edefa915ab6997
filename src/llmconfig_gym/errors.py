"""Everything that can go wrong in LLMConfig-Gym, in one place.

The error model: inside an episode nothing raises. A proposal that cannot be told is data: an
`Outcome` of kind `invalid`, `duplicate` or `over_budget`. Outside an episode (loading, downloading,
importing, collecting) a problem raises one of the errors below, and its message says what was found,
what was expected and what to do. The command line prints that message on one line and exits with the
error's `exit_code`.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec
from typing import ClassVar

from llmconfig_gym.exits import Exit


class GymError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code: ClassVar[Exit] = Exit.WRONG_USE


class InvalidConfig(GymError):
    """A configuration is not legal in its space (unknown or missing key, wrong type, NaN, off the simplex)."""


class InvalidSpace(GymError):
    """A parameter or space is defined in a way that has no legal configuration or an ambiguous one."""


class UnknownName(GymError):
    """An experiment, suite or source was asked for by a name that does not exist."""


class SuiteFormatError(GymError):
    """A suite on disk is damaged, incomplete or written by another version."""


class SourceUnavailable(GymError):
    """A public table could not be fetched and is not in the local mirror."""

    exit_code = Exit.UNAVAILABLE


class ChecksumMismatch(GymError):
    """A fetched file is not the file this version was made for."""


class UnsafePickle(GymError):
    """A pickle asks for a name outside the short list this project admits."""


class SourceFormatError(GymError):
    """A public table has a shape this version does not know (a column or key is missing)."""


class ImportProblem(GymError):
    """A user's table cannot become a suite as it stands."""


class InvalidTwist(GymError):
    """A suite cannot be twisted as asked: nothing in it can be, or too little would be left."""


class CollectError(GymError):
    """A sweep cannot start, resume or be verified."""


class WorkersLost(GymError):
    """A process or node that ran jobs died, or a cluster cannot be reached."""


class NodesDiffer(GymError):
    """A node of a cluster has not what the program that sends it jobs has: its numbers would be others."""


class InvalidCommand(GymError):
    """A command of the user's own cannot be filled in: it is empty, lacks a placeholder or asks for an unknown one."""


class InvalidDescription(GymError):
    """A YAML file that a person wrote lacks something, or holds something unknown or of the wrong kind."""


class EpisodeOver(GymError):
    """`step` was called on an environment that has not been reset or whose budget is spent."""


class BrokenPromise(GymError, AssertionError):
    """A suite, environment or policy does not do as a conformance check (`llmconfig_gym.testing`) says it must."""


class MissingExtra(GymError):
    """A part of the product needs packages that the plain installation does not bring."""

    exit_code = Exit.NOT_INSTALLED


def unknown_name(kind: str, name: str, known: Iterable[str], hint: str = "") -> UnknownName:
    """An `UnknownName` that suggests the nearest known names ("did you mean")."""
    names = sorted(known)
    small = {n.lower(): n for n in names}
    close = [small[c] for c in get_close_matches(name.lower(), small, n=3, cutoff=0.5)]
    if close:
        advice = f"did you mean {' or '.join(repr(c) for c in close)}?"
    elif names:
        shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        advice = f"known: {shown}."
    else:
        advice = "none is known."
    return UnknownName(f"no {kind} is called {name!r}; {advice}{' ' + hint if hint else ''}")


def need(module: str, extra: str, purpose: str, *, package: str = "") -> None:
    """Raise `MissingExtra` if a module is not installed: when a thing is made, not in the middle of its work.

    Args:
        package: under which name the module is installed, if under another.
    """
    if find_spec(module) is None:
        raise missing_extra(package or module, extra, purpose)


def missing_extra(package: str, extra: str, purpose: str) -> MissingExtra:
    """A `MissingExtra` that names the package, what it is for and the command that installs it."""
    return MissingExtra(
        f"{purpose} needs the package {package!r}, which is not installed; "
        f"install it with: pip install 'autollmresearch[{extra}]'"
    )
