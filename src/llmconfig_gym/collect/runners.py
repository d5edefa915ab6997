"""From a name, or from what a suite says of itself, to a runner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmconfig_gym.collect import architecture, grpo_settings, mixture, pretraining
from llmconfig_gym.collect.composite import CompositeRunner
from llmconfig_gym.collect.driver import VerifiableRunner
from llmconfig_gym.collect.grpo import GRPORunner
from llmconfig_gym.errors import CollectError, unknown_name

MICRO = "micro"
"""The sweep of the embedded suite: all four tasks."""

TASKS = ("pretraining", "architecture", "mixture", "grpo")
RUNNERS = (MICRO, *TASKS)


def runner_named(
    name: str, experiments: Sequence[str] | None = None, device: str = "cpu", cache: Path | None = None
) -> VerifiableRunner:
    """A runner of the embedded suite, for all that it sweeps or some of it.

    Args:
        name: one task, or `micro` for all of them.
        experiments: what to sweep, as `Run.experiment` names it; None for everything.
        device: as PyTorch names it.
        cache: directory for what several groups need and one of them makes.

    Raises:
        UnknownName: there is no such runner or experiment.
    """
    if name not in RUNNERS:
        raise unknown_name("runner", name, RUNNERS)
    tasks = TASKS if name == MICRO else (name,)
    known = [s.name for task in tasks for s in _MICRO[task]]
    for chosen in experiments or ():
        if chosen not in known:
            raise unknown_name("experiment", chosen, known)
    wanted = {*(known if experiments is None else experiments)}
    settings = {task: tuple(s for s in _MICRO[task] if s.name in wanted) for task in tasks}
    parts = tuple((task, _make(task, some, device, cache)) for task, some in settings.items() if some)
    return parts[0][1] if len(parts) == 1 else CompositeRunner(parts)


def runner_of(manifest: Mapping[str, Any], device: str | None = None, cache: Path | None = None) -> VerifiableRunner:
    """The runner that this manifest describes, on its device or another.

    Raises:
        CollectError: it is of no runner of this package. What a manifest from elsewhere says is never executed.
    """
    try:
        if manifest["runner"] == "composite":
            found = ((part["runner"], runner_of(part, device, cache)) for part in manifest["parts"])
            return CompositeRunner(tuple(found))
        if manifest["runner"] not in TASKS:
            raise CollectError(
                f"a suite made by the runner {manifest['runner']!r} cannot be made again by this package alone; "
                "collect it again with the command that made it"
            )
        setting = _SETTING[manifest["runner"]]
        settings = tuple(setting.from_dict(data) for data in manifest["settings"])
        return _make(manifest["runner"], settings, manifest["device"] if device is None else device, cache)
    except (KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise CollectError(f"not a sweep's manifest ({type(problem).__name__}: {problem})") from None


def parts_of(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The manifests of the single sweeps that a manifest describes: itself, or its parts."""
    parts = manifest.get("parts")
    return [manifest] if parts is None else list(parts)


_MICRO: Mapping[str, Sequence[Any]] = {
    "pretraining": pretraining.MICRO,
    "architecture": architecture.MICRO,
    "mixture": mixture.MICRO,
    "grpo": grpo_settings.MICRO,
}
_SETTING: Mapping[str, Any] = {
    "pretraining": pretraining.PretrainingSetting,
    "architecture": architecture.ArchitectureSetting,
    "mixture": mixture.MixtureSetting,
    "grpo": grpo_settings.GRPOSetting,
}


def _make(task: str, settings: tuple[Any, ...], device: str, cache: Path | None) -> VerifiableRunner:
    """The runner of one task."""
    if task == "grpo":
        return GRPORunner(settings, device, cache)
    if task == "mixture":
        return mixture.MixtureRunner(settings, device)
    if task == "architecture":
        return architecture.ArchitectureRunner(settings, device)
    return pretraining.PretrainingRunner(settings, device)
