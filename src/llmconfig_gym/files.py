"""Files that are whole or absent: written under a temporary name, flushed to disk, then moved into place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; when the block ends without an error it replaces `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp makes files private; these are for everyone who may read the folder
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file, or nothing."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """A temporary directory beside `path`; when the block ends without an error it takes the place of `path`.

    An existing directory is moved aside first and removed last, so that one of the two is always there whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    old = temporary.with_name(temporary.name + ".old")
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            path.replace(old)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if old.exists() and not path.exists():  # the move failed half-way
            old.replace(path)
        if old.exists():
            shutil.rmtree(old, ignore_errors=True)


@contextmanager
def only_one(directory: Path, refusal: Exception) -> Iterator[None]:
    """Keep every other process that asks for the same out of `directory`, or raise `refusal` if one is in it.

    The lock is the kernel's: it goes with this process, however it ends.
    """
    try:
        import fcntl
    except ImportError:  # Windows: not guarded
        yield
        return
    with (directory / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise refusal from None
        yield
