"""MLflow's runs, from its SQLite database or its `mlruns` folder, without MLflow.

Both are read as they lie on disk: MLflow's own client refuses or migrates a database of another version, and a folder
of text files needs no client. Deleted runs and experiments are left out, a metric is its last value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from llmconfig_gym.description import plain_yaml
from llmconfig_gym.errors import ImportProblem, InvalidDescription
from llmconfig_gym.importing.source import Source
from llmconfig_gym.importing.trackers import Runs, read_only

_STATES = {1: "running", 2: "waiting", 3: "finished", 4: "failed", 5: "killed"}
_LARGEST = 1.79e308
"""The database has no infinity: MLflow writes the largest float for it."""


def read_sqlite(source: Source) -> Runs:
    """The runs of a tracking database. Raises `ImportProblem`."""
    with read_only(source.path) as database:
        experiments = "SELECT DISTINCT e.name FROM experiments e JOIN runs r ON r.experiment_id = e.experiment_id "
        active = "WHERE e.lifecycle_stage = 'active' AND r.lifecycle_stage = 'active' "
        names = source.choose("experiment", [str(n) for (n,) in database.execute(experiments + active + "ORDER BY 1")])
        runs: dict[str, dict[str, Any]] = {}
        query = "SELECT r.run_uuid, r.name, r.status, e.name FROM runs r JOIN experiments e USING (experiment_id) "
        for uuid, run, status, experiment in database.execute(query + active + "ORDER BY r.start_time, r.run_uuid"):
            if experiment in names:
                state = "waiting" if status == "SCHEDULED" else str(status).lower()
                runs[uuid] = {"run": run, "experiment": experiment, "state": state, "config": {}, "summary": {}}
        for uuid, key, value in database.execute("SELECT run_uuid, key, value FROM params"):
            if uuid in runs:
                runs[uuid]["config"][key] = value
        for uuid, key, value, nan in database.execute("SELECT run_uuid, key, value, is_nan FROM latest_metrics"):
            if uuid in runs:
                runs[uuid]["summary"][key] = math.nan if nan else _unbounded(value)
    return Runs(list(runs.values()))


def _unbounded(value: object) -> object:
    return math.copysign(math.inf, value) if isinstance(value, float) and abs(value) > _LARGEST else value


def is_file_store(path: Path) -> bool:
    """Whether a folder is an `mlruns` folder."""
    return any("experiment_id" in _meta(p) for p in path.glob("*/meta.yaml"))


def read_file_store(source: Source) -> Runs:
    """The runs of an `mlruns` folder. Raises `ImportProblem`."""
    root = source.path.resolve()
    folders: dict[str, list[Path]] = {}
    for file in sorted(root.glob("*/meta.yaml")):
        meta = _meta(_inside(root, file))
        runs = sorted(file.parent.glob("*/meta.yaml"))
        if "experiment_id" in meta and meta.get("lifecycle_stage") == "active" and runs:
            folders.setdefault(_text(meta.get("name")), []).extend(runs)
    records = []
    for name in source.choose("experiment", sorted(folders)):
        for file in folders[name]:
            meta = _meta(_inside(root, file))
            if "run_id" not in meta or meta.get("lifecycle_stage") != "active":
                continue
            state = _STATES.get(_whole(meta.get("status")), "unknown")
            config = dict(_texts(root, file.parent / "params", str))
            summary = dict(_texts(root, file.parent / "metrics", _last))
            run = {"run": _text(meta.get("run_name")), "experiment": name, "state": state}
            records.append((_whole(meta.get("start_time")), {**run, "config": config, "summary": summary}))
    return Runs([record for _, record in sorted(records, key=lambda r: r[0])])


def _meta(file: Path) -> dict[str, Any]:
    try:
        data = plain_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, InvalidDescription):
        return {}
    return data if isinstance(data, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _texts(root: Path, folder: Path, parse: Callable[[str], Any]) -> Iterator[tuple[str, Any]]:
    """What the files of a folder say, by name; a name with `/` is a file in a folder."""
    for file in sorted(p for p in folder.rglob("*") if not p.is_dir()):
        try:
            yield file.relative_to(folder).as_posix(), parse(_inside(root, file).read_text(encoding="utf-8"))
        except (OSError, ValueError, IndexError):
            raise ImportProblem(f"{file} cannot be read as MLflow writes it; remove it, or repair it") from None


def _last(text: str) -> float:
    """The last value of a metric: lines of time, value and step."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    time_value_step = max(((int(f[2]) if len(f) > 2 else 0, int(f[0])), i) for i, f in enumerate(lines))
    return float(lines[time_value_step[1]][1])


def _inside(root: Path, file: Path) -> Path:
    """Refuse links that lead out of the folder, or to themselves."""
    try:
        inside = file.resolve().is_relative_to(root)
    except (OSError, RuntimeError):
        inside = False
    if not inside:
        raise ImportProblem(f"{file} is a link that leads out of {root.name}; remove it")
    return file
