"""Optuna's journal of studies, JSON lines, made into a suite."""

from __future__ import annotations

from functools import cache

from fuzz.scratch import put, scratch
from fuzz.targets.import_optuna_database import fill
from llmconfig_gym.importing import Source, import_table

RUNS, LONGEST = 25_000, 9000
WORDS = (b'"op_code": ', b'"worker_id":', b'"study_id":', b'"trial_id":', b'"distribution":', b"null", b"NaN", b"1e999")


@cache
def _whole() -> bytes:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path = scratch() / "whole.log"
    fill(JournalStorage(JournalFileBackend(str(path))))
    return path.read_bytes()


def seeds() -> list[bytes]:
    return [_whole()]


def read(data: bytes) -> object:
    path = str(put("journal.log", data))
    return import_table(Source(path, path, ("cheap",) if len(data) % 2 else ()), "mine")
