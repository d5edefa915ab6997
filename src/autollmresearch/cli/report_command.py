"""`report` makes one HTML file of a benchmark or a study, or of two to compare."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autollmresearch.cli.benchmark_command import show_benchmark
from autollmresearch.cli.study_commands import add_storage
from autollmresearch.live.reach import reach_study
from llmconfig_gym.cli.common import Commands, add_format, print_json

if TYPE_CHECKING:
    from autollmresearch.live.study import LiveStudy

EPILOG = """examples:
  autollmresearch report runs/micro
  autollmresearch report big
  autollmresearch report runs/before runs/after --out difference.html

The file needs no other and no network: open it in a browser, or send it to somebody.
"""


def register(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser(
        "report",
        help="make a page to look at",
        description="Make one HTML file: regret, landscapes, conversations, costs; of two runs, also their difference.",
        epilog=EPILOG,
    )
    add_runs(p)
    p.add_argument("second", nargs="?", metavar="SECOND", help="another of its kind, to compare")
    where = "where the file goes (DIR/report.html, STUDY.html; of two: comparison.html)"
    p.add_argument("--out", type=Path, metavar="FILE", help=where)
    add_format(p)
    p.set_defaults(run=run_report)


def add_runs(p: argparse.ArgumentParser) -> None:
    """What `report` and `view` are about."""
    p.add_argument("name", metavar="DIR|STUDY", help="a benchmark's --out, or a study: its name or directory")
    add_storage(p)


def run_report(args: argparse.Namespace) -> int:
    from autollmresearch.benchmark.runner import read_results

    if args.second is None and args.out is None and is_benchmark(args.name, args.storage):
        return show_benchmark(args, Path(args.name), read_results(Path(args.name)))
    from autollmresearch.report.page import write_page

    names = [args.name] if args.second is None else [args.name, args.second]
    data = page_data(names, args.storage)
    page = write_page(args.out or _place(data), data)
    if args.format == "json":
        print_json({"report": str(page)})
    else:
        print(f"report: {page}")
    return 0


def _place(data: dict[str, Any]) -> Path:
    from autollmresearch.benchmark.plots import file_name

    return Path("comparison.html" if data["comparison"] else f"{file_name(data['runs'][0]['name'])}.html")


def page_data(names: list[str], storage: str | None) -> dict[str, Any]:
    """The data of a page: one run, or two with their comparison.

    Raises:
        InvalidSettings: one is a benchmark and the other a study.
        ResultsMismatch, StudyProblem, StorageProblem: one of them cannot be read.
    """
    from autollmresearch.errors import InvalidSettings

    kinds = {is_benchmark(name, storage) for name in names}
    if len(kinds) > 1:
        raise InvalidSettings(f"{names[0]} and {names[1]} are a benchmark and a study; compare two of a kind")
    if kinds == {True}:
        return _benchmarks([Path(name) for name in names])
    return _studies([reach_study(name, storage) for name in names])


def is_benchmark(name: str, storage: str | None) -> bool:
    """Whether this is the directory of a benchmark, finished or not, and no study."""
    from autollmresearch.benchmark.runner import holds_results
    from autollmresearch.live.settings import SETTINGS

    path = Path(name)
    if storage is not None or not path.is_dir():
        return False
    return holds_results(path) or not (path / SETTINGS).is_file()


def _benchmarks(places: list[Path]) -> dict[str, Any]:
    from autollmresearch.benchmark.runner import read_results
    from autollmresearch.benchmark.summary import method_order
    from autollmresearch.report.benchmark import benchmark_run, looks
    from autollmresearch.report.compare import compare_benchmarks

    frames = [read_results(place) for place in places]
    runs = [benchmark_run(place, frame) for place, frame in zip(places, frames, strict=True)]
    if len(places) > 1:
        methods = looks(method_order(list({str(m) for frame in frames for m in frame["method"]})))
        runs = [run | {"name": str(place), "methods": methods} for run, place in zip(runs, places, strict=True)]
    return {"runs": runs, "comparison": compare_benchmarks(*frames) if len(frames) > 1 else None}


def _studies(studies: list[LiveStudy]) -> dict[str, Any]:
    from autollmresearch.report.compare import compare_studies
    from autollmresearch.report.study import study_run

    return {"runs": [study_run(s) for s in studies], "comparison": compare_studies(studies) if studies[1:] else None}
