"""Runs as other programs keep them: files that MLflow and trackio wrote (`trackers/write.py`), studies of Optuna.

All hold lr x two sizes; run 1 failed, run 4 ended in NaN.
"""

from __future__ import annotations

import csv
import json
import math
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from llmconfig_gym.cli.main import main
from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.importing import Overrides, Source, Table, guess_roles, import_table, read_table
from llmconfig_gym.suite import Suite

TRACKED = Path(__file__).parent / "trackers" / "tracked.zip"
SIZES, RATES = (25_000_000, 100_000_000), (1e-3, 3e-3, 1e-2)
RUNS = [(size, lr) for size in SIZES for lr in RATES]
NAN = 4


def loss(i: int) -> float:
    return 3 - 0.1 * i


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tracked")
    with zipfile.ZipFile(TRACKED) as file:
        file.extractall(root)
    return root


def frame(table: Table, columns: list[str]) -> list[tuple[object, ...]]:
    return list(zip(*(table.cells(c) for c in columns), strict=True))


def check(suite: Suite) -> None:
    """The suite of the five runs that have a loss."""
    assert [len(suite.experiment(i).pool) for i in suite.ids] == [3, 2]
    assert [dict(s.fidelity.values) for s in suite.summaries] == [{"n_params": s} for s in SIZES]
    small, large = (suite.experiment(i) for i in suite.ids)
    assert small.pool.columns["lr"].tolist() == [*RATES]
    assert small.values.tolist() == pytest.approx([loss(i) for i in range(3)])
    assert large.values.tolist() == pytest.approx([loss(3), loss(5)])
    assert (small.metric.name, small.metric.direction) == ("eval/loss", "minimize")


@pytest.mark.parametrize(
    "place", ["mlflow.db#cheap", "mlruns#cheap", "trackio", "trackio/cheap.db", "trackio/cheap.parquet"]
)
def test_a_sweep_is_the_same_suite_whoever_kept_it(tracked: Path, place: str) -> None:
    source = Source.of(f"{tracked}/{place}")
    suite, report = import_table(source, "t")
    check(suite)
    assert [(b.line, b.why) for b in report.bad] == [
        (NAN + 1, "the metric summary.eval/loss is NaN (state: finished)")
    ] or ("trackio" in place and [b.line for b in report.bad] == [NAN + 1])
    if "ml" in place:
        assert any("1 runs crashed, failed or were killed but have a metric" in note for note in report.notes)
        assert read_table(source).cells("state") == ["finished", "failed", *["finished"] * 4]
        assert "oops" not in read_table(source).cells("run")


def test_runs_of_one_name_stay_two_runs(tracked: Path) -> None:
    assert read_table(tracked / "trackio/cheap.db").cells("run") == [f"run-{i % 5}" for i in range(6)]
    assert read_table(tracked / "trackio/cheap.parquet").rows == 6


@pytest.mark.parametrize("place", ["mlflow.db", "mlruns"])
def test_of_several_experiments_some_are_named(tracked: Path, place: str) -> None:
    with pytest.raises(ImportProblem, match=r"several experiments \(cheap, other\)"):
        read_table(tracked / place)
    assert read_table(Source.of(f"{tracked}/{place}#other,cheap")).rows == 7


def test_a_database_is_only_read(tracked: Path) -> None:
    path = tracked / "mlflow.db"
    before = path.read_bytes()
    read_table(Source.of(f"sqlite:///{path}#cheap"))
    assert path.read_bytes() == before
    assert not list(tracked.glob("mlflow.db-*"))


def test_a_metric_without_a_bound_is_a_run_that_diverged(tracked: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    path.write_bytes((tracked / "mlflow.db").read_bytes())
    with sqlite3.connect(path) as database:
        database.execute(
            "UPDATE latest_metrics SET value = 1.7976931348623157e308 WHERE abs(value - ?) < 1e-9", [loss(2)]
        )
    _, report = import_table(Source.of(f"{path}#cheap"), "t")
    assert report.diverged == 1


def test_links_out_of_a_folder_of_runs_are_refused(tracked: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(TRACKED) as file:
        file.extractall(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("s3cret", encoding="utf-8")
    param = next((tmp_path / "mlruns").glob("*/*/params/optimizer"))
    param.unlink()
    param.symlink_to(secret)
    with pytest.raises(ImportProblem, match="leads out of mlruns") as problem:
        read_table(Source.of(f"{tmp_path}/mlruns#cheap,other"))
    assert "s3cret" not in str(problem.value)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("foreign.db", "neither Optuna's, MLflow's nor trackio's"),
        ("damaged.db", "cannot be read as a SQLite database"),
        ("list.json", "holds no list of objects"),
        ("torn.json", "is not JSON"),
        ("journal.log", "cannot be read as Optuna's storage"),
        ("wandb", "only W&B reads"),
        ("empty", "is a directory"),
        ("suite", "is a suite already"),
        ("none.db", "does not exist"),
        ("https://tracking.example.org", "not fetched"),
        ("mysql://user:secret@host/db#big", "big: mysql storages are not read"),
        ("postgresql://user:secret@127.0.0.1:1/db#big", "big cannot be read as Optuna's storage"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect("foreign.db") as database:
        database.execute("CREATE TABLE runs (a)")
    Path("damaged.db").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 20)
    Path("list.json").write_text('{"a": 1}', encoding="utf-8")
    Path("torn.json").write_text('[{"a": 1}', encoding="utf-8")
    Path("journal.log").write_text('{"op_code": 4, "worker_id": "x"}\n', encoding="utf-8")
    Path("wandb/offline-run-1").mkdir(parents=True)
    Path("wandb/offline-run-1/run-1.wandb").touch()
    Path("empty").mkdir()
    Path("suite").mkdir()
    Path("suite/suite.json").touch()
    assert main(["import", what, "--name", "t", "--dry-run"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert "secret" not in error


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("trackio/cheap.db", "UPDATE configs SET config = 7"),
        ("trackio/cheap.db", "UPDATE configs SET config = '[1]'"),
        ("trackio/cheap.db", "UPDATE metrics SET metrics = X'ff'"),
        ("trackio/cheap.db", "ALTER TABLE metrics RENAME COLUMN step TO s"),
        ("mlflow.db", "UPDATE latest_metrics SET value = 'a lot'"),
        ("mlflow.db", "UPDATE params SET value = X'ff'"),
        ("mlflow.db", "UPDATE runs SET name = NULL, start_time = 'x'"),
        ("mlflow.db", "ALTER TABLE params RENAME COLUMN value TO v"),
    ],
)
def test_odd_content_is_used_or_refused_in_one_line(
    tracked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, change: str
) -> None:
    path = tmp_path / "odd.db"
    path.write_bytes((tracked / file).read_bytes())
    with sqlite3.connect(path) as database:
        database.execute(change)
    code = main(["import", f"{path}#cheap" if "mlflow" in file else str(path), "--name", "t", "--dry-run"])
    error = capsys.readouterr().err
    if "runs SET" in change:
        assert (code, error) == (0, "\ndry run: nothing was written\n")
    else:
        assert (code, error.count("\n")) == (2, 1)


def test_an_odd_folder_of_mlflow_is_used_or_refused(tracked: Path) -> None:
    with zipfile.ZipFile(TRACKED) as file:
        root = tracked / "odd"
        file.extractall(root)
    for meta in (root / "mlruns").glob("*/*/meta.yaml"):
        text = (
            meta.read_text(encoding="utf-8")
            .replace("status: 3", "status: [3]")
            .replace("start_time: ", "start_time: x")
        )
        meta.write_text(text, encoding="utf-8")
    assert set(read_table(Source.of(f"{root}/mlruns#cheap")).cells("state")) == {"failed", "unknown"}
    next((root / "mlruns").glob("*/*/metrics/eval/loss")).write_text("later", encoding="utf-8")
    with pytest.raises(ImportProblem, match="cannot be read as MLflow writes it"):
        read_table(Source.of(f"{root}/mlruns#cheap,other"))


def fill(storage: str | optuna.storages.BaseStorage, name: str, size: int, *, direction: str = "minimize") -> None:
    """A study at one size: three finished trials, one pruned, one that failed."""
    study = optuna.create_study(storage=storage, study_name=name, direction=direction)
    study.set_user_attr("fidelity", {"n_params": size})
    for lr in RATES:
        trial = study.ask(
            {"lr": optuna.distributions.FloatDistribution(1e-4, 1, log=True)},
        )
        trial.set_user_attr("train_loss", 9.0)
        study.tell(trial, 3 - 0.1 * RATES.index(lr) - size / 1e9)
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.PRUNED, values=None))
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)


@pytest.fixture(params=["studies.db", "journal.log"])
def studies(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    storage: str | optuna.storages.BaseStorage = f"sqlite:///{path}"
    if path.suffix == ".log":
        backend = optuna.storages.journal.JournalFileBackend(str(path))
        storage = optuna.storages.JournalStorage(backend)
    fill(storage, "small", SIZES[0])
    fill(storage, "large", SIZES[1])
    fill(storage, "other", SIZES[1], direction="maximize")
    return path


def test_studies_are_runs_with_their_objective_and_their_scale(studies: Path) -> None:
    suite, report = import_table(Source.of(f"{studies}#small,large"), "t")
    assert [dict(s.fidelity.values) for s in suite.summaries] == [{"n_params": s} for s in SIZES]
    assert [s.metric.name for s in suite.summaries] == ["value", "value"]
    assert report.guess.roles.direction == "minimize"
    for size, id_ in zip(SIZES, suite.ids, strict=True):
        e = suite.experiment(id_)
        assert e.values.tolist() == pytest.approx([3 - 0.1 * i - size / 1e9 for i in range(3)])
        assert e.space.names == ("lr",)
    whys = " / ".join(b.why for b in report.bad)
    assert len(report.bad) == 4
    assert "the run is not over (state is 'pruned')" in whys
    assert "state: fail" in whys


def test_the_study_says_which_way_is_better_unless_the_user_does(studies: Path) -> None:
    table = read_table(Source.of(f"{studies}#other"))
    assert dict(table.objectives) == {"value": "maximize"}
    said = Overrides(fidelity=("n_params",))
    assert guess_roles(table, said).roles.direction == "maximize"
    assert guess_roles(table, Overrides(fidelity=(), direction="minimize")).roles.direction == "minimize"
    named = guess_roles(table, Overrides(metric="user_attrs_train_loss")).roles
    assert (named.metric, named.direction) == ("user_attrs_train_loss", "minimize")
    with pytest.raises(ImportProblem, match="optimise different things"):
        read_table(Source.of(f"{studies}#small,other"))


def test_a_study_is_only_read(studies: Path) -> None:
    before = studies.read_bytes()
    read_table(Source.of(f"{studies}#small"))
    assert studies.read_bytes() == before


def test_of_several_objectives_one_is_named(tmp_path: Path) -> None:
    study = optuna.create_study(
        storage=f"sqlite:///{tmp_path}/s.db", directions=["minimize", "maximize"], study_name="s"
    )
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.set_metric_names(["val/loss", "speed"])
    for i in range(5):
        trial = study.ask({"lr": optuna.distributions.FloatDistribution(1e-4, 1)})
        trial.set_user_attr("fidelity", {"tokens": 1e9})
        study.tell(trial, [2.0 + i, 1.0 * i])
    with pytest.raises(ImportProblem, match=r"several objectives: val/loss, speed; name one with --metric"):
        import_table(tmp_path / "s.db", "t")
    suite, report = import_table(tmp_path / "s.db", "t", overrides=Overrides(metric="speed"))
    assert report.guess.roles.direction == "maximize"
    assert suite.summaries[0].fidelity.values == {"tokens": 10**9}


@pytest.fixture
def dumped(tmp_path: Path) -> Callable[[], Path]:
    """Runs as `wandb.Api().runs` gives them, dumped as docs/exchange.md says."""

    def write() -> Path:
        runs = [
            {
                "name": f"run-{i}",
                "state": "crashed" if i == 1 else "finished",
                "config": {"lr": lr, "n_params": size, "optimizer": {"value": "adamw"}},
                "summary": {"eval/loss": "NaN" if i == NAN else loss(i), "_runtime": 3.0, "_wandb": {"runtime": 3}},
            }
            for i, (size, lr) in enumerate(RUNS)
        ]
        path = tmp_path / "wandb.json"
        path.write_text(json.dumps(runs), encoding="utf-8")
        return path

    return write


def test_runs_of_wandb_as_json_are_the_same_suite(dumped: Callable[[], Path]) -> None:
    suite, report = import_table(dumped(), "t")
    check(suite)
    assert [b.line for b in report.bad] == [NAN + 1]
    assert report.unit == "row"


def test_runs_of_wandb_as_its_pages_export_them_are_the_same_suite(tmp_path: Path) -> None:
    header = ["Name", "State", "Notes", "User", "Tags", "Created", "Runtime", "Sweep", "lr", "n_params", "eval/loss"]
    with (tmp_path / "export.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(header)
        for i, (size, lr) in enumerate(RUNS):
            value = "NaN" if i == NAN else loss(i)
            state = "crashed" if i == 1 else "finished"
            writer.writerow(
                [f"run-{i}", state, "-", "me", "", f"2026-01-0{i + 1}T00:00:00.000Z", 60 + i, "", lr, size, value]
            )
    check(import_table(tmp_path / "export.csv", "t")[0])


def test_a_table_written_by_mlflows_search_is_understood(tracked: Path, tmp_path: Path) -> None:
    """Columns of `mlflow.search_runs`, for runs on a server."""
    rows = read_table(Source.of(f"{tracked}/mlflow.db#cheap"))
    header = ["run_id", "status", "start_time", "params.lr", "params.n_params", "metrics.eval/loss", "tags.mlflow.user"]
    with (tmp_path / "search.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for i, (state, lr, size, value) in enumerate(
            frame(rows, ["state", "config.lr", "config.n_params", "summary.eval/loss"])
        ):
            shown = "" if isinstance(value, float) and math.isnan(value) else value
            writer.writerow([i, str(state).upper(), "2026-01-01", lr, size, shown, "me"])
    check(import_table(tmp_path / "search.csv", "t")[0])
