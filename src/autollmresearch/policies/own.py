"""A user's own method by name: `python:FILE.py:NAME`, a policy's class (or a function that makes one) in a file.

The file is run as it stands, by every worker; only name files that you would run yourself.
"""

from __future__ import annotations

import hashlib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from autollmresearch.errors import UnknownMethod
from autollmresearch.policy import Policy

OWN = "python"
"""What such a name starts with."""

FORM = f"{OWN}:FILE.py:NAME"


def make_own(name: str) -> Policy:
    """The policy that a file makes.

    Raises:
        UnknownMethod: there is no such file or name in it, or what it makes is no policy; whatever the file itself
            raises is its cause.
    """
    path, attribute = _parts(name)
    spec = spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UnknownMethod(f"{name!r}: {path} is no Python file; expected {FORM}")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        make = getattr(module, attribute, None)
        policy = make() if callable(make) else None
    except Exception as problem:
        raise UnknownMethod(f"{name!r}: {path} fails with {type(problem).__name__}: {problem}") from problem
    if not callable(getattr(policy, "propose", None)):
        raise UnknownMethod(
            f"{name!r}: {attribute} in {path} must be a class (or a function) that is called without arguments and "
            "gives an object with propose(states); see examples/my_method.py"
        )
    result: Policy = policy  # type: ignore[assignment]
    return result


def identity_of_own(name: str) -> dict[str, str]:
    """The file's digest, so that results of another version of it are not taken for these."""
    path, _ = _parts(name)
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _parts(name: str) -> tuple[Path, str]:
    place, _, attribute = name.partition(":")[2].rpartition(":")
    path = Path(place).expanduser()
    if not attribute or not path.is_file():
        raise UnknownMethod(f"{name!r}: there is no file {place or attribute!r}; expected {FORM}")
    return path, attribute
