"""`export`: an experiment's or a suite's table as CSV, Parquet or JSON lines, readable again by `import`; a suite as a
Hugging Face dataset, which is a suite still."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llmconfig_gym.catalog import load_experiment, load_suite
from llmconfig_gym.cli.common import Commands, add_format, print_json
from llmconfig_gym.errors import GymError, UnknownName
from llmconfig_gym.experiment import Experiment
from llmconfig_gym.files import whole_file
from llmconfig_gym.parameter import Simplex

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = """examples:
  llmconfig-gym export micro --out micro.csv
  llmconfig-gym export micro/N98k-D1M --out N98k-D1M.parquet
  llmconfig-gym export micro --to hf --out micro-dataset
"""
WRITERS = (".csv", ".parquet", ".jsonl")


def register(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser(
        "export",
        help="write a table as CSV, Parquet or JSONL, or a suite as a Hugging Face dataset",
        description="Write the table of an experiment, or of all experiments of a suite with their fidelities.",
        epilog=EXAMPLES,
    )
    p.add_argument("name", metavar="EXPERIMENT|SUITE", help="an id from `list`, or a suite's name or path")
    p.add_argument("--to", choices=("table", "hf"), default="table", help="a table, or a Hugging Face dataset folder")
    p.add_argument("--out", required=True, type=Path, help="a file that ends in .csv, .parquet or .jsonl, or a folder")
    p.add_argument("--replace", action="store_true", help="overwrite what is there, if it is such a file or folder")
    add_format(p)
    p.set_defaults(run=run_export)


def run_export(args: argparse.Namespace) -> int:
    if args.to == "hf":
        return _export_dataset(args)
    out: Path = args.out
    if out.suffix not in WRITERS:
        raise GymError(f"--out must end in {', '.join(WRITERS)}, found {out.name!r}")
    if out.exists() and not args.replace:
        raise GymError(f"{out} exists already; choose another name or say --replace")
    import pandas as pd

    frame = pd.concat([frame_of(e) for e in _experiments(args.name)], ignore_index=True)
    with whole_file(out) as temporary:
        if out.suffix == ".csv":
            frame.to_csv(temporary, index=False)
        elif out.suffix == ".parquet":
            frame.to_parquet(temporary, index=False)
        else:
            frame.to_json(temporary, orient="records", lines=True)
    if args.format == "json":
        print_json({"path": str(out), "rows": len(frame), "columns": list(frame.columns)})
    else:
        print(f"{out}: {len(frame)} rows, columns {', '.join(frame.columns)}", file=sys.stderr)
    return 0


def _export_dataset(args: argparse.Namespace) -> int:
    from llmconfig_gym.dataset_card import save_dataset

    suite, out = load_suite(args.name), args.out
    save_dataset(suite, out, replace=args.replace)
    rows = sum(s.configurations for s in suite.summaries)
    if args.format == "json":
        print_json({"path": str(out), "experiments": len(suite.ids), "rows": rows, "licence": suite.card.licence})
    else:
        print(f"{out}: {len(suite.ids)} experiments, {rows} rows", file=sys.stderr)
        print(f"licence: {suite.card.licence or 'none is stated'}", file=sys.stderr)
    return 0


def _experiments(name: str) -> list[Experiment]:
    try:
        suite = load_suite(name)
    except UnknownName:
        return [load_experiment(name)]
    return [suite.experiment(i) for i in suite.ids]


def frame_of(experiment: Experiment) -> pd.DataFrame:
    """An experiment's table with its id, level and fidelity in front; a simplex as `parameter.component` columns."""
    import pandas as pd

    data: dict[str, object] = {"experiment": experiment.id, "level": experiment.level}
    data |= {**experiment.fidelity.values, "cost": experiment.fidelity.cost}
    for p in experiment.space.parameters:
        column = experiment.pool.columns[p.name]
        if isinstance(p, Simplex):
            data |= {f"{p.name}.{c}": column[:, i] for i, c in enumerate(p.components)}
        else:
            data[p.name] = column
    diverged = experiment.metric.sign * float("inf")  # so that `import` knows it for what it is
    data[experiment.metric.name] = np.where(np.isfinite(experiment.values), experiment.values, diverged)
    data |= experiment.details
    if experiment.spread is not None:
        data["spread"] = experiment.spread
    if experiment.replicates is not None:
        data["replicates"] = experiment.replicates
    return pd.DataFrame(data, index=range(len(experiment.pool)))
