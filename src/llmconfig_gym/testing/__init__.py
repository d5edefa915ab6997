"""Conformance checks that others can run on what they make: one class each for suites, environments and policies.

    class TestMine(SuiteTestCase):
        def make(self) -> Suite:
            return load_suite("./mine")

pytest collects the subclass; every `test_*` method is one check and raises `BrokenPromise`, an AssertionError whose
message says what was found, what was expected and what to do. Neither pytest nor hypothesis is imported here, so a
check can also be called by hand: `TestMine().test_tell_is_pure()`. A check that cannot hold, for good reasons, is
switched off by name, where everyone sees it: `test_never_repeats = None`.

`PolicyTestCase` is made in `autollmresearch.testing`, for a policy is that package's idea. Its name here is looked up
when it is first asked for, so that the gym works, and is checked, without the researcher.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from llmconfig_gym.testing.envs import EnvTestCase
from llmconfig_gym.testing.suites import SuiteTestCase

if TYPE_CHECKING:
    from autollmresearch.testing import PolicyTestCase

__all__ = ["EnvTestCase", "PolicyTestCase", "SuiteTestCase"]


def __getattr__(name: str) -> object:
    if name == "PolicyTestCase":
        return import_module("autollmresearch.testing").PolicyTestCase
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
