"""Ablate: the agents that a trained one is compared with, each missing one part of what made it.

They are trained by the steps of the pipeline, with the recipe of the whole agent's run changed in one thing, in
directories of their own: a finished step is not run again, an interrupted one goes on.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from autollmresearch.errors import InvalidRecipe, StepProblem
from autollmresearch.training.curate import curate
from autollmresearch.training.distill import distill
from autollmresearch.training.prior import prior
from autollmresearch.training.recipe import Recipe
from autollmresearch.training.reinforce import reinforce
from autollmresearch.training.sft import CHECKPOINT
from autollmresearch.training.simulate import simulate
from autollmresearch.training.step import read_manifest, run_step
from autollmresearch.training.unlocked import unlocked


def check_run(recipe: Recipe, run: Path) -> None:
    """Make sure that all steps of a run are finished, and were made with this recipe. Raises `StepProblem`."""
    for step in (prior, curate, simulate, distill, reinforce):
        if read_manifest(run / step.__name__) is None:
            raise StepProblem(
                f"{run} has no finished step {step.__name__}; finish the run first: autollmresearch train all "
                f"--recipe ... --out {run}"
            )
        step(recipe, run, progress=False)  # finished, so nothing is run: it compares settings and inputs


def untrained(recipe: Recipe, run: Path, out: Path) -> Path:
    """The model that the run's training began with, with the run's tokenizer; returns its checkpoint.

    Raises:
        StepProblem, CheckpointProblem: as the step `prior`.
    """
    from transformers import AutoTokenizer

    from autollmresearch.training.scratch import load_model, make_model

    checkpoint = run / "prior" / CHECKPOINT

    def work(directory: Path) -> dict[str, Any]:
        tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
        if recipe.model.path:
            model, _ = load_model(recipe.model)
        else:
            model = make_model(recipe.model, tokenizer, recipe.seed)
        model.save_pretrained(directory / CHECKPOINT)
        tokenizer.save_pretrained(directory / CHECKPOINT)
        recipe.agent.save(directory / CHECKPOINT)
        return {"parameters": int(model.num_parameters())}

    made_of = {"model": asdict(recipe.model), "agent": asdict(recipe.agent)}
    run_step(out, "untrained", work, settings=made_of, inputs={"prior": checkpoint}, seed=recipe.seed)
    return out / "untrained" / CHECKPOINT


def rl_only(recipe: Recipe, run: Path, out: Path, *, progress: bool = True) -> Path:
    """The run's prior, reinforced without having been distilled; returns its checkpoint."""
    curate(recipe, out, progress=progress)
    reinforce(recipe, out, start=run / "prior" / CHECKPOINT, progress=progress)
    return out / "reinforce" / CHECKPOINT


def without(recipe: Recipe, task: str, epochs: float | None = None) -> Recipe:
    """The recipe without a task: its landscapes are not learned from, its experiments are no targets.

    Args:
        epochs: passes of the prior over its rows; None: as many as the recipe's.

    Raises:
        InvalidRecipe: nothing would be left.
    """
    settings = recipe.curate
    mediums = [(i, s.task) for suite in settings.suites for i, s in unlocked(suite) if s.level == "medium"]
    chosen = tuple(i for i, t in mediums if t != task and (not settings.targets or i in settings.targets))
    kinds = set(recipe.prior.landscapes.kinds)
    left_out = kinds & {*recipe.prior.leave_out, task}
    if not chosen or left_out == kinds:
        raise InvalidRecipe(f"without {task} the recipe has nothing to train on; choose --only parts, or train on more")
    sft = recipe.prior.sft if epochs is None else replace(recipe.prior.sft, epochs=epochs)
    return replace(
        recipe,
        prior=replace(recipe.prior, leave_out=tuple(sorted(left_out)), sft=sft),
        curate=replace(settings, targets=chosen),
    )


def train_without(changed: Recipe, run: Path, out: Path, until: str = "reinforce", *, progress: bool = True) -> Path:
    """An agent that was trained on the other tasks alone (`without`), up to a step; returns its checkpoint.

    It shares rows and tokenizer with the run: the tokenizer knows the task's words, the model has seen nothing of it.
    """
    prior(changed, out, rows_of=run, progress=progress)
    for step in (curate, simulate, distill, reinforce):
        if until == "prior" or (until == "distill" and step is reinforce):
            break
        step(changed, out, progress=progress)
    return out / until / CHECKPOINT
