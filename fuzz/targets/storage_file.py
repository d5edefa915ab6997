"""The SQLite file of a study, damaged."""

from __future__ import annotations

from functools import cache

from autollmresearch.live.study import find_study, study_names
from fuzz.scratch import put, scratch
from fuzz.targets.stored_study import made

RUNS, LONGEST = 1_500, 200_000
WORDS = (b"studies", b"version_info", b"SQLite format 3\x00", b"autollmresearch", b"\x00" * 16, b"\xff" * 16)


@cache
def _file() -> bytes:
    made("whole.db")
    return (scratch() / "whole.db").read_bytes()


def seeds() -> list[bytes]:
    return [_file()]


def read(data: bytes) -> None:
    url = f"sqlite:///{put('damaged.db', data)}"
    study_names(url)
    found = find_study("a", url)
    if found is not None:
        found.trials()
