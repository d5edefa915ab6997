"""What all tests share: how long hypothesis tries, the public suites, and that Ctrl-C works, whoever starts them."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module, util
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

from llmconfig_gym.catalog import CACHE_VARIABLE
from llmconfig_gym.sources.download import MIRROR_VARIABLE, build
from llmconfig_gym.suite import Suite

# `pytest --hypothesis-profile=nightly` looks at a hundred times as many examples; no profile judges by the clock.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("nightly", settings.get_profile("shared machine"), max_examples=10_000)
settings.load_profile("shared machine")


def pytest_configure() -> None:
    """A shell starts what it puts in the background with SIGINT ignored, and children inherit that: undo it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason + "; in CI that is a failure")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def missing() -> Callable[[str], NoReturn]:
    """`missing(reason)`: what a test needs is not there. In CI that is a failure, elsewhere the test is skipped."""
    return _missing


@pytest.fixture(scope="session")
def module(missing: Callable[[str], NoReturn]) -> Callable[[str], ModuleType]:
    """`module(name)`: a module that a test needs, imported, or else `missing`."""

    def imported(name: str) -> ModuleType:
        try:
            return import_module(name)
        except ImportError as problem:
            missing(f"{name} cannot be imported ({problem})")

    return imported


@pytest.fixture(scope="session")
def script() -> Callable[[str], ModuleType]:
    """`script("benchmarks/soak.py")`: a program of this repository that is in no package, as a module of its own."""

    def loaded(path: str) -> ModuleType:
        spec = util.spec_from_file_location(Path(path).stem, Path(__file__).parents[1] / path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[spec.name] = util.module_from_spec(spec)  # dataclasses look themselves up there
        spec.loader.exec_module(module)
        return module

    return loaded


@pytest.fixture(scope="session")
def mirror(missing: Callable[[str], NoReturn]) -> Path:
    """Where copies of the public tables are; without one these tests would need the network."""
    if not (chosen := os.environ.get(MIRROR_VARIABLE)):
        missing(f"{MIRROR_VARIABLE} is not set: the tests of the public tables need a copy (owner/repo/commit/path)")
    return Path(chosen)


@pytest.fixture(scope="session")
def suite(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Suite]]:
    """A suite by name, as a user gets it: fetched, converted, written, and read again from disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        patch.setenv(MIRROR_VARIABLE, str(mirror))
        yield lru_cache(lambda name: Suite.load(build(name, progress=False)))
