"""`list`, `show` and `tell`: looking at experiments and asking them."""

from __future__ import annotations

import argparse
import json
import sys

from llmconfig_gym.catalog import SOURCES, available, load_experiment, load_suite
from llmconfig_gym.cli.common import Commands, add_format, print_json, print_table
from llmconfig_gym.errors import InvalidConfig
from llmconfig_gym.tasks import describe, describe_outcome
from llmconfig_gym.text import number

LIST_EXAMPLES = """examples:
  llmconfig-gym list
  llmconfig-gym list micro --task grpo --level high
  llmconfig-gym list ./mine --format json
"""
SHOW_EXAMPLES = """examples:
  llmconfig-gym show micro/N98k-D1M
  llmconfig-gym show micro/N98k-D1M --format json
"""
TELL_EXAMPLES = """examples:
  llmconfig-gym tell micro/N98k-D1M '{"lr": 0.008, "batch_size": 4}'
  llmconfig-gym tell micro/N98k-D1M '{"lr": 0.008, "batch_size": 4}' --format json
"""


def register(commands: Commands) -> None:
    """Add the three commands."""
    p = commands.add_parser(
        "list",
        help="list experiments",
        description="List the experiments that can be told now.",
        epilog=LIST_EXAMPLES,
    )
    p.add_argument("suites", nargs="*", metavar="SUITE", help="names or paths of suites (default: all at hand)")
    p.add_argument("--level", choices=("low", "medium", "high"), help="only this fidelity level")
    p.add_argument("--task", help="only this task")
    add_format(p)
    p.set_defaults(run=run_list)

    p = commands.add_parser(
        "show",
        help="explain one experiment",
        description="What an agent reads about an experiment.",
        epilog=SHOW_EXAMPLES,
    )
    p.add_argument("experiment", metavar="EXPERIMENT", help="an id from `list`")
    add_format(p)
    p.set_defaults(run=run_show)

    p = commands.add_parser(
        "tell",
        help="the outcome of one configuration",
        description="Tell one configuration. What was not measured is answered with the most similar that was.",
        epilog=TELL_EXAMPLES,
    )
    p.add_argument("experiment", metavar="EXPERIMENT", help="an id from `list`")
    p.add_argument("config", metavar="CONFIG_JSON", help="""e.g. '{"lr": 0.001, "batch_size": 64}'""")
    add_format(p)
    p.set_defaults(run=run_tell)


def run_list(args: argparse.Namespace) -> int:
    suites = [load_suite(name) for name in (args.suites or available())]
    chosen = [
        s
        for suite in suites
        for s in suite.summaries
        if (args.level is None or s.level == args.level) and (args.task is None or s.task == args.task)
    ]
    if args.format == "json":
        print_json([s.to_dict() for s in chosen])
        return 0
    headers = ("id", "task", "level", "cost", "configurations", "metric", "direction")
    rows = []
    for s in chosen:
        cost = f"{number(s.fidelity.cost)} {s.fidelity.unit}"
        rows.append((s.id, s.task, s.level, cost, s.configurations, s.metric.name, s.metric.direction))
    print_table(headers, rows)
    absent = [n for n in SOURCES if n not in available()]
    if absent and not args.suites:
        print(f"\npublic tables not downloaded yet: llmconfig-gym download {' '.join(absent)}", file=sys.stderr)
    return 0


def run_show(args: argparse.Namespace) -> int:
    experiment = load_experiment(args.experiment)
    if args.format == "json":
        print_json(
            {
                "id": experiment.id,
                "suite": experiment.suite,
                "task": experiment.task,
                "level": experiment.level,
                "fidelity": dict(experiment.fidelity.values),
                "cost": experiment.fidelity.cost,
                "cost_unit": experiment.fidelity.unit,
                "metric": experiment.metric.name,
                "direction": experiment.metric.direction,
                "details": dict(experiment.metric.details),
                "space": experiment.space.to_list(),
                "configurations": len(experiment.pool),
                "noise": experiment.noise,
                "text": describe(experiment),
            }
        )
        return 0
    print(describe(experiment))
    print(f"\n{experiment.id}: {experiment.level} fidelity, {len(experiment.pool)} configurations measured.")
    return 0


def run_tell(args: argparse.Namespace) -> int:
    experiment = load_experiment(args.experiment)
    try:
        config = json.loads(args.config)
    except (ValueError, RecursionError) as problem:
        example = json.dumps(experiment.pool.config(0))
        raise InvalidConfig(f"CONFIG_JSON is not JSON ({problem}); write it as '{example}'") from None
    outcome = experiment.tell(config)
    if args.format == "json":
        print_json(outcome.to_dict())
    if outcome.kind == "invalid":
        raise InvalidConfig(outcome.message.removeprefix("invalid: "))
    if args.format == "table":
        print(describe_outcome(experiment.metric, outcome))
    return 0
