"""The raw files of the public tables."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from llmconfig_gym.experiment import Experiment
from llmconfig_gym.parameter import Value
from llmconfig_gym.sources.download import fetch, source
from llmconfig_gym.text import number


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
