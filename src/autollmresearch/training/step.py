"""Step: one directory of a training run, whose manifest says what made it.

A step reads the files of the steps before it and writes its own to RUN/NAME. `manifest.json` is written last, so a step
that has one is whole. It is not run again; a step that was interrupted goes on; and a directory that was made with
other settings, or from other inputs, is refused rather than mixed with new files.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autollmresearch.errors import StepProblem
from autollmresearch.training.processes import is_first, process_count
from autollmresearch.training.sft import WORKING
from llmconfig_gym.files import only_one, write_text

if TYPE_CHECKING:
    from autollmresearch.policies.causal_lm import AgentSettings

MANIFEST = "manifest.json"
STARTED = "started.json"
"""The same without counts: what an unfinished step is being made with."""


def run_step(
    run: Path,
    name: str,
    work: Callable[[Path], Mapping[str, Any]],
    *,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Path],
    seed: int,
) -> dict[str, Any]:
    """Run `work` in `run/name` unless it is finished, and return the manifest.

    Args:
        work: given the directory, makes its files (going on where an earlier call stopped) and returns what it counted.
        settings: all that decides what it makes.
        inputs: files and directories it reads, by what they are.
        seed: of what it draws.

    Raises:
        StepProblem: an input is missing, the directory holds files of other settings or inputs, or another process is
            at work in it.
    """
    directory = run / name
    directory.mkdir(parents=True, exist_ok=True)
    first = is_first()
    busy = StepProblem(f"another process is at work in {directory}; wait for it, or choose another --out")
    with only_one(directory, busy) if first else nullcontext():
        made_of = {
            "step": name,
            "seed": seed,
            "settings": json.loads(json.dumps(settings)),  # as it will be read again: lists for tuples
            "inputs": {what: {"path": _relative(path, run), "sha256": digest(path)} for what, path in inputs.items()},
        }
        finished = _claim(directory, made_of)
        if finished is not None:
            return finished
        if first:
            write_text(directory / STARTED, json.dumps(made_of, indent=1) + "\n")
        started = time.monotonic()
        counts = dict(work(directory))
        manifest = {
            **made_of,
            "counts": counts,
            "seconds": round(time.monotonic() - started, 3),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": version("autollmresearch"),
        }
        if first:
            write_text(directory / MANIFEST, json.dumps(manifest, indent=1) + "\n")
            (directory / STARTED).unlink(missing_ok=True)
            shutil.rmtree(directory / WORKING, ignore_errors=True)
        return manifest


def same_agent(settings: AgentSettings, checkpoint: Path) -> None:
    """Refuse to go on from a checkpoint that was trained to be asked otherwise; how its answers are chosen may change.

    Raises:
        StepProblem: they differ.
    """
    from autollmresearch.policies.causal_lm import AgentSettings

    trained = AgentSettings.load(checkpoint)
    if replace(trained, score=settings.score, calibration=settings.calibration) != settings:
        raise StepProblem(
            f"{checkpoint} was trained with other settings in the recipe's agent section (then {trained}, now "
            f"{settings}); choose another --out, or put them back"
        )


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """The manifest of a step; None if it is not finished. Raises `StepProblem` if it is damaged."""
    return _read(directory / MANIFEST)


def one_process(name: str) -> None:
    """Refuse to run a step in several processes that cannot share its work. Raises `StepProblem`."""
    if (processes := process_count()) > 1:
        raise StepProblem(f"{name} runs in one process, found {processes}; run it without accelerate launch")


def digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files in a directory.

    Raises:
        StepProblem: there is nothing; the message says which step makes it.
    """
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        maker = path.parent.name
        raise StepProblem(f"{path} does not exist; make it first: autollmresearch train {maker} --recipe ... --out ...")
    names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    whole = hashlib.sha256()
    for name in names:
        whole.update(f"{name} {digest(path / name)}\n".encode())
    return whole.hexdigest()


def _claim(directory: Path, made_of: Mapping[str, Any]) -> dict[str, Any] | None:
    """The manifest if the step is finished, None if it is to be run. Raises `StepProblem` if it is another's."""
    finished = _read(directory / MANIFEST)
    earlier = finished or _read(directory / STARTED)
    if earlier is None:
        return None
    for part in ("seed", "settings", "inputs"):
        if (change := _first_change(_moved(earlier.get(part)), _moved(made_of[part]), part)) is not None:
            raise StepProblem(
                f"{directory} was made with another {change}; choose another --out, or remove {directory} to run the "
                "step again"
            )
    return finished


def _moved(part: object) -> object:
    """The same without where inputs lie: a run may be moved, and a suite be installed elsewhere."""
    if not isinstance(part, dict):
        return part
    return {
        k: {"sha256": v["sha256"]} if isinstance(v, dict) and {*v} == {"path", "sha256"} else v for k, v in part.items()
    }


def _first_change(before: object, now: object, where: str) -> str | None:
    """Where two plain values first differ, in words; None if they are equal."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*now, *(k for k in before if k not in now)]:
            if (change := _first_change(before.get(key), now.get(key), f"{where}.{key}")) is not None:
                return change
        return None
    return None if before == now else f"{where.removeprefix('settings.')} (then {before}, now {now})"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as problem:
        raise StepProblem(f"{path} is damaged ({problem}); remove {path.parent} to run the step again") from None
    if not isinstance(data, dict):
        raise StepProblem(f"{path} is damaged; remove {path.parent} to run the step again")
    return data


def _relative(path: Path, run: Path) -> str:
    return path.relative_to(run).as_posix() if path.is_relative_to(run) else str(path)
