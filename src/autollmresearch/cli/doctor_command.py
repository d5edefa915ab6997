"""`doctor` says what is installed, what is missing, and what to do about it; for both programs."""

from __future__ import annotations

import argparse
import sys

from llmconfig_gym.cli.common import Commands, add_format, add_progress, coloured, print_json
from llmconfig_gym.exits import Exit

COLOURS = {"ok": "green", "missing": "yellow", "broken": "red"}

EPILOG = """ok is in order, missing is optional and not there, broken cannot be used as it is. The exit code is 1 if
something that every user needs is broken, else 0.

examples:
  autollmresearch doctor
  autollmresearch doctor --format json
"""


def register(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser(
        "doctor",
        help="say what is installed and what is missing",
        description="Look at packages, devices, caches, suites and agents, of both programs, and change nothing.",
        epilog=EPILOG,
    )
    add_progress(p)
    add_format(p)
    p.set_defaults(run=run_doctor, resume_hint="Nothing was changed.")


def run_doctor(args: argparse.Namespace) -> int:
    from dataclasses import asdict
    from itertools import groupby

    from tqdm import tqdm

    from autollmresearch.doctor import PARTS, healthy

    parts = tqdm(PARTS, desc="doctor", leave=False, disable=None if args.progress else True)
    checks = [check for part in parts for check in part()]
    if args.format == "json":
        print_json({"healthy": healthy(checks), "checks": [asdict(c) for c in checks]})
        return Exit.DONE if healthy(checks) else Exit.NO
    width = max(len(c.name) for c in checks)
    for i, (part, some) in enumerate(groupby(checks, key=lambda c: c.part)):
        print(f"\n{part}" if i else part)
        for c in some:
            state = coloured(f"{c.state:<7}", COLOURS[c.state], sys.stdout)
            print(f"  {state}  {c.name:<{width}}  {c.found}" + (f"; {c.advice}" if c.advice else ""))
    counts = {state: sum(c.state == state for c in checks) for state in COLOURS}
    print("\n" + ", ".join(f"{n} {state}" for state, n in counts.items()))
    return Exit.DONE if healthy(checks) else Exit.NO
