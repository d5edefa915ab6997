"""Simulate: trajectories worth learning from (Guo et al., arXiv 2605.11518, section 4.2).

On each curated sample the model of the prior step plays a number of episodes at a temperature. Those that reach the
best configuration are kept. Where none does, the best of them is cut at its last or second-to-last trial, and the
model, shown the best configuration, goes on towards it; what it then says is joined to what came before as if nothing
had been shown. A sample on which this fails too is dropped, and counted.

Writes RUN/simulate/trajectories.jsonl. A sample that is done is on disk whole; an interrupted run goes on from there.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from autollmresearch.episode import Hint, Trajectory, Turn, run_episodes
from autollmresearch.errors import StepProblem
from autollmresearch.training.curate import SAMPLES, Sample, open_sample, read_samples
from autollmresearch.training.expert import hint
from autollmresearch.training.sft import CHECKPOINT, WORKING
from autollmresearch.training.unlocked import suite_files
from autollmresearch.trajectories import from_dict, to_dict
from llmconfig_gym.description import require
from llmconfig_gym.experiment import Outcome
from llmconfig_gym.files import append_lines, read_lines, write_text
from llmconfig_gym.parallel import Cluster, run_jobs

if TYPE_CHECKING:
    from autollmresearch.evidence.records import Problem
    from autollmresearch.policies.causal_lm import Decode
    from autollmresearch.policy import Policy
    from autollmresearch.training.recipe import Recipe
    from llmconfig_gym.experiment import Experiment

TRAJECTORIES = "trajectories.jsonl"
RECORDS = "records.jsonl"
"""In the working directory: one line per finished sample."""

Result: TypeAlias = Literal["kept", "continued", "failed"]


@dataclass(frozen=True)
class SimulateSettings:
    """How to simulate.

    Attributes:
        rollouts: episodes per sample.
        temperature: at which they are sampled, and continued.
        keep: the most that are kept of one sample's episodes that reach the best configuration, best reward first.
        continuations: tries to go on towards the best configuration where none reached it; of those that do, that with
            the best reward is kept.
        batch: episodes that advance together.
    """

    rollouts: int = 20
    temperature: float = 0.8
    keep: int = 4
    continuations: int = 4
    batch: int = 64

    def __post_init__(self) -> None:
        for name in ("rollouts", "keep", "batch"):
            require(getattr(self, name) >= 1, f"{name} is at least 1", getattr(self, name))
        require(self.continuations >= 0, "continuations is at least 0", self.continuations)
        require(self.temperature > 0, "temperature is more than 0: rollouts must differ", self.temperature)


@dataclass(frozen=True)
class Simulated:
    """What came of one sample.

    Attributes:
        task: of its target.
        result: whether rollouts were `kept`, one was `continued`, or all `failed`.
        reached: rollouts that reached the best configuration.
        trajectories: what is learned from.
    """

    task: str
    result: Result
    reached: int
    trajectories: tuple[Trajectory, ...]


@dataclass(frozen=True)
class Agent:
    """A checkpoint as bytes, so that a node needs none of the files of the process that sends it jobs."""

    files: Mapping[str, bytes]
    decode: Decode
    temperature: float

    @classmethod
    def read(cls, checkpoint: Path, decode: Decode, temperature: float) -> Agent:
        """The agent whose files lie in this directory."""
        return cls({p.name: p.read_bytes() for p in checkpoint.iterdir() if p.is_file()}, decode, temperature)

    @cached_property
    def policy(self) -> Policy:
        """The agent, loaded once in each process that asks."""
        from autollmresearch.policies.causal_lm import CausalLMPolicy

        with TemporaryDirectory() as directory:
            for name, content in self.files.items():
                (Path(directory) / name).write_bytes(content)
            return CausalLMPolicy.load(directory, decode=self.decode, temperature=self.temperature)


def simulate(recipe: Recipe, run: Path, *, cluster: Cluster | None = None, progress: bool = True) -> None:
    """Simulate on RUN/curate/samples.jsonl with RUN/prior/checkpoint.

    Args:
        cluster: where rollouts are played; None for this process.

    Raises:
        StepProblem: an input is missing, or no sample gave a trajectory.
        LockedExperiment: a sample is on a high experiment.
        WorkersLost, NodesDiffer, MissingExtra: as `llmconfig_gym.parallel.run_jobs`.
    """
    from autollmresearch.training.step import one_process, run_step, same_agent

    one_process("simulate")
    checkpoint, path = run / "prior" / CHECKPOINT, run / "curate" / SAMPLES

    def work(out: Path) -> dict[str, Any]:
        samples = read_samples(path)
        same_agent(recipe.agent, checkpoint)
        agent = Agent.read(checkpoint, "score" if recipe.agent.score else "sample", recipe.simulate.temperature)
        player = agent if cluster else agent.policy
        done = simulate_all(
            player, samples, recipe.simulate, out / WORKING, seed=recipe.seed, cluster=cluster, progress=progress
        )
        trajectories = [t for s in done for t in s.trajectories]
        if not trajectories:
            raise StepProblem(
                f"none of {len(done)} samples gave a trajectory: no rollout and no continuation reached a best "
                "configuration; train the prior longer, or raise simulate.rollouts, simulate.continuations or "
                f"curate.budgets, then remove {out}"
            )
        write_text(out / TRAJECTORIES, "".join(json.dumps(to_dict(t)) + "\n" for t in trajectories))
        return counts(done)

    run_step(
        run,
        "simulate",
        work,
        settings={"simulate": asdict(recipe.simulate)},
        inputs={"checkpoint": checkpoint, "samples": path, **suite_files(recipe.curate.suites)},
        seed=recipe.seed,
    )


def simulate_all(
    player: Policy | Agent,
    samples: Sequence[Sample],
    settings: SimulateSettings,
    working: Path,
    *,
    seed: int = 0,
    cluster: Cluster | None = None,
    progress: bool = True,
) -> list[Simulated]:
    """What comes of each sample, in order; samples whose records are in `working` already are not simulated again.

    Records are written in order, so what a cluster has finished ahead of that waits for its turn.
    """
    from tqdm import tqdm

    records = working / RECORDS
    done = [_from_line(line) for line in read_lines(records)] if records.is_file() else []
    step = max(1, settings.batch // settings.rollouts)
    with tqdm(total=len(samples), initial=len(done), unit="sample", desc="simulate", disable=not progress) as bar:
        starts = range(len(done), len(samples), step)
        jobs = ((start, (some := samples[start : start + step]), [open_sample(s) for s in some]) for start in starts)
        ahead: dict[int, list[Simulated]] = {}
        for start, simulated in run_jobs(_simulate, (player, settings, seed), jobs, cluster or 1):
            ahead[start] = simulated
            while (made := ahead.pop(len(done), None)) is not None:
                append_lines(records, [_to_line(s) for s in made])
                done += made
                tally = Counter(s.result for s in done)
                bar.set_postfix({k: tally[k] for k in ("kept", "continued", "failed")}, refresh=False)
                bar.update(len(made))
    return done


def _simulate(
    shared: tuple[Policy | Agent, SimulateSettings, int],
    job: tuple[int, Sequence[Sample], Sequence[tuple[Experiment, Problem]]],
) -> tuple[int, list[Simulated]]:
    """Runs in a worker. A job holds the tables too, which a node need not have."""
    player, settings, seed = shared
    start, samples, opened = job
    policy = player.policy if isinstance(player, Agent) else player
    return start, simulate_some(policy, samples, settings, opened, seed=seed)


def simulate_some(
    policy: Policy,
    samples: Sequence[Sample],
    settings: SimulateSettings,
    opened: Sequence[tuple[Experiment, Problem]] | None = None,
    *,
    seed: int = 0,
) -> list[Simulated]:
    """What comes of each sample; all rollouts advance together, then all continuations.

    Args:
        opened: targets and problems of the samples; None to open them here.
    """
    opened = opened if opened is not None else [open_sample(s) for s in samples]
    rolled = _grouped(
        settings.rollouts, run_episodes(policy, *_episodes(samples, opened, settings.rollouts, seed, "rollout"))
    )
    reached = [[t for t in ts if reaches(t, e)] for ts, (e, _) in zip(rolled, opened, strict=True)]
    lost = [i for i, found in enumerate(reached) if not found]
    continued = _continue(policy, [(samples[i], opened[i], rolled[i]) for i in lost], settings, seed)
    joined = dict(zip(lost, continued, strict=True))
    result = []
    for i, (target, _) in enumerate(opened):
        trajectories = _distinct(reached[i], settings.keep) or joined[i]
        kind: Result = "kept" if reached[i] else "continued" if trajectories else "failed"
        result.append(Simulated(target.task, kind, len(reached[i]), tuple(trajectories)))
    return result


def reaches(trajectory: Trajectory, target: Experiment) -> bool:
    """Whether one of its trials gave the best value of the table."""
    told = [t.outcome.value for t in trajectory.turns if t.outcome.value is not None]
    return any(target.metric.sign * value <= target.best for value in told)


def best_hint(target: Experiment, told: Sequence[Outcome] = ()) -> str:
    """What a model is shown to go on towards the best configuration, in the words that it knows from the prior.

    Nothing once it was told: a model that is still shown it would learn to repeat itself.
    """
    best = target.pool.config(int(np.argmin(target.losses)))
    return "" if any(outcome.config == best for outcome in told) else hint(best)


def locally_best(trajectories: Sequence[Trajectory], target: Experiment) -> Trajectory:
    """The trajectory whose best trial is best; of equal ones that with the higher reward, then the first."""

    def loss(t: Trajectory) -> float:
        told = [turn.outcome.value for turn in t.turns if turn.outcome.value is not None]
        return min((target.metric.sign * value for value in told), default=float("inf"))

    return min(trajectories, key=lambda t: (loss(t), -t.reward))


def joined(prefix: Sequence[Turn], trajectory: Trajectory, told: str) -> Trajectory:
    """A continued trajectory as if nothing had been shown: the hint is taken out of what was read.

    What was written stays as it was sampled; the ids of what a continued turn read are dropped, for they hold the hint
    (distillation makes them from the text).
    """
    return replace(trajectory, turns=(*prefix, *(_unhinted(t, told) for t in trajectory.turns[len(prefix) :])))


def _unhinted(turn: Turn, told: str) -> Turn:
    said = turn.proposal
    tokens = None if said.tokens is None else replace(said.tokens, read=())
    return replace(turn, proposal=replace(said, prompt=said.prompt.removesuffix(f"\n{told}"), tokens=tokens))


def counts(done: Sequence[Simulated]) -> dict[str, Any]:
    """Samples, trajectories and results, in all and by task."""

    def tally(some: Iterable[Simulated]) -> dict[str, int]:
        chosen = list(some)
        results = Counter(s.result for s in chosen)
        return {
            "samples": len(chosen),
            **{k: results[k] for k in ("kept", "continued", "failed")},
            "rollouts_that_reached": sum(s.reached for s in chosen),
            "trajectories": sum(len(s.trajectories) for s in chosen),
        }

    by_task: dict[str, list[Simulated]] = defaultdict(list)
    for s in done:
        by_task[s.task].append(s)
    return {**tally(done), "by_task": {task: tally(some) for task, some in sorted(by_task.items())}}


def _continue(
    policy: Policy,
    failed: Sequence[tuple[Sample, tuple[Experiment, Problem], Sequence[Trajectory]]],
    settings: SimulateSettings,
    seed: int,
) -> list[list[Trajectory]]:
    """For each sample on which all rollouts failed, the continued trajectory, or none."""
    if not failed or settings.continuations == 0:
        return [[] for _ in failed]
    samples, opened = [f[0] for f in failed], [f[1] for f in failed]
    prefixes: list[Sequence[Turn]] = []
    hints: list[Hint] = []
    told: list[str] = []
    for sample, (target, _), trajectories in failed:
        best = locally_best(trajectories, target)
        cut = 1 + _seed(sample, seed, "cut", 0) % 2  # its last trial, or its second-to-last
        prefixes += [best.turns[: max(0, len(best.turns) - cut)]] * settings.continuations
        hints += [partial(best_hint, target)] * settings.continuations
        told += [best_hint(target)] * settings.continuations
    episodes = run_episodes(
        policy,
        *_episodes(samples, opened, settings.continuations, seed, "continuation"),
        prefixes=prefixes,
        hints=hints,
    )
    made = [joined(p, t, h) for p, t, h in zip(prefixes, episodes, told, strict=True)]
    groups = zip(
        _grouped(settings.continuations, made), _grouped(settings.continuations, prefixes), opened, strict=True
    )
    return [
        sorted(
            (t for t in ts if reaches(t, target) and not _speaks_of_hint(t.turns[len(ps[0]) :])),
            key=lambda t: -t.reward,
        )[:1]
        for ts, ps, (target, _) in groups
    ]


def _speaks_of_hint(turns: Sequence[Turn]) -> bool:
    """Whether the model says that it was shown something, which it must not learn to say."""
    return any("hint" in str(turn.proposal.config).lower() for turn in turns)


def _episodes(
    samples: Sequence[Sample], opened: Sequence[tuple[Experiment, Problem]], each: int, seed: int, what: str
) -> tuple[list[Experiment], list[Problem], list[int]]:
    """Targets, problems and seeds of `each` episodes per sample."""
    experiments = [e for e, _ in opened for _ in range(each)]
    problems = [p for _, p in opened for _ in range(each)]
    return experiments, problems, [_seed(s, seed, what, i) for s in samples for i in range(each)]


def _seed(sample: Sample, seed: int, what: str, number: int) -> int:
    """Another for every sample and episode, whatever else is simulated and wherever a suite lies."""
    ids = ["/".join(id_.split("/")[-2:]) for id_ in (sample.target, *sample.cheaper)]
    return zlib.crc32(json.dumps([seed, ids, sample.protocol, sample.budget, sample.seed, what, number]).encode())


def _distinct(trajectories: Sequence[Trajectory], most: int) -> list[Trajectory]:
    """The best by reward; of those in which the same was said, one."""
    kept: dict[tuple[str, ...], Trajectory] = {}
    for t in sorted(trajectories, key=lambda t: -t.reward):
        kept.setdefault(tuple(str(turn.proposal.config) for turn in t.turns), t)
    return list(kept.values())[:most]


def _grouped(each: int, items: Sequence[Any]) -> list[list[Any]]:
    return [list(items[i : i + each]) for i in range(0, len(items), each)]


def _to_line(done: Simulated) -> str:
    return json.dumps(
        {**asdict(replace(done, trajectories=())), "trajectories": [to_dict(t) for t in done.trajectories]}
    )


def _from_line(line: str) -> Simulated:
    data: Mapping[str, Any] = json.loads(line)
    return Simulated(**{**data, "trajectories": tuple(from_dict(t) for t in data["trajectories"])})
