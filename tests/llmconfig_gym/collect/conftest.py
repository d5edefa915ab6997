"""What the tests of collecting share: a runner that trains nothing, and a real sweep that takes a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from llmconfig_gym.collect.lab import corpus
from llmconfig_gym.collect.lab.processor import lab_arithmetic
from llmconfig_gym.collect.lab.shape import DecoderShape
from llmconfig_gym.collect.pretraining import PretrainingSetting


@pytest.fixture(autouse=True, scope="module")
def _lab_arithmetic() -> Iterator[None]:
    """The lab's functions flush denormals; the modules that run after these in the same process must not notice."""
    with lab_arithmetic():
        yield


@pytest.fixture(scope="session")
def fake_sweep(script: Callable[[str], ModuleType]) -> ModuleType:
    """The module fake_sweep.py, which is also a program."""
    return script("tests/llmconfig_gym/collect/fake_sweep.py")


@pytest.fixture(scope="session")
def tiny() -> tuple[PretrainingSetting, ...]:
    """A low and a high experiment of six runs per batch size."""
    shape = DecoderShape(1, 16, 2, 4, 16, corpus.VOCABULARY)
    grid = (0.001, 0.004, 0.016, 0.064), (1, 4, 8)
    return PretrainingSetting("low", shape, 16 * 24, *grid), PretrainingSetting("high", shape, 16 * 64, *grid)


@pytest.fixture(scope="module")
def little_validation() -> Iterator[None]:
    """Runs are validated on 1,024 tokens, not 65,536."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llmconfig_gym.collect.lab.train.VALIDATION_TOKENS", 1024)
        yield
