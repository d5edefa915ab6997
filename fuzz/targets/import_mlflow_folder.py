"""MLflow's `mlruns` folder, made into a suite. An input is `{"path": "content"}`, or `{"path": {"link": "target"}}`."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from fuzz.scratch import scratch
from fuzz.tables import RUNS as ROWS
from fuzz.targets.recipe import WORDS as YAML_WORDS
from fuzz.targets.recipe import too_slow
from llmconfig_gym.files import is_inside
from llmconfig_gym.importing import Source, import_table

RUNS, LONGEST = 25_000, 4000
WORDS = (*YAML_WORDS, b'{"link": "..', b"/meta.yaml", b"/params/", b"/metrics/", b"lifecycle_stage: active", b"\\n")


def seeds() -> list[bytes]:
    folders = []
    for rows in (ROWS[:2], ROWS[:5]):
        files: dict[str, Any] = {"1/meta.yaml": "experiment_id: '1'\nlifecycle_stage: active\nname: cheap\n"}
        for i, r in enumerate(rows):
            run = f"1/{r['name']}"
            files[f"{run}/meta.yaml"] = (
                f"run_id: a{i}\nrun_name: {r['name']}\nlifecycle_stage: active\nstart_time: {i}\nstatus: 3\n"
            )
            files |= {f"{run}/params/{k}": str(r[k]) for k in ("N", "tokens", "lr")}
            files[f"{run}/metrics/eval/val_loss"] = f"1 9.5 0\n2 {r['val_loss']} 1\n"
        folders.append(files)
    linked = {**folders[0], "1/run-0/params/act": {"link": "../meta.yaml"}, "1/run-1/params/act": "relu"}
    return [json.dumps(files).encode() for files in (*folders, linked)]


def read(data: bytes) -> object:
    root = scratch() / "mlruns"
    if too_slow(data) or not _laid_out(data, root):
        return None
    return import_table(Source(str(root), str(root), ("cheap",) if len(data) % 2 else ()), "mine")


def _laid_out(data: bytes, root: Path) -> bool:
    """Whether the input says what is in a folder; then it is there."""
    try:
        files = json.loads(data)
    except (ValueError, RecursionError):
        return False
    if not isinstance(files, dict):
        return False
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for name, content in files.items():
        if not is_inside(name):
            continue
        path = root / name
        with suppress(OSError, ValueError):  # a name that no file has, or one under what is a file
            if not path.parent.resolve().is_relative_to(root.resolve()):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, dict):
                path.symlink_to(str(content.get("link", "")))
            elif not path.is_symlink():
                path.write_bytes(str(content).encode("utf-8", "surrogatepass"))
    return True
