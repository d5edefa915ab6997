"""Files that are whole or absent: written under a temporary name, flushed to disk, then moved into place.

And which names from outside may become names of files: a name is never a path, and a path never leads out of its place.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+-]{0,198}[A-Za-z0-9_+-])?", re.ASCII)
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


def is_file_name(text: str) -> bool:
    """Whether `text` is the name of a file on every system: at most 200 letters, digits and . _ + -, and no device."""
    return _NAME.fullmatch(text) is not None and _DEVICE.fullmatch(text) is None


def is_inside(path: str) -> bool:
    """Whether a path stays within the directory that it is relative to, on every system."""
    if not path or "\0" in path or "\\" in path or PureWindowsPath(path).drive:
        return False
    return not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


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


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Add lines to a file, after dropping a last line that a killed process left unfinished."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        whole = _end_of_last_line(file, end)
        if whole < end:
            file.truncate(whole)
        file.write("".join(f"{line}\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> list[str]:
    """The whole lines of a file; a last one that was left unfinished is not among them."""
    return [line.decode() for line in path.read_bytes().split(b"\n")[:-1]]


def _end_of_last_line(file: BinaryIO, end: int) -> int:
    """The position after the last line break before `end`; 0 if there is none."""
    while end > 0:
        start = max(0, end - 65_536)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


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
