"""What a study's storage says of it: its spec, the cheaper runs, and its trials' attributes."""

from __future__ import annotations

import json
from functools import cache

from autollmresearch.errors import StudyProblem
from autollmresearch.evidence.records import CheapRuns
from autollmresearch.live.spec import Spec, runs_to_list
from autollmresearch.live.study import EVIDENCE, LATER, SPEC, create_study, find_study
from fuzz.scratch import scratch
from fuzz.targets.action import experiment

RUNS, LONGEST = 900, 4000
WORDS = (
    b'"space":',
    b'"columns":',
    b'"losses":',
    b'"version":',
    b"null",
    b"NaN",
    b"[]",
    b"{}",
    b'"kind":',
    b'"budget":',
)


@cache
def made(name: str) -> tuple[str, bytes]:
    """The URL of a study's storage of its own, and what it says of itself."""
    url = f"sqlite:///{scratch() / name}"
    e = experiment()
    spec = Spec(e.task, e.fidelity, e.metric, e.space, 3, "analyst", cheaper=(CheapRuns.of(e),))
    create_study("a", url, spec)
    return url, json.dumps({"spec": spec.to_dict(), "evidence": runs_to_list(spec.cheaper), "later": []}).encode()


def seeds() -> list[bytes]:
    return [made("study.db")[1]]


def read(data: bytes) -> object:
    import optuna

    try:
        said = json.loads(data)
        spec, evidence, later = said["spec"], said["evidence"], said["later"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    url, _ = made("study.db")
    study = optuna.load_study(study_name="a", storage=url)
    try:
        study.set_user_attr(SPEC, spec)
        study._storage.set_study_system_attr(study._study_id, EVIDENCE, evidence)
        study._storage.set_study_system_attr(study._study_id, LATER, later)
    except Exception:  # what no storage takes, none can give
        return None
    found = find_study("a", url)
    if found is None:
        raise StudyProblem("there is none")
    return found.trials()
