"""`import`: a user's own table of runs becomes a suite. Shows what each column was taken for, and every bad row."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmconfig_gym.cli.common import Commands, add_format, print_json, print_table
from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.text import number

if TYPE_CHECKING:
    from llmconfig_gym.importing import Overrides, Report
    from llmconfig_gym.suite import Suite

EXAMPLES = """columns may be named in full (config.lr) or short (lr); what is not said is guessed, and the guess shown.

examples:
  llmconfig-gym import runs.csv --name mine --dry-run
  llmconfig-gym import runs.csv --name mine --fidelity N,tokens --metric val_loss --parameters lr,batch_size
  llmconfig-gym import wandb.csv --name rl --metric val/score --maximize --task grpo --log kl_coef
  llmconfig-gym import optuna.db#small,large --name swept
  llmconfig-gym import mlruns --name tracked --metric eval/loss
  llmconfig-gym import mixes.csv --name mix --simplex weights=web,code,math --cost gpu_hours
"""
_MOST = 20
RUNS = "a .csv, .tsv, .json, .jsonl or .parquet file, an mlruns folder, or a database of Optuna, MLflow or trackio"


def register(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser(
        "import",
        help="make a suite of your own runs",
        description="Make a suite of a table of runs (CSV, TSV, JSON, JSONL, Parquet, an export from W&B), or of what "
        "MLflow, trackio or Optuna keep.",
        epilog=EXAMPLES,
    )
    p.add_argument("source", metavar="RUNS", help=f"{RUNS}; of several studies, RUNS#STUDY")
    p.add_argument("--name", help="what to call the suite (default: the file's name)")
    p.add_argument("--out", type=Path, metavar="DIR", help="where to write it (default: a directory of that name here)")
    p.add_argument("--replace", action="store_true", help="overwrite a suite that is there already")
    p.add_argument("--dry-run", action="store_true", help="show the guess and the bad rows, write nothing")
    say = p.add_argument_group("what the columns are")
    say.add_argument("--parameters", type=_names, metavar="A,B", help="the settings that were varied")
    say.add_argument("--fidelity", type=_names, metavar="A,B", help="what was scaled between experiments ('' for none)")
    say.add_argument("--metric", metavar="COLUMN", help="what is optimised")
    better = say.add_mutually_exclusive_group()
    better.add_argument("--minimize", dest="direction", action="store_const", const="minimize", help="lower is better")
    better.add_argument("--maximize", dest="direction", action="store_const", const="maximize", help="higher is better")
    say.add_argument("--details", type=_names, metavar="A,B", help="numbers measured beside the metric ('' for none)")
    say.add_argument("--ignore", type=_names, default=(), metavar="A,B", help="columns to leave out")
    say.add_argument("--task", help="architecture, pretraining, grpo, mixture, or a word of your own")
    say.add_argument("--log", type=_names, default=(), metavar="A,B", help="settings on a logarithmic scale")
    say.add_argument("--linear", type=_names, default=(), metavar="A,B", help="settings on a linear scale")
    say.add_argument(
        "--categorical",
        type=_names,
        default=(),
        metavar="A,B",
        help="columns of choices, even if they look like numbers",
    )
    say.add_argument(
        "--simplex",
        action="append",
        default=[],
        metavar="NAME=A,B,C",
        help="columns that are mixture weights; may be given more than once",
    )
    say.add_argument("--cost", metavar="COLUMN", help="the cost of a run, e.g. a column of FLOPs or GPU hours")
    say.add_argument(
        "--levels", metavar="low=6,medium=4,high=7", help="how many experiments each (default: thirds by cost)"
    )
    add_format(p)
    p.set_defaults(run=run_import)


def run_import(args: argparse.Namespace) -> int:
    """Import, show, write. Raises `GymError` for bad input."""
    from llmconfig_gym.importing import Source, check_name, import_table, parse_levels

    source = Source.of(args.source)
    name: str = args.name if args.name is not None else source.stem
    check_name(name)
    out: Path = args.out if args.out is not None else Path(name)
    if not args.dry_run:
        _check_place(out, source.path, replace=args.replace)
    levels = parse_levels(args.levels) if args.levels is not None else None
    suite, report = import_table(source, name, overrides=_overrides(args), levels=levels)
    if not args.dry_run:
        try:
            suite.save(out, replace=out.exists())  # _check_place has seen that nothing else is lost
        except OSError as problem:
            raise ImportProblem(f"{out} cannot be written: {problem.strerror or problem}") from None
    written = None if args.dry_run else out
    if args.format == "json":
        print_json(_document(suite, report, written))
    else:
        _show(suite, report, written)
    return 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(part for p in text.split(",") if (part := p.strip()))


def _overrides(args: argparse.Namespace) -> Overrides:
    from llmconfig_gym.importing import Overrides

    simplex: dict[str, tuple[str, ...]] = {}
    for text in args.simplex:
        group, mark, columns = text.partition("=")
        if not mark or not group.strip() or not _names(columns) or group.strip() in simplex:
            raise ImportProblem(f"--simplex {text}: expected a new name and its columns, such as weights=web,code,math")
        simplex[group.strip()] = _names(columns)
    return Overrides(
        parameters=args.parameters,
        fidelity=args.fidelity,
        metric=args.metric,
        direction=args.direction,
        details=args.details,
        ignore=args.ignore,
        task=args.task,
        log=args.log,
        linear=args.linear,
        categorical=args.categorical,
        simplex=simplex,
        cost=args.cost,
    )


def _check_place(out: Path, source: Path, *, replace: bool) -> None:
    """Refuse to write where something else would be lost: replacing removes the whole directory."""
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir() or out.is_symlink():
        raise ImportProblem(f"{out} is no directory of its own; choose another place with --out")
    contents = sorted(p.name for p in out.iterdir())
    if not contents:
        return
    strangers = [n for n in contents if n not in ("suite.json", "tables")]
    if strangers or not (out / "suite.json").is_file():
        found = f"it holds {strangers[0]}" if strangers else "it is no suite"
        raise ImportProblem(f"{out} exists already and cannot be replaced ({found}); choose another place with --out")
    if source.exists() and source.resolve().is_relative_to(out.resolve()):
        raise ImportProblem(f"{source} lies inside {out}, which would be replaced; choose another place with --out")
    if not replace:
        raise ImportProblem(f"{out} exists already; choose another place with --out, or say --replace")


def _next_commands(suite: Suite, out: Path) -> list[str]:
    """What to try now; the example configuration is the first of the table, not the best."""
    target = suite.summaries[-1].id
    config = json.dumps(suite.experiment(target).pool.config(0))
    path = f"{out}/{target.partition('/')[2]}"
    place = _quoted(str(out))
    return [
        f"llmconfig-gym list {place}",
        f"llmconfig-gym show {_quoted(path)}",
        f"llmconfig-gym tell {_quoted(path)} {_quoted(config)}",
        f"autollmresearch benchmark --suite {place} --protocol full --methods random,copy --budget 5 --seeds 5 "
        f"--out {_quoted(f'{suite.name}-results')}",
    ]


def _quoted(text: str) -> str:
    from shlex import quote

    return quote(text)


def _document(suite: Suite, report: Report, out: Path | None) -> dict[str, Any]:
    """The one JSON document: what was guessed, what became of the rows, and what was made."""
    return {
        "suite": suite.name,
        "path": None if out is None else str(out),
        "roles": report.guess.roles.to_dict(),
        "columns": [{"column": r.column, "role": r.role, "why": r.why} for r in report.guess.reasons],
        "report": report.to_dict(),
        "experiments": [
            {**s.to_dict(), "cost_unit": s.fidelity.unit, "space": suite.experiment(s.id).space.to_list()}
            for s in suite.summaries
        ],
        "next": [] if out is None else _next_commands(suite, out),
    }


def _show(suite: Suite, report: Report, out: Path | None) -> None:
    from llmconfig_gym.importing.spaces import describe

    guess = report.guess
    print_table(("column", "taken for", "why"), [(r.column, r.role, r.why) for r in guess.reasons])
    roles = guess.roles
    print(f"\nmetric: {roles.metric}, {roles.direction}\ntask: {roles.task} ({guess.task_why})")
    print(f"cost of a run: {roles.cost.text()}\n")
    _show_rows(report)
    space = suite.experiment(suite.summaries[-1].id).space
    print("\nsettings of the dearest experiment:")
    _print_some(f"{p.name}: {describe(p)}" for p in space.parameters)
    print("\nexperiments, cheapest first:")
    rows = [
        (s.id, s.level, f"{number(s.fidelity.cost)} {s.fidelity.unit}", s.configurations, _noise(suite, s.id))
        for s in suite.summaries
    ]
    print_table(("id", "level", "cost", "configurations", "noise (sd)"), rows)
    if out is None:
        print("\ndry run: nothing was written", file=sys.stderr)
        return
    print(f"\nwritten to {out}. Next, for example:")
    _print_some(_next_commands(suite, out))


def _noise(suite: Suite, id_: str) -> str:
    noise = suite.experiment(id_).noise
    return "unknown" if noise != noise else number(noise)


def _show_rows(report: Report) -> None:
    merged = sum(len(r.lines) for r in report.replicates)
    print(
        f"{report.used} of {report.read} rows are used; {len(report.bad)} are not:"
        if report.bad
        else f"all {report.used} rows are used."
    )
    _print_some(f"{report.unit} {b.line}: {b.why}" for b in report.bad)
    if report.replicates:
        print(f"{merged} rows are replicates: {len(report.replicates)} configurations were run more than once:")
        _print_some(
            f"{report.unit}s {', '.join(map(str, r.lines))}: {r.experiment}, "
            f"mean {number(r.value, 5)}, sd {number(r.spread)}"
            for r in report.replicates
        )
    if report.diverged:
        print(f"runs that diverged: {report.diverged} of the rows used; they stay in the table.")
    for note in report.notes:
        print(f"note: {note}")


def _print_some(lines: Iterable[str]) -> None:
    listed = list(lines)
    for line in listed[:_MOST]:
        print(f"  {line}")
    if len(listed) > _MOST:
        print(f"  ... and {len(listed) - _MOST} more; --format json lists all")
