"""Where runs are: a file, a folder or a database, and which of several things in it.

`runs.csv`, `mlruns`, `optuna.db`, `optuna.db#big` (the study `big` in it), `postgresql://user@host/db#big`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmconfig_gym.errors import ImportProblem, unknown_name

_FILE = re.compile(r"sqlite:///(.+)|file://(/.+)")  # sqlite:///relative.db, sqlite:////absolute.db, file:///absolute
_URL = re.compile(r"[a-z][a-z0-9+]*://.*")


@dataclass(frozen=True)
class Source:
    """Where runs are.

    Attributes:
        text: as a person typed it.
        place: the path, or the URL of a server.
        parts: the names after `#`: studies, experiments or projects in it; empty for the only one.
    """

    text: str
    place: str
    parts: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Source:
        """What a person typed; a file that is really called so comes before every other reading."""
        if Path(text).exists():
            return cls(text, text)
        place, _, names = text.partition("#")
        parts = tuple(part for n in names.split(",") if (part := n.strip()))
        match = _FILE.fullmatch(place)
        return cls(text, match.group(match.lastindex or 0) if match else place, parts)

    @property
    def url(self) -> str | None:
        """The URL, if it is on a server."""
        return self.place if _URL.fullmatch(self.place) else None

    @property
    def path(self) -> Path:
        """The file or folder; of a server, what it may be called in messages (a URL may hold a password)."""
        return Path("+".join(self.parts) or "storage") if self.url else Path(self.place)

    @property
    def name(self) -> str:
        """For messages and names of studies."""
        return self.path.name or self.place

    @property
    def stem(self) -> str:
        """A name for what is made of it."""
        return self.path.stem

    def exists(self) -> bool:
        """Whether a file or folder is there; a server is taken to be."""
        return self.url is not None or self.path.exists()

    def __str__(self) -> str:
        return self.text

    def choose(self, kind: str, known: Sequence[str]) -> tuple[str, ...]:
        """Which of the studies, experiments or projects in it are meant.

        Raises:
            ImportProblem: there is none, one that is named is not there, or there are several and none is named.
        """
        if not known:
            raise ImportProblem(f"{self.name} holds no {kind} with runs")
        for part in self.parts:
            if part not in known:
                raise ImportProblem(f"{self.name}: {unknown_name(kind, part, known)}")
        if self.parts or len(known) == 1:
            return self.parts or tuple(known)
        some = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        place = self.name if self.url else self.place
        raise ImportProblem(
            f"{self.name} holds several {_plural(kind)} ({some}); name those meant, as in '{place}#{known[0]}'"
        )


def _plural(kind: str) -> str:
    return "studies" if kind == "study" else f"{kind}s"
