"""`train` runs the steps of the training pipeline, one or all of them, as a recipe says."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autollmresearch.training import STEPS
from llmconfig_gym.cli.common import Commands, add_format, add_progress, print_json
from llmconfig_gym.cli.workers import add_workers, read_workers

if TYPE_CHECKING:
    from llmconfig_gym.parallel import Cluster

LEARNERS = ("metabo", "nap")
"""Baselines that are trained."""

EPILOG = """steps, in this order; each reads what the ones before it left in RUN and writes RUN/STEP:
  prior      learn from an expert on landscapes drawn at random       -> RUN/prior/checkpoint
  curate     pair medium experiments with low ones                    -> RUN/curate/samples.jsonl
  simulate   play them, keep and mend what reaches the best           -> RUN/simulate/trajectories.jsonl
  distill    fine-tune on that                                        -> RUN/distill/checkpoint
  reinforce  multi-turn GRPO with the environment's reward            -> RUN/reinforce/checkpoint
  all        all of them

of its own, with a recipe of its own:
  metabo     the acquisition function of the method metabo             -> RUN/metabo/metabo.npz
  nap        the transformer of the method nap                         -> RUN/nap/nap.npz

High-fidelity experiments are locked: no step opens one. --backend ray, --workers and --gpus are for simulate.

example, a few minutes on two cores:
  autollmresearch train all --recipe recipes/cpu-smoke.yaml --out runs/smoke
  autollmresearch show runs/smoke/simulate/trajectories.jsonl
  autollmresearch benchmark --methods agent:runs/smoke/reinforce/checkpoint,copy --level medium --out runs/smoke-medium

It resumes: the same command goes on where it stopped, and a finished step is not run again. Several GPUs:
  accelerate launch -m autollmresearch train distill --recipe recipes/qwen3-4b.yaml --out runs/qwen
"""


def register(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser(
        "train",
        help="train an agent",
        description="Train a language model to choose configurations: all steps of the pipeline, or one.",
        epilog=EPILOG,
    )
    p.add_argument("step", choices=(*STEPS, "all", *LEARNERS), metavar="STEP", help="which step to run (see below)")
    p.add_argument("--recipe", type=Path, required=True, metavar="FILE", help="YAML file with all settings")
    p.add_argument("--out", type=Path, required=True, metavar="RUN", help="directory of this training run")
    add_workers(p, "1")
    add_progress(p)
    add_format(p)
    p.set_defaults(run=run_train, resume_hint="What was finished is kept: run the same command again to go on.")


def run_train(args: argparse.Namespace) -> int:
    from autollmresearch.training.curate import samples
    from autollmresearch.training.processes import is_first
    from autollmresearch.training.recipe import read_recipe
    from autollmresearch.training.step import one_process, read_manifest

    cluster = _cluster(args)
    if args.step in LEARNERS:
        return _train_method(args)
    recipe = read_recipe(args.recipe)
    list(samples(recipe.curate))  # what cannot be opened is said before hours of training, not after
    if args.step == "all":
        one_process("all")
    steps = STEPS if args.step == "all" else (args.step,)
    done: list[dict[str, Any]] = []
    first = is_first()
    for name in steps:
        where = {"cluster": cluster} if name == "simulate" else {}
        step = getattr(import_module(f"autollmresearch.training.{name}"), name)
        step(recipe, args.out, progress=args.progress, **where)
        manifest = read_manifest(args.out / name) if first else None
        if manifest is not None:
            done.append(manifest)
            if args.format == "table":
                print(_line(manifest), flush=True)
    if first and args.format == "json":
        print_json({"run": str(args.out), "steps": done})
    return 0


def _cluster(args: argparse.Namespace) -> Cluster | None:
    """Where rollouts are simulated; None for this process. Raises `StepProblem`."""
    from autollmresearch.errors import StepProblem
    from llmconfig_gym.parallel import Cluster

    workers = read_workers(args, 1, StepProblem)
    if not isinstance(workers, Cluster):
        if workers > 1:
            raise StepProblem("one machine simulates in one process; --workers goes with --backend ray")
        return None
    if args.step not in ("simulate", "all"):
        raise StepProblem(f"--backend ray is for simulate, not for {args.step}; accelerate launch trains in parallel")
    return workers


def _train_method(args: argparse.Namespace) -> int:
    from autollmresearch.training.games import read_play_recipe
    from autollmresearch.training.metabo import MetaBORecipe, metabo
    from autollmresearch.training.nap import NAPRecipe, nap
    from autollmresearch.training.step import one_process

    one_process(args.step)
    if args.step == "metabo":
        made = metabo(read_play_recipe(MetaBORecipe, args.recipe), args.out, progress=args.progress)
    else:
        made = nap(read_play_recipe(NAPRecipe, args.recipe), args.out, progress=args.progress)
    if args.format == "json":
        print_json({"run": str(args.out), "steps": [made]})
    else:
        print(_line(made), flush=True)
    return 0


def _line(manifest: dict[str, Any]) -> str:
    """A finished step in one line: what it counted, where a count is a plain number or text."""
    counts = [f"{k.replace('_', ' ')} {_short(v)}" for k, v in manifest["counts"].items() if not isinstance(v, dict)]
    return f"{manifest['step']:<10} {manifest['seconds']:.0f} s: {', '.join(counts)}"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
