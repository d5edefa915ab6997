"""Curate: which problems the agent practises on (Guo et al., arXiv 2605.11518, section 4.2).

Experiments are ordered by fidelity and split into low, medium and high by their suite. Pairs are one-to-many: every
medium experiment is a target, with each low experiment of its family as context alone, and with all of them together,
under several budgets and protocols. The high experiments, with medium and low ones as context, are for the test side:
the benchmark makes those pairs, training cannot open them (unlocked.py).

Writes RUN/curate/samples.jsonl, one sample per line.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autollmresearch.benchmark.protocols import Protocol
from autollmresearch.errors import StepProblem
from autollmresearch.training.fields import build
from autollmresearch.training.unlocked import check_unlocked, open_experiment, suite_files, unlocked
from llmconfig_gym.description import require
from llmconfig_gym.errors import InvalidDescription
from llmconfig_gym.files import read_lines, write_text

if TYPE_CHECKING:
    from autollmresearch.evidence.records import Problem
    from autollmresearch.training.recipe import Recipe
    from llmconfig_gym.experiment import Experiment
    from llmconfig_gym.suite import Summary

SAMPLES = "samples.jsonl"


@dataclass(frozen=True)
class CurateSettings:
    """Which samples to make.

    Attributes:
        suites: names or paths of suites.
        targets: ids of medium experiments; empty for all of the suites.
        budgets: trials; one sample for each.
        protocols: what is known before the first trial: `full` (whole tables), `metered:N` (N outcomes of them).
        seeds: draws of the outcomes of each `metered` sample.
    """

    suites: tuple[str, ...] = ("micro",)
    targets: tuple[str, ...] = ()
    budgets: tuple[int, ...] = (3, 5)
    protocols: tuple[str, ...] = ("full",)
    seeds: int = 1

    def __post_init__(self) -> None:
        for name in ("suites", "budgets", "protocols"):
            values = getattr(self, name)
            require(values and len(set(values)) == len(values), f"{name} are one or more, all different", list(values))
        require(all(b >= 1 for b in self.budgets), "budgets are at least 1 trial", list(self.budgets))
        require(self.seeds >= 1, "seeds is at least 1", self.seeds)


@dataclass(frozen=True)
class Sample:
    """One problem to practise on.

    Attributes:
        target: id of a medium experiment.
        cheaper: ids of the low experiments that are its context, cheapest first.
        protocol: `full` or `metered:N`.
        budget: trials on the target.
        seed: of the draw that `metered` makes.
    """

    target: str
    cheaper: tuple[str, ...]
    protocol: str
    budget: int
    seed: int


def curate(recipe: Recipe, run: Path, *, progress: bool = True) -> None:
    """Make the samples of a recipe, as RUN/curate/samples.jsonl.

    Raises:
        LockedExperiment, InvalidProtocol, StepProblem: and the gym's errors for suites that cannot be loaded.
    """
    from autollmresearch.training.step import one_process, run_step

    one_process("curate")

    def work(out: Path) -> dict[str, Any]:
        made = list(samples(recipe.curate, recipe.seed))
        if not made:
            raise StepProblem(
                f"no sample: {', '.join(recipe.curate.suites)} have no medium experiment with a low one of its family"
            )
        write_text(out / SAMPLES, "".join(json.dumps(asdict(s)) + "\n" for s in made))
        tasks = {id_: s.task for suite in recipe.curate.suites for id_, s in unlocked(suite)}
        return {"samples": len(made), "by_task": dict(Counter(tasks[s.target] for s in made))}

    suites = suite_files(recipe.curate.suites)
    run_step(run, "curate", work, settings={"curate": asdict(recipe.curate)}, inputs=suites, seed=recipe.seed)


def samples(settings: CurateSettings, seed: int = 0) -> Iterator[Sample]:
    """The samples of these settings, cheapest targets first. `seed` is the first of the seeds."""
    check_unlocked(settings.targets)
    protocols = [Protocol.parse(p) for p in settings.protocols]
    usable = {i for suite in settings.suites for i, s in unlocked(suite) if s.level == "medium"}
    if lost := [t for t in settings.targets if t not in usable]:
        raise StepProblem(f"{lost[0]} is no medium experiment of {', '.join(settings.suites)}, so no target of curate")
    for suite in settings.suites:
        known = unlocked(suite)
        for id_, target in known:
            if target.level != "medium" or (settings.targets and id_ not in settings.targets):
                continue
            for cheaper in _contexts([(i, s) for i, s in known if s.level == "low" and s.family == target.family]):
                for protocol in protocols:
                    for draw in range(1 if protocol.outcomes is None else settings.seeds):
                        for budget in settings.budgets:
                            yield Sample(id_, cheaper, str(protocol), budget, seed + draw)


def _contexts(low: Sequence[tuple[str, Summary]]) -> list[tuple[str, ...]]:
    """Each low experiment alone, then all together (a prompt shows as many of them as its style says)."""
    alone: list[tuple[str, ...]] = [(id_,) for id_, _ in low]
    return alone if len(alone) < 2 else [*alone, tuple(id_ for id_, _ in low)]


def read_samples(path: Path) -> list[Sample]:
    """The samples of a file, all of them on unlocked experiments.

    Raises:
        StepProblem: there is no such file, or a line is no sample.
        LockedExperiment: a sample is on a high experiment, or has one as context.
    """
    made = []
    try:
        lines = read_lines(path)
    except (OSError, UnicodeDecodeError) as problem:
        raise StepProblem(f"{path} cannot be read: {problem}") from None
    for number, line in enumerate(lines, start=1):
        try:
            made.append(build(Sample, json.loads(line)))
        except (ValueError, RecursionError, InvalidDescription) as problem:
            raise StepProblem(f"{path}, line {number} is no sample: {problem}") from None
    check_unlocked(sorted({id_ for s in made for id_ in (s.target, *s.cheaper)}))
    return made


def open_sample(sample: Sample) -> tuple[Experiment, Problem]:
    """The target and what the agent may know of it. Raises as `open_experiment`, and `InvalidProtocol`."""
    target = open_experiment(sample.target)
    cheaper = [open_experiment(id_) for id_ in sample.cheaper]
    (problem,) = Protocol.parse(sample.protocol).problems(target, cheaper, sample.budget, [sample.seed])
    return target, problem
