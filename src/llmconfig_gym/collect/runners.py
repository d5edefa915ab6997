"""From a name, or from what a suite says of itself, to a runner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from llmconfig_gym.collect.driver import Group, Run, Runner
from llmconfig_gym.collect.grpo import GRPORunner
from llmconfig_gym.collect.grpo_settings import MICRO as GRPO
from llmconfig_gym.collect.grpo_settings import GRPOSetting
from llmconfig_gym.collect.pretraining import MICRO as PRETRAINING
from llmconfig_gym.collect.pretraining import PretrainingRunner, PretrainingSetting
from llmconfig_gym.errors import CollectError, unknown_name

RUNNERS = ("pretraining", "grpo")


class VerifiableRunner(Runner, Protocol):
    """A runner of this package: its runs can be repeated one by one."""

    def alone(self, run: Run) -> Group:
        """The group that measures one run by itself."""
        ...


def runner_named(name: str, experiments: Sequence[str] | None = None, device: str = "cpu") -> Runner:
    """A runner of the embedded suite, for all its experiments or some of them.

    Raises:
        UnknownName: there is no such runner or experiment.
    """
    if name not in RUNNERS:
        raise unknown_name("runner", name, RUNNERS)
    known = [s.name for s in (PRETRAINING if name == "pretraining" else GRPO)]
    for chosen in experiments or ():
        if chosen not in known:
            raise unknown_name("experiment", chosen, known)
    wanted = known if experiments is None else experiments
    if name == "grpo":
        return GRPORunner(tuple(s for s in GRPO if s.name in wanted), device)
    return PretrainingRunner(tuple(s for s in PRETRAINING if s.name in wanted), device)


def runner_of(manifest: Mapping[str, Any], device: str | None = None) -> VerifiableRunner:
    """The runner that this manifest describes, on its device or another.

    Raises:
        CollectError: it is of no runner of this package. What a manifest from elsewhere says is never executed.
    """
    try:
        if manifest["runner"] not in RUNNERS:
            raise CollectError(
                f"a suite made by the runner {manifest['runner']!r} cannot be made again by this package alone; "
                "collect it again with the command that made it"
            )
        where = manifest["device"] if device is None else device
        if manifest["runner"] == "grpo":
            return GRPORunner(tuple(GRPOSetting.from_dict(data) for data in manifest["settings"]), where)
        return PretrainingRunner(tuple(PretrainingSetting.from_dict(data) for data in manifest["settings"]), where)
    except (KeyError, TypeError, AttributeError) as problem:
        raise CollectError(f"not a sweep's manifest ({type(problem).__name__}: {problem})") from None
