"""Writes `tracked.zip`: the same runs as MLflow and trackio keep them, each written by the program itself.

Neither can be installed beside this project's pins, so it is run in an environment of its own:
`pip install mlflow-skinny sqlalchemy alembic "trackio[spaces]"`, then `python write.py` in an empty directory.
Written with mlflow-skinny 3.17.2 and trackio 0.43.0.
"""

import itertools
import os
import shutil
import sqlite3
import sys
import zipfile
from pathlib import Path

os.environ |= {"LOGNAME": "nobody", "TRACKIO_DIR": str(Path("trackio").resolve()), "MLFLOW_ALLOW_FILE_STORE": "true"}
import mlflow
import trackio
from trackio.sqlite_storage import SQLiteStorage

RUNS = list(itertools.product((25_000_000, 100_000_000), (1e-3, 3e-3, 1e-2)))
BROKEN, NAN, DELETED = 1, 4, "oops"


def losses(i: int) -> tuple[float, float]:
    return 3.5, float("nan") if i == NAN else 3 - 0.1 * i


def write_mlflow(uri: str) -> None:
    mlflow.set_tracking_uri(uri)
    for experiment, runs in (("cheap", RUNS), ("other", RUNS[:1])):
        mlflow.set_experiment(experiment)
        for i, (size, lr) in enumerate(runs):
            mlflow.start_run(run_name=f"run-{i}")
            mlflow.log_params({"lr": lr, "n_params": size, "optimizer": "adamw"})
            for step, loss in enumerate(losses(i)):
                mlflow.log_metric("eval/loss", loss, step=step)
            mlflow.end_run("FAILED" if i == BROKEN else "FINISHED")
    mlflow.set_experiment("cheap")
    mistake = mlflow.start_run(run_name=DELETED)
    mlflow.log_params({"lr": 99, "n_params": 1})
    mlflow.end_run()
    mlflow.delete_run(mistake.info.run_id)


def write_trackio() -> None:
    for i, (size, lr) in enumerate(RUNS):
        trackio.init(project="cheap", name=f"run-{i % 5}", config={"lr": lr, "n_params": size, "optimizer": "adamw"})
        for loss in losses(i):
            trackio.log({"eval/loss": loss})
        trackio.finish()
    SQLiteStorage.export_to_parquet()


sys.argv[0] = Path(__file__).name  # MLflow records it
write_mlflow("sqlite:///mlflow.db")
write_mlflow(f"file://{Path('mlruns').resolve()}")
write_trackio()
for name in ("mlflow.db", "trackio/cheap.db"):
    with sqlite3.connect(name) as database:
        database.execute("PRAGMA journal_mode = DELETE")
    sqlite3.connect(name).execute("VACUUM")
shutil.rmtree("mlruns/0")  # an experiment that MLflow makes and nobody used
with zipfile.ZipFile(Path(__file__).with_name("tracked.zip"), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
    for file in ("mlflow.db", *Path("mlruns").rglob("*"), *Path("trackio").glob("cheap*")):
        if Path(file).is_file() and not str(file).endswith((".lock", "_system.parquet")):
            out.write(file)
