"""`run` runs the user's own command, once per trial: the cheap runs first, then the expensive ones."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from autollmresearch.cli.study_commands import add_decode
from llmconfig_gym.cli.common import Commands, add_format, add_progress, print_json
from llmconfig_gym.text import number, value_text

RUN_EPILOG = """It resumes: the same command goes on where it stopped, whether by Ctrl-C, a crash or kill -9. A trial
whose process still runs is waited for, one that has ended is recorded, one that was cut off is started again.

examples:
  autollmresearch run examples/tiny_lm/study.yaml
  autollmresearch run study.yaml --policy tpe
  autollmresearch status runs/tiny
"""


def register(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser(
        "run",
        help="run a study of your own command",
        description="Run a command of your own, once per trial, as a YAML file says.",
        epilog=RUN_EPILOG,
    )
    p.add_argument("settings", type=Path, metavar="YAML", help="what to run")
    p.add_argument("--policy", metavar="NAME", help="who proposes, in place of the file's")
    add_decode(p)
    add_progress(p)
    add_format(p)
    hint = "Nothing is lost: run the same command again to go on."
    p.set_defaults(run=run_run, resume_hint=hint)


def run_run(args: argparse.Namespace) -> int:
    from autollmresearch.live.propose import best_trial
    from autollmresearch.live.runner import run_study
    from autollmresearch.live.settings import read_settings

    settings = read_settings(args.settings, policy=args.policy, decode=args.decode)
    study = run_study(settings, Console(live=args.progress))
    trials = study.trials()
    best = best_trial(study.spec, trials)
    if args.format == "json":
        print_json(
            {
                "study": study.name,
                "storage": study.place,
                "directory": settings.directory,
                "best": None if best is None else best.to_dict(),
                "trials": [t.to_dict() for t in trials],
            }
        )
        return 0
    failed = sum(t.status == "failed" for t in trials)
    lost = f", {failed} of them failed" if failed else ""
    print(f"{study.name}: {len(trials)} of {study.spec.budget} trials are done{lost}")
    if best is not None and best.value is not None:
        print(f"best: trial {best.number}, {study.spec.metric.name} {number(best.value, 5)}")
        for name, value in best.config.items():
            print(f"  {name} {value_text(value)}")
    print(f"more: autollmresearch status {_near(settings.directory)}")
    return 0


def _near(path: str) -> str:
    """A path as one would type it here."""
    here = Path(path)
    return str(here.relative_to(Path.cwd())) if here.is_relative_to(Path.cwd()) else path


class Console:
    """Progress on standard error: a line per event and, if `live`, on a terminal one that changes as a trial runs."""

    def __init__(self, *, live: bool) -> None:
        self._live = live and sys.stderr.isatty()
        self._last = 0.0

    def line(self, text: str) -> None:
        """Say that something happened."""
        print(f"\r\x1b[K{text}" if self._live else text, file=sys.stderr, flush=True)

    def tick(self, text: str) -> None:
        """Show how it stands, once a second at most."""
        if self._live and time.monotonic() - self._last > 1:
            self._last = time.monotonic()
            print(f"\r\x1b[K{text[:100]}", end="", file=sys.stderr, flush=True)
