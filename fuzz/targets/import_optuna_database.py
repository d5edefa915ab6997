"""Optuna's SQLite storage, made into a suite."""

from __future__ import annotations

import warnings
from functools import cache

from fuzz.databases import database, described, imported
from fuzz.scratch import scratch

RUNS, LONGEST = 2_000, 30_000
WORDS = (
    b"SQLite format 3\x00",
    b"studies",
    b"trial_params",
    b"version_info",
    b"COMPLETE",
    b"FloatDistribution",
    b"\xff",
)


@cache
def _whole() -> bytes:
    """What Optuna writes of a study with parameters of every kind, attributes and trials in every state."""
    path = scratch() / "optuna-whole.db"
    fill(f"sqlite:///{path}")
    return path.read_bytes()


def fill(storage: object) -> None:
    """A study `cheap` with six trials."""
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of metrics are an experiment of Optuna's
        study = optuna.create_study(storage=storage, study_name="cheap")  # type: ignore[arg-type]
        study.set_metric_names(["val/loss"])
    study.set_user_attr("fidelity", {"N": 1_000_000, "tokens": 2e7})
    space = {
        "lr": optuna.distributions.FloatDistribution(1e-4, 1.0, log=True),
        "layers": optuna.distributions.IntDistribution(1, 9),
        "act": optuna.distributions.CategoricalDistribution(["relu", "gelu"]),
    }
    for i in range(6):
        trial = study.ask(space)
        trial.set_user_attr("train_loss", 1.5 + i)
        if i > 3:
            study.tell(trial, state=TrialState.FAIL if i == 4 else TrialState.PRUNED)
        else:
            study.tell(trial, 2.5 - 0.1 * i)


def seeds() -> list[bytes]:
    return [described(_whole()), database(described(_whole())) or b""]


def read(data: bytes) -> object:
    return imported("optuna.db", data)
