"""What the mutation tests of the conformance checks share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Caught = Callable[[object], dict[str, str]]


def _checks(case: object) -> list[str]:
    return [n for n in dir(case) if n.startswith("test_") and callable(getattr(case, n))]


@pytest.fixture(scope="session")
def checks() -> Callable[[object], list[str]]:
    """The names of a case's checks."""
    return _checks


@pytest.fixture(scope="session")
def caught() -> Caught:
    """The checks of a case that fail, and what they say."""

    def run(case: object) -> dict[str, str]:
        said = {}
        for name in _checks(case):
            try:
                getattr(case, name)()
            except AssertionError as problem:
                said[name] = str(problem)
        return said

    return run
