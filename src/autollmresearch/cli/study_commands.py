"""`tell` records what came of a trial; `status` and `export` show a study."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from autollmresearch.live.reach import DEFAULT_STORAGE, reach_study
from llmconfig_gym.cli.common import Commands, add_format, print_json, print_table
from llmconfig_gym.text import number, value_text

if TYPE_CHECKING:
    from autollmresearch.live.spec import Spec
    from autollmresearch.live.study import LiveStudy

_WIDEST = 60
"""Characters of a failure's reason in a table."""

TELL_EXAMPLES = """examples:
  autollmresearch tell big 0 2.31
  autollmresearch tell big 0 2.31 --details grad_norm=0.8 seconds=5400
  autollmresearch tell big 1 --failed "out of memory"
"""
STATUS_EXAMPLES = """examples:
  autollmresearch status big
  autollmresearch status runs/tiny --format json
"""
EXPORT_EXAMPLES = """examples:
  autollmresearch export big --out big.csv
  autollmresearch export runs/tiny --out tiny-suite
"""


def register(commands: Commands) -> None:
    """Add the three commands."""
    p = commands.add_parser(
        "tell",
        help="record the outcome of a trial",
        description="Record the outcome of a trial.",
        epilog=TELL_EXAMPLES,
    )
    _add_study(p)
    p.add_argument("trial", type=int, metavar="TRIAL", help="its number")
    p.add_argument("value", nargs="?", metavar="VALUE", help="the metric")
    p._negative_number_matcher = re.compile(r"-(\d|\.\d|inf)")  # before 3.14, argparse takes -1e-3 for an option
    p.add_argument("--details", nargs="+", default=[], metavar="K=V", help="what else was measured")
    p.add_argument("--failed", metavar="REASON", help="it gave no value: why")
    add_storage(p)
    add_format(p)
    p.set_defaults(run=run_tell)

    p = commands.add_parser(
        "status", help="show a study", description="Show a study and its trials.", epilog=STATUS_EXAMPLES
    )
    _add_study(p)
    add_storage(p)
    add_format(p)
    p.set_defaults(run=run_status)

    p = commands.add_parser(
        "export",
        help="write a study to a file",
        description="Write a study's trials to a table, or as a suite.",
        epilog=EXPORT_EXAMPLES,
    )
    _add_study(p)
    p.add_argument("--out", type=Path, required=True, metavar="FILE", help="a .csv, .jsonl or .parquet, or a directory")
    add_storage(p)
    add_format(p)
    p.set_defaults(run=run_export)


def _add_study(p: argparse.ArgumentParser) -> None:
    p.add_argument("study", metavar="STUDY", help="its name, or the directory in which `run` runs it")


def add_storage(p: argparse.ArgumentParser) -> None:
    """The `--storage` of every command that reaches a study."""
    p.add_argument("--storage", metavar="URL", help=f"where studies are kept ({DEFAULT_STORAGE})")


def add_decode(p: argparse.ArgumentParser) -> None:
    """The `--decode` of every command that asks an agent."""
    how = "how an agent answers: the likeliest of all legal answers, words it draws, or its likeliest words"
    p.add_argument("--decode", choices=("score", "sample", "greedy"), help=f"{how} (what its checkpoint says)")


def run_tell(args: argparse.Namespace) -> int:
    from autollmresearch.errors import InvalidSettings, StudyProblem
    from autollmresearch.live.propose import best_trial
    from autollmresearch.live.runner import RUN

    if (args.value is None) == (args.failed is None):
        raise InvalidSettings("say either the value or --failed REASON, such as: autollmresearch tell big 0 2.31")
    details = dict(_detail(text) for text in args.details)
    study = reach_study(args.study, args.storage)
    if (run := study.recall(RUN)) is not None:
        raise StudyProblem(f"{study.name} is run by `autollmresearch run`, in {run['directory']}, which tells itself")
    if args.failed is not None:
        trial = study.fail(args.trial, args.failed.strip() or "no reason given", details)
    else:
        trial = study.tell(args.trial, _value(args.value, study.name, args.trial), details)
    trials = study.trials()
    best, left = best_trial(study.spec, trials), study.spec.budget - len(trials)
    place = "" if study.url == DEFAULT_STORAGE else f" --storage {shlex.quote(study.place)}"
    more = f"autollmresearch suggest --study {shlex.quote(study.name)}{place}"
    if args.format == "json":
        told = {"study": study.name, **trial.to_dict(), "best": None if best is None else best.number, "left": left}
        print_json(told | {"next": more if left else None})
        return 0
    metric = study.spec.metric.name
    if trial.value is None:
        print(f"trial {trial.number} of {study.name} failed: {trial.failure}")
    else:
        expected = "" if trial.mean is None else f" (expected {expected_text(study.spec, trial.mean, trial.sd)})"
        print(f"trial {trial.number} of {study.name}: {metric} {number(trial.value, 5)}{expected}")
    if best is not None and best.value is not None:
        which = "this one" if best.number == trial.number else f"trial {best.number} with {number(best.value, 5)}"
        print(f"best so far: {which}")
    print(f"{left} trial{'s' if left > 1 else ''} left: {more}" if left else "the budget is spent")
    return 0


def _value(text: str, study: str, trial: int) -> float:
    from autollmresearch.errors import InvalidSettings

    try:
        return float(text)
    except ValueError:
        raise InvalidSettings(
            f"{text!r} is no number; expected a value such as 2.31, or: tell {study} {trial} --failed REASON"
        ) from None


def _detail(text: str) -> tuple[str, float]:
    from autollmresearch.errors import InvalidSettings

    name, mark, value = text.partition("=")
    try:
        if not mark or not name.strip():
            raise ValueError
        return name.strip(), float(value)
    except ValueError:
        raise InvalidSettings(f"--details {text}: expected a name and a number, such as grad_norm=0.8") from None


def run_status(args: argparse.Namespace) -> int:
    from autollmresearch.live.export import phases_of
    from autollmresearch.live.propose import best_trial

    study = reach_study(args.study, args.storage)
    parts = [*phases_of(study), study]
    if args.format == "json":
        print_json(
            {
                "study": study.name,
                "storage": study.place,
                **{k: v for k, v in study.spec.to_dict().items() if k not in ("version", "evidence")},
                "evidence": sum(len(r.losses) for r in study.spec.cheaper),
                "trials": [t.to_dict() for t in study.trials()],
                "best": None if (b := best_trial(study.spec, study.trials())) is None else b.number,
                "left": study.spec.budget - len(study.trials()),
                "phases": [
                    {"study": p.name, "budget": p.spec.budget, "trials": [t.to_dict() for t in p.trials()]}
                    for p in parts[:-1]
                ],
            }
        )
        return 0
    for part in parts:
        _print_status(part)
    return 0


def _print_status(study: LiveStudy) -> None:
    from autollmresearch.live.propose import best_trial
    from autollmresearch.live.trial import sentences

    spec, trials = study.spec, study.trials()
    known = sum(len(r.losses) for r in spec.cheaper)
    best = best_trial(spec, trials)
    print(f"{study.name}: {spec.metric.name}, {spec.metric.direction}d, at {spec.fidelity.text()}")
    print(f"{len(trials)} of {spec.budget} trials used; proposed by {spec.policy} from {known} cheaper runs")
    headers = ("trial", "status", spec.metric.name, "expected", *spec.space.names, "")
    rows = []
    for t in trials:
        value = "" if t.value is None else number(t.value, 5)
        expected = "" if t.mean is None else number(t.mean, 5) + ("" if t.sd is None else f" +- {number(t.sd)}")
        mark = "best" if best is not None and best.number == t.number else t.failure[:_WIDEST]
        rows.append((t.number, t.status, value, expected, *(value_text(t.config[n]) for n in spec.space.names), mark))
    if rows:
        print_table(headers, rows)
    for t in trials:
        if t.status == "open" and t.reasoning:
            print(f"why trial {t.number}:")
            for sentence in sentences(t.reasoning):
                print(f"  {sentence}")
    print()


def run_export(args: argparse.Namespace) -> int:
    from autollmresearch.live.export import export

    study = reach_study(args.study, args.storage)
    count = export(study, args.out)
    if args.format == "json":
        print_json({"study": study.name, "path": str(args.out), "trials": count})
    else:
        print(f"{count} trials of {study.name} written to {args.out}")
    return 0


def expected_text(spec: Spec, mean: float | None, sd: float | None) -> str:
    """The outcome that was expected, in words."""
    if mean is None:
        return f"{spec.policy} gives no expectation"
    spread = "" if sd is None else f" +- {number(sd)} (one standard deviation)"
    return f"{spec.metric.name} {number(mean, 5)}{spread}"
