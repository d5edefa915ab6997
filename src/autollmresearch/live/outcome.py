"""What became of a trial's command: its metric, or why it failed, in words that the next proposal can use."""

from __future__ import annotations

import json
import math
import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autollmresearch.live.settings import RunSettings
from autollmresearch.secrets import without_secrets
from llmconfig_gym.keeper import LOG
from llmconfig_gym.process import Ended, last_job
from llmconfig_gym.template import read_number

REPORT = "report.json"
REPORT_VARIABLE = "AUTOLLMRESEARCH_REPORT"

_TAIL = 1 << 24
"""Bytes at the end of a log that are looked at."""

_NO_MEMORY = re.compile(
    r"CUDA out of memory|OutOfMemoryError|\bMemoryError\b|Cannot allocate memory|std::bad_alloc|RESOURCE_EXHAUSTED"
)
_KILLED = (-int(signal.SIGKILL), 128 + int(signal.SIGKILL))


@dataclass(frozen=True)
class TrialOutcome:
    """The metric with details, or (value None) why there is none."""

    value: float | None
    details: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""


def judge(settings: RunSettings, directory: Path, ended: Ended) -> TrialOutcome:
    """What a command that has ended in `directory` gave. The next prompt holds the failure, so no secret is in it."""
    outcome = _judge(settings, directory, ended)
    return replace(outcome, failure=without_secrets(outcome.failure, settings.env))


def _judge(settings: RunSettings, directory: Path, ended: Ended) -> TrialOutcome:
    output = _tail(directory / LOG)
    if ended.how == "timeout":
        job = last_job(directory)  # began with a timeout that the settings may not have any more
        limit = settings.timeout if job is None else job.timeout
        return TrialOutcome(None, failure=f"timeout: not over after {limit or ended.seconds:g} s")
    no_memory = _NO_MEMORY.search(output)
    if ended.code != 0 and (no_memory or ended.code in _KILLED):
        how = no_memory[0] if no_memory else "it was killed with SIGKILL, as the kernel does when memory is short"
        return TrialOutcome(None, failure=f"out of memory: {how}")
    if ended.code != 0:
        return TrialOutcome(None, failure=_exit_text(ended.code or 0, output))
    value, details, reason = _read(settings, directory, output)
    if value is None and no_memory:
        return TrialOutcome(None, details, f"out of memory: {no_memory[0]}")
    if value is not None and not math.isfinite(value):
        return TrialOutcome(None, details, f"diverged: {settings.metric.name} is {value}")
    return TrialOutcome(value, details, "" if value is not None else reason)


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            return file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _exit_text(code: int, output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    last = f": {lines[-1][:200]}" if lines else ""
    if code < 0:
        try:
            return f"ended by {signal.Signals(-code).name}{last}"
        except ValueError:
            return f"ended by signal {-code}{last}"
    return f"exit code {code}{last}"


def _read(settings: RunSettings, directory: Path, output: str) -> tuple[float | None, dict[str, float], str]:
    """The metric, the details, and why there is no metric."""
    source, name = settings.source, settings.metric.name
    if source.kind == "stdout":
        value, reason = read_number(output, name), f"it printed no {name}=..."
        if source.pattern:
            found = re.findall(source.pattern, output)
            value, reason = _number(found[-1]) if found else None, f"nothing it printed matches {source.pattern}"
        return value, _finite({d: read_number(output, d) for d in settings.metric.details}), reason
    path = directory / (source.file if source.kind == "file" else REPORT)
    data = _json(path)
    if data is None:
        return None, {}, f"it wrote no JSON to {path.name}"
    if source.kind == "file":
        value = _number(_inside(data, source.key))
        details = {d: _number(_inside(data, d)) for d in settings.metric.details}
        return value, _finite(details), f"{path.name} has no number {source.key}"
    if data.get("failed"):
        return None, {}, f"it reported: {str(data['failed'])[:200]}"
    told = data.get("details")
    details = {str(k): _number(v) for k, v in told.items()} if isinstance(told, dict) else {}
    return _number(data.get("value")), _finite(details), f"its report has no number value: {sorted(data)}"


def _json(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _inside(data: Any, key: str) -> Any:
    """What stands under a dotted key; a key that has dots itself comes first."""
    if isinstance(data, dict) and key in data:
        return data[key]
    for part in key.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _finite(values: Mapping[str, float | None]) -> dict[str, float]:
    return {k: v for k, v in values.items() if v is not None and math.isfinite(v)}
