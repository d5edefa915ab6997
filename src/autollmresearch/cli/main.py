"""The command line of the researcher: `autollmresearch suggest | tell | status | export | run | benchmark | report |
leaderboard | view | play | train | ablate | show | doctor | completion`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from autollmresearch.cli import (
    ablate_command,
    benchmark_command,
    doctor_command,
    leaderboard_command,
    play_command,
    report_command,
    run_command,
    show_command,
    study_commands,
    suggest_command,
    train_command,
    view_command,
)
from autollmresearch.errors import ResearchError
from llmconfig_gym.cli import common, completion_command
from llmconfig_gym.errors import GymError

EXAMPLES = """examples:
  autollmresearch suggest --from runs.csv --target N=7B,tokens=20B --space space.yaml --budget 3 --study big
  autollmresearch tell big 0 2.31
  autollmresearch run study.yaml
  autollmresearch benchmark --out runs/micro
  autollmresearch benchmark --suite steplaw --protocol full,metered:10 --methods random,copy,pooled-gp --out runs/s
  autollmresearch report runs/micro
  autollmresearch view big
  autollmresearch play micro/N98k-D1M --protocol metered:10
  autollmresearch train all --recipe recipes/cpu-smoke.yaml --out runs/smoke
  autollmresearch ablate --recipe recipes/cpu-smoke.yaml --run runs/smoke --out runs/smoke-ablation --only parts
  autollmresearch show runs/smoke/simulate/trajectories.jsonl
  autollmresearch doctor
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return common.run_command(build_parser(), argv, (ResearchError, GymError))


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    about = "Learn from cheap LLM experiments, propose the configuration for the expensive one."
    parser, commands = common.program("autollmresearch", about, EXAMPLES)
    suggest_command.register(commands)
    study_commands.register(commands)
    run_command.register(commands)
    benchmark_command.register(commands)
    report_command.register(commands)
    leaderboard_command.register(commands)
    view_command.register(commands)
    play_command.register(commands)
    train_command.register(commands)
    ablate_command.register(commands)
    show_command.register(commands)
    doctor_command.register(commands)
    completion_command.register(commands, parser)
    return parser
