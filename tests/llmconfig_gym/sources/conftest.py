"""The four suites, built once per session from the local mirror into a temporary cache."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import pytest

from llmconfig_gym.catalog import CACHE_VARIABLE
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.parameter import Value
from llmconfig_gym.sources.download import MIRROR_VARIABLE, build, fetch, source
from llmconfig_gym.suite import Suite
from llmconfig_gym.text import number


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Where copies of the public tables are; without one these tests would need the network."""
    if chosen := os.environ.get(MIRROR_VARIABLE):
        return Path(chosen)
    reason = f"{MIRROR_VARIABLE} is not set: the tests of the public tables need a local copy (owner/repo/commit/path)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason + "; in CI that is a failure")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def suite(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Suite]]:
    """A suite by name, as a user gets it: fetched, converted, written, and read again from disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        patch.setenv(MIRROR_VARIABLE, str(mirror))
        yield lru_cache(lambda name: Suite.load(build(name, progress=False)))


@pytest.fixture(scope="session")
def raw(mirror: Path) -> Callable[[str], Mapping[str, Path]]:
    """The local files of a source, by their path upstream."""
    return lambda name: fetch(source(name).ORIGIN, source(name).FILES, progress=False)


@pytest.fixture
def told_as_written() -> Callable[[Experiment, Sequence[int]], bool]:
    """Whether these rows, written with three digits as agents read and write them, are told as themselves."""

    def written(value: Value) -> Value:
        if isinstance(value, Mapping):
            return {k: float(number(v)) for k, v in value.items()}
        return value if isinstance(value, bool | str) else float(number(value))

    def check(e: Experiment, rows: Sequence[int]) -> bool:
        outcomes = [e.tell({k: written(v) for k, v in e.pool.config(row).items()}) for row in rows]
        return all(o == e.outcome(row) for o, row in zip(outcomes, rows, strict=True))

    return check
