"""`ablate` trains what a trained agent is compared with, measures all of them, and makes the table."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from autollmresearch.cli.benchmark_command import add_targets, read_processes, read_targets
from llmconfig_gym.cli.common import Commands, add_format, add_progress, print_json

if TYPE_CHECKING:
    import pandas as pd

    from autollmresearch.benchmark.ablation import Section

EPILOG = """rows of the first table:
  untrained        the model that training began with
  prior            after the first step alone; the two below and the whole agent start from it
  distilled only   RUN/distill
  RL only          the prior's model reinforced without having been distilled; trained here
  whole agent      RUN/reinforce, and again without evidence, fidelities, demonstrations in its prompts
  copy, analyst    no language models
of the second, for each task of the suites, on that task's experiments:
  trained without  an agent trained on all other tasks, all five steps; trained here

Everything trained here costs about as much as RUN once per task and a little more; --only parts leaves the tasks out.
It resumes: the same command goes on where it stopped.

example:
  autollmresearch train all --recipe recipes/researcher-mini.yaml --out runs/mini
  autollmresearch ablate --recipe recipes/researcher-mini.yaml --run runs/mini --out runs/mini-ablation
"""


def register(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser(
        "ablate",
        help="what each part of a trained agent is worth",
        description="Train an agent again without some of its parts, measure it with and without, and make the table.",
        epilog=EPILOG,
    )
    p.add_argument("--recipe", type=Path, required=True, metavar="FILE", help="the recipe of the run")
    p.add_argument("--run", dest="trained", type=Path, required=True, metavar="RUN", help="a finished `train all`")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="where agents, results and tables go")
    add_targets(p, protocols="full,metered:10", budget=5, seeds=5)
    p.add_argument("--only", choices=("parts", "tasks"), help="one of the two tables (both)")
    p.add_argument("--task-epochs", type=float, metavar="E", help="passes of priors without a task (the recipe's)")
    steps = ("prior", "distill", "reinforce")
    p.add_argument("--task-until", choices=steps, default="reinforce", help="last step of agents without a task")
    add_progress(p)
    add_format(p)
    hint = "What was finished is kept: run the same command again to go on."
    p.set_defaults(run=run_ablate, resume_hint=hint)


def run_ablate(args: argparse.Namespace) -> int:
    import pandas as pd

    from autollmresearch.benchmark import ablation
    from autollmresearch.benchmark.ablation import BESIDE, WHOLE, Row, sections
    from autollmresearch.benchmark.runner import run_benchmark
    from autollmresearch.errors import InvalidSettings
    from autollmresearch.training.ablate import check_run, rl_only, train_without, untrained, without
    from autollmresearch.training.recipe import read_recipe
    from autollmresearch.training.sft import CHECKPOINT
    from autollmresearch.training.step import one_process

    recipe, run, out, progress = read_recipe(args.recipe), args.trained, args.out, args.progress
    one_process("ablate")
    if "," in str(out):
        raise InvalidSettings(f"--out must hold no comma, which ends the path of an agent; found {out}")
    check_run(recipe, run)
    until = "" if args.task_until == "reinforce" else f", until {args.task_until}"
    whole = Row(WHOLE, f"agent:{run / 'reinforce' / CHECKPOINT}")
    references = [Row(name, name) for name in BESIDE]
    settings, workers = read_targets(args, (whole.method, *BESIDE)), read_processes(args)
    tasks = ablation.target_tasks(settings, settings.resolve()[1]) if args.only != "parts" else {}
    # What cannot be done is said before hours of training, not after.
    changed = {task: without(recipe, task, args.task_epochs) for task in tasks}

    def measure(name: str, methods: list[str], suites: tuple[str, ...] = settings.suites) -> pd.DataFrame:
        chosen = replace(settings, methods=tuple(methods), suites=suites)
        return run_benchmark(chosen, out / "benchmark" / name, workers=workers, progress=progress)

    known = measure("references", [whole.method, *BESIDE])
    parts: list[Section] = []
    groups: list[Section] = []
    left_out: list[Section] = []
    if args.only != "tasks":
        checkpoints = {
            "untrained": untrained(recipe, run, out),
            "prior": run / "prior" / CHECKPOINT,
            "distilled only": run / "distill" / CHECKPOINT,
            "RL only": rl_only(recipe, run, out / "rl-only", progress=progress),
            WHOLE: run / "reinforce" / CHECKPOINT,
        }
        rows = ablation.part_rows(checkpoints, recipe.agent)
        frame = pd.concat([known, measure("parts", [r.method for r in rows if r.method != whole.method])])
        parts = sections(frame, [*rows, *references])
        groups = sections(frame, [*rows, *references], by=("suite", "task"))
    for task, suites in tasks.items():
        checkpoint = train_without(changed[task], run, out / f"without-{task}", args.task_until, progress=progress)
        row = Row(f"trained without {task}{until}", f"agent:{checkpoint}")
        frame = pd.concat([known, measure(f"without-{task}", [row.method], suites)])
        left_out += sections(frame[frame["task"] == task], [row, whole, *references], by=("task",))
    data, tables = ablation.write_ablation(out, settings, parts, groups, left_out)
    if args.format == "json":
        print_json(data)
        return 0
    for table in tables:
        print(f"\n{table.title}\n{table.plain()}")
    print(f"\ntables: {out / 'ablation.md'}")
    return 0
