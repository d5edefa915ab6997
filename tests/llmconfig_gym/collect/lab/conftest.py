"""The lab's functions flush denormals; the tests that run after them in the same process must not notice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmconfig_gym.collect.lab.processor import lab_arithmetic


@pytest.fixture(autouse=True)
def _lab_arithmetic() -> Iterator[None]:
    with lab_arithmetic():
        yield
