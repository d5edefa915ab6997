"""Catalog: from a name to a suite or an experiment.

A suite's name is `micro` (embedded in the package), a public source (`steplaw`, `hwgpt`, `admire`, `regmix`; in
the cache once downloaded), or the path of a suite directory of one's own.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from llmconfig_gym.errors import SourceUnavailable, unknown_name
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.suite import Suite

EMBEDDED = ("micro",)
SOURCES = ("steplaw", "hwgpt", "admire", "regmix")
CACHE_VARIABLE = "AUTOLLMRESEARCH_CACHE"


def cache_dir() -> Path:
    """Where downloaded tables live: `$AUTOLLMRESEARCH_CACHE`, or the user's cache directory."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("autollmresearch"))


def suite_path(name: str) -> Path:
    """Where the suite of this name is, or would be.

    Raises:
        UnknownName: neither an embedded suite, a public source nor a directory with a `suite.json`.
    """
    if name in EMBEDDED:
        return Path(str(files("llmconfig_gym"))) / "data" / name
    if name in SOURCES:
        return cache_dir() / "suites" / name
    with suppress(OSError):  # e.g. longer than a file name may be
        if (path := Path(name)).is_dir() and (path / "suite.json").is_file():
            return path
    raise unknown_name("suite", name, (*EMBEDDED, *SOURCES), "A path of a suite directory is a name too.")


def load_suite(name: str) -> Suite:
    """The suite of this name or path.

    Raises:
        UnknownName: there is none.
        SourceUnavailable: a public source that has not been downloaded yet.
        SuiteFormatError: it is damaged.
    """
    path = suite_path(name)
    index = path / "suite.json"
    if name in SOURCES and not index.is_file():
        raise SourceUnavailable(f"{name} has not been downloaded yet; run: llmconfig-gym download {name}")
    return _load(path, index.stat().st_mtime_ns if index.is_file() else 0)


@lru_cache(maxsize=32)
def _load(path: Path, stamp: int) -> Suite:
    """One suite object per version on disk, so that tables are read once per process."""
    return Suite.load(path)


def available() -> list[str]:
    """Names of the suites that can be loaded now: embedded ones and downloaded sources."""
    return [n for n in (*EMBEDDED, *SOURCES) if (suite_path(n) / "suite.json").is_file()]


def load_experiment(id_: str) -> Experiment:
    """The experiment `suite/name`; for a suite of one's own, `path/to/suite/name`.

    Raises:
        UnknownName: there is no such suite or experiment; the message suggests the nearest ids.
        SourceUnavailable: its suite has not been downloaded yet.
        SuiteFormatError: its suite is damaged.
    """
    suite_name, _, name = id_.rpartition("/")
    if not suite_name:
        known = [i for n in available() for i in load_suite(n).ids]
        raise unknown_name("experiment", id_, known, "An id reads SUITE/NAME.")
    suite = load_suite(suite_name)
    return suite.experiment(f"{suite.name}/{name}")
