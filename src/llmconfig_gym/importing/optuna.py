"""Optuna's studies as runs, through Optuna: an RDB storage (a SQLite file or a server) or a journal file.

Columns are named as `Study.trials_dataframe` names them. The study says what is optimised and which way. A user
attribute `fidelity` (a mapping, of the study or of a trial) says at which scale the trials were run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmconfig_gym.errors import ImportProblem, missing_extra
from llmconfig_gym.experiment import Direction
from llmconfig_gym.importing.source import Source
from llmconfig_gym.importing.trackers import Runs
from llmconfig_gym.parameter import shown

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

FIDELITY = "fidelity"


def is_journal(start: bytes) -> bool:
    """Whether a file that begins so is a journal of Optuna."""
    line = start.split(b"\n", 1)[0].lstrip()
    return line.startswith(b"{") and b'"op_code"' in line and b'"worker_id"' in line


def read_journal(source: Source) -> Runs:
    """The trials of studies in a journal file. Raises `ImportProblem`."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    try:
        storage = JournalStorage(JournalFileBackend(str(source.path)))
    except Exception as problem:  # a damaged journal can fail in any of Optuna's handlers
        raise _unreadable(source, problem) from None
    return _read(source, storage)


def read_storage(source: Source) -> Runs:
    """The trials of studies in an RDB storage, which is only read. Raises `ImportProblem`, `MissingExtra`."""
    from optuna.storages import RDBStorage

    url = source.url
    if url is None:
        url = f"sqlite:///{source.path.resolve().as_uri()}?mode=ro&uri=true"
    elif url.startswith("postgresql:"):
        url = url.replace("postgresql:", "postgresql+psycopg:", 1)
    else:
        kind = url.partition(":")[0]
        raise ImportProblem(
            f"{source.name}: {kind} storages are not read; expected sqlite:///FILE or postgresql://HOST/DB"
        )
    try:
        storage = RDBStorage(url, skip_table_creation=True)
    except ImportError:
        raise missing_extra("psycopg", "postgres", "a storage on PostgreSQL") from None
    except Exception as problem:  # of SQLAlchemy, of its driver or of Optuna (another version)
        raise _unreadable(source, problem) from None
    try:
        return _read(source, storage)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _read(source: Source, storage: BaseStorage) -> Runs:
    import optuna

    try:
        known = sorted(s.study_name for s in storage.get_all_studies() if storage.get_n_trials(s._study_id))
        names = source.choose("study", known)
        studies = [optuna.load_study(study_name=name, storage=storage) for name in names]
        objectives = _objectives(studies[0])
        for study in studies[1:]:
            if _objectives(study) != objectives:
                raise ImportProblem(f"{names[0]} and {study.study_name} of {source.name} optimise different things")
        records = [_record(study, trial, list(objectives)) for study in studies for trial in study.get_trials()]
    except ImportProblem:
        raise
    except Exception as problem:
        raise _unreadable(source, problem) from None
    return Runs(records, objectives)


def _objectives(study: Study) -> dict[str, Direction]:
    names = study.metric_names
    if names is None:
        names = ["value"] if len(study.directions) == 1 else [f"values_{i}" for i in range(len(study.directions))]
    if not all(isinstance(name, str) for name in names):
        raise ImportProblem(f"{study.study_name} calls a metric {shown(names)}; expected a text for each")
    ways: list[Direction] = ["maximize" if d.name == "MAXIMIZE" else "minimize" for d in study.directions]
    return dict(zip(names, ways, strict=True))


def _record(study: Study, t: FrozenTrial, objectives: list[str]) -> Mapping[str, Any]:
    complete = t.state.name == "COMPLETE" and t.values is not None
    values = t.values if complete else [None] * len(objectives)
    scale = {**_mapping(study.user_attrs.get(FIDELITY)), **_mapping(t.user_attrs.get(FIDELITY))}
    params = {f"params_{k}": v for k, v in t.params.items()}
    said = {f"user_attrs_{k}": v for k, v in t.user_attrs.items() if k != FIDELITY or not isinstance(v, Mapping)}
    own = {"number": t.number, "study": study.study_name, "state": t.state.name.lower()}
    return {**own, **scale, **params, **dict(zip(objectives, values, strict=True)), **said}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _unreadable(source: Source, problem: Exception) -> ImportProblem:
    while problem.__cause__ is not None and isinstance(problem.__cause__, Exception):
        problem = problem.__cause__
    text = " ".join(str(getattr(problem, "orig", None) or problem).split())
    return ImportProblem(f"{source.name} cannot be read as Optuna's storage: {text or type(problem).__name__}")
