"""Eight workers on one study in PostgreSQL: no trial is lost, none is made twice, and no two have one configuration."""

import json
import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import IntegrityError

from autollmresearch.cli.main import main
from autollmresearch.errors import StorageProblem
from autollmresearch.live import AutoLLMSampler, claims, open_storage, storage
from autollmresearch.live.notes import POLICY, REASONING
from autollmresearch.live.runner import run_study
from autollmresearch.live.settings import read_settings
from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.importing import Source, read_table

WORKERS = 8
EACH = 4
SEEN = "ran_by"
GREEDY = "copy"
"""A policy that proposes one and the same thing to all who ask it the same, and takes no time for it."""


def _work(worker: int, together: Barrier, url: str, evidence: list[Any], space: dict[str, Any]) -> None:
    """One worker: as a user's own script would be, but that all of them start at the same moment.

    Every other one does not wait for its turn, as if its clock were wrong: then only the claims keep them apart.
    """
    if worker % 2:
        claims.JUST_STARTED = 0.0
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    cheap = optuna.create_study()
    cheap.add_trials(evidence)
    sampler = AutoLLMSampler([(cheap, {"N": 1e6})], {"N": 1e8}, policy=GREEDY, space=space, seed=0)
    study = optuna.load_study(study_name="shared", storage=open_storage(url, heartbeat=True), sampler=sampler)

    def objective(trial: optuna.Trial) -> float:
        trial.set_user_attr(SEEN, worker)
        params = {name: trial._suggest(name, distribution) for name, distribution in space.items()}
        return float(params["lr"]) + float(params["batch"])

    together.wait(timeout=120)
    study.optimize(objective, n_trials=EACH)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`at_once(work, *arguments)`: `work(worker, together, *arguments)` in eight processes, which all must end well."""
    # Workers import this module by the name pytest gave it, which `pytest`, unlike `python -m pytest`, cannot find.
    monkeypatch.syspath_prepend(Path(__file__).parents[3])
    context = multiprocessing.get_context("forkserver")  # imports once, not eight times
    context.set_forkserver_preload(["autollmresearch.live.sampler", "scipy.stats", "psycopg"])

    def run(work: Callable[..., None], *arguments: Any) -> None:
        together = context.Barrier(WORKERS)
        processes = [context.Process(target=work, args=(w, together, *arguments)) for w in range(WORKERS)]
        try:
            for process in processes:
                process.start()
            for process in processes:
                process.join(timeout=240)
        finally:
            for process in processes:
                process.kill()
        assert [process.exitcode for process in processes] == [0] * WORKERS

    return run


def _open(worker: int, together: Barrier, url: str) -> None:
    together.wait(timeout=120)
    open_storage(url)


def test_an_empty_database_is_opened_by_many_at_once(
    postgres_url: str, opened: Callable[..., RDBStorage], at_once: Callable[..., None]
) -> None:
    engine = sqlalchemy.create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CREATE DATABASE empty")
    engine.dispose()
    url = postgres_url.replace("/postgres?", "/empty?")
    at_once(_open, url)
    assert opened(url).get_all_studies() == []


@pytest.mark.parametrize("times", [1, storage.MAKING, storage.MAKING + 1])
def test_tables_that_others_are_making_are_waited_for_but_not_for_ever(
    opened: Callable[..., RDBStorage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    waited: list[float] = []
    tried = iter([IntegrityError("CREATE TABLE studies", {}, Exception("duplicate key value"))] * times)

    class Contended(RDBStorage):
        def __init__(self, *args: Any, **options: Any) -> None:
            for problem in tried:
                raise problem
            super().__init__(*args, **options)

    monkeypatch.setattr("optuna.storages.RDBStorage", Contended)
    monkeypatch.setattr("time.sleep", waited.append)
    url = f"sqlite:///{tmp_path}/studies.db"
    if times > storage.MAKING:
        with pytest.raises(StorageProblem, match="duplicate key value"):
            opened(url)
    else:
        opened(url)
    assert waited == [0.5] * min(times, storage.MAKING)


def test_eight_workers_lose_and_double_no_trial(
    postgres_url: str,
    opened: Callable[..., RDBStorage],
    cheap: Callable[..., optuna.Study],
    valley_space: dict[str, Any],
    at_once: Callable[..., None],
) -> None:
    study = optuna.create_study(study_name="shared", storage=opened(postgres_url))
    at_once(_work, postgres_url, cheap(trials=60).trials, valley_space)
    trials = study.trials
    assert [t.number for t in trials] == list(range(WORKERS * EACH))
    assert {t.state for t in trials} == {TrialState.COMPLETE}
    assert [sum(t.user_attrs[SEEN] == worker for t in trials) for worker in range(WORKERS)] == [EACH] * WORKERS
    assert len({json.dumps(t.params, sort_keys=True) for t in trials}) == WORKERS * EACH
    assert all(t.value == t.params["lr"] + t.params["batch"] for t in trials)
    assert {t.user_attrs[POLICY] for t in trials} == {GREEDY}  # none fell back to chance
    assert all(t.user_attrs[REASONING] for t in trials)


@pytest.mark.usefixtures("postgres_url")
def test_a_server_that_is_not_there_is_said_in_one_line() -> None:
    with pytest.raises(StorageProblem, match=r"^postgresql://me@.*Connection refused[^\n]*$"):
        open_storage("postgresql://me:secret@127.0.0.1:1/studies")


def test_a_server_that_crashes_in_the_middle_costs_no_trial(postgres: Any, lab: Any) -> None:
    """It crashes once in each of five trials, while the command runs and the runner holds its connection."""
    lab.extra("time.sleep(0.2)")
    path = lab.write(storage=postgres.url, name="restarted", budget=3)
    progress = Restarts(postgres.restart)
    study = run_study(read_settings(path), progress)
    assert progress.restarts == 5
    again = run_study(read_settings(path), progress)
    assert progress.restarts == 5
    for trials in (study.trials(), again.trials()):
        assert [(t.number, t.status) for t in trials] == [(0, "complete"), (1, "complete"), (2, "complete")]
    assert len(lab.calls()) == 5


class Restarts:
    """Restarts the server once while each trial's command runs."""

    def __init__(self, restart: Callable[[], None]) -> None:
        self.restart = restart
        self.during: set[str] = set()

    @property
    def restarts(self) -> int:
        return len(self.during)

    def line(self, text: str) -> None:
        pass

    def tick(self, text: str) -> None:
        title = text.partition("]")[0]
        if title not in self.during:
            self.during.add(title)
            self.restart()


def test_a_study_on_a_server_is_read_as_runs(postgres_url: str, opened: Callable[..., RDBStorage]) -> None:
    study = optuna.create_study(study_name="swept", storage=opened(postgres_url), direction="maximize")
    study.set_user_attr("fidelity", {"N": 1e6})
    for lr in (1e-4, 1e-3):
        study.tell(study.ask({"lr": optuna.distributions.FloatDistribution(1e-5, 1)}), lr)
    table = read_table(Source.of(f"{postgres_url}#swept"))
    assert (table.path.name, dict(table.objectives)) == ("swept", {"value": "maximize"})
    assert (table.cells("value"), table.cells("N")) == ([1e-4, 1e-3], [1e6, 1e6])
    with pytest.raises(ImportProblem, match="did you mean 'swept'"):
        read_table(Source.of(f"{postgres_url}#swapt"))


def test_a_password_opens_the_storage_and_is_neither_shown_nor_kept(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    secret = "planted-pw-42"
    url = postgres_url.replace("postgres@", f"postgres:{secret}@")
    parameters = [{"kind": "real", "name": "lr", "low": "1e-4", "high": 0.1, "log": True}]
    Path("space.yaml").write_text(json.dumps({"parameters": parameters}))
    asked = ["--target", "N=1000", "--space", "space.yaml", "--metric", "val_loss", "--policy", "random"]
    assert main(["suggest", "--study", "secret", *asked, "--storage", url]) == 0
    for command in (["status", "secret"], ["status", "secret", "--format", "json"], ["tell", "secret", "0", "2.5"]):
        assert main([*command, "--storage", url]) == 0
    assert main(["status", "nobody", "--storage", url]) == 2
    shared = {"name": "secret", "parameters": parameters, "target": {"N": 1000}, "budget": 1, "policy": "random"}
    command = [sys.executable, "-S", "-c", "print('val_loss=1')", "{lr}"]
    for name in ("secret", "kept"):  # the first is told by hand
        Path("study.yaml").write_text(json.dumps({**shared, "name": name, "command": command, "storage": url}))
        assert main(["run", "study.yaml"]) == (2 if name == "secret" else 0)
    assert main(["status", "runs/kept"]) == 0, "this server asks for no password"
    told = capsys.readouterr()
    assert secret not in told.out + told.err
    Path("study.yaml").unlink()
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        assert secret.encode() not in path.read_bytes(), path
